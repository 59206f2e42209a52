"""A retriever with a masked model, against every key's scores by plain passes."""

from __future__ import annotations

import math
from functools import cache

import pytest
import torch
from transformers import PreTrainedTokenizerFast

import ergotext as et
from ergotext.errors import InputError
from ergotext.lm.masked import MaskedLM
from ergotext.lm.tokenizers.fast import FastTokenizer
from ergotext.lm.tokenizers.vocabulary import Vocabulary
from ergotext.tasks.retrieval import retriever
from ergotext.tasks.retrieval.lookahead.strings import StringMatch
from ergotext.tasks.retrieval.masked import PSEUDO
from ergotext.tasks.retrieval.notes import NAMELESS, NO_SUBJECT
from ergotext.tasks.retrieval.retriever import Retriever
from tests.faulty import load_with_fault
from tests.lm.masked_worlds import FAMILIES, SIZE, masked_tokenizer
from tests.tasks.retrieval.test_masked_keys import expected

PROMPT = "Q: {question} {answer}."
KEYS = [
    f"{s}\t{p}" for s in ("sun", "summer", "海滩", "ice") for p in ("colour", "颜色", "on", "a")
]
QUESTIONS = ["the sun in summer?", "What 颜色?", "ice 颜色"]


@pytest.fixture(scope="module")
def lm(tokenizer: PreTrainedTokenizerFast) -> MaskedLM:
    torch.manual_seed(2)
    return MaskedLM(FAMILIES["roberta"](), Vocabulary(masked_tokenizer(tokenizer), SIZE))


def made(lm: MaskedLM, causal: bool = False, triples: bool | None = None) -> Retriever:
    keys = [(key, f"of {key}") for key in KEYS]
    trie = et.build_trie(keys, FastTokenizer(lm.vocabulary.tokenizer, causal=causal))
    return retriever.Retriever(lm, trie, prompt=PROMPT, triples=triples, decode="mlm")


every = cache(lambda lm, question: expected(lm, question, "mean", KEYS))


def best(lm: MaskedLM, question: str, keys: list[str], beams: int) -> list[str]:
    """Of each length the keys with the best sums, and these by their mean pseudo-likelihood."""
    known = every(lm, question)
    sizes = {key: len(lm.encode(key)) for key in keys}
    assert len(set(sizes.values())) > 1
    chosen = []
    for size in set(sizes.values()):
        same = [key for key in keys if sizes[key] == size]
        chosen += sorted(same, key=lambda key: -known[key][0])[:beams]
    return sorted(chosen, key=lambda key: -known[key][2])


def check(lm: MaskedLM, causal: bool = False) -> None:
    for k, beams, triples in (
        (5, 16, False),
        (3, 3, False),
        (1, 2, False),
        (5, 8, True),
        (1, 1, True),
    ):
        retriever = made(lm, causal, triples)
        found = retriever.retrieve(QUESTIONS, k=k, beams=beams)
        for question, hits in zip(QUESTIONS, found, strict=True):
            inside = [key for key in KEYS if key.split("\t")[0] in question]
            if triples and not inside:
                assert hits == [] and hits.notes == (NO_SUBJECT, NAMELESS)
                continue
            keys = inside if triples and inside else KEYS
            ranked = best(lm, question, keys, beams)
            assert [hit.text for hit in hits] == ranked[:k]
            subjects = {key.split("\t")[0] for key in inside} if triples else set()
            assert {mention.text for mention in hits.mentions} == subjects
            assert hits.notes == (PSEUDO,)
            assert hits.exact == (len(ranked) == len(keys) and beams >= len(keys))
            for hit in hits:
                _, pseudo, score = every(lm, question)[hit.text]
                assert (hit.log_prob, hit.score) == pytest.approx((pseudo, score), abs=1e-3)
                assert math.isnan(hit.probability) and math.isnan(hit.probability_low)
                assert hit.values == [f"of {hit.text}"]


@pytest.mark.parametrize("causal", [False, True])
def test_hits_are_those_of_scoring_every_key(lm: MaskedLM, causal: bool) -> None:
    check(lm, causal)


def test_questions_that_cannot_be_read_whole(lm: MaskedLM) -> None:
    retriever = made(lm)
    empty, long, none = retriever.retrieve(["", "sun " * 5000, "ሰላም"], k=16, beams=16)
    assert empty == [] and empty.notes == ("the question is empty",)
    assert len(long) == len(none) == 16 and long.exact
    assert retriever.retrieve([]) == []
    with pytest.raises(InputError, match="not valid Unicode"):
        retriever.retrieve(["\ud800"])
    read = retriever.reader.encode("sun " * 5000, room=8)
    assert lm.vocabulary.text(read).startswith("Q: sun sun sun")
    assert lm.vocabulary.text(read).endswith(".")
    assert 8 <= retriever.reader.room(read) < 12
    (hits,) = Retriever(lm, et.build_trie([], retriever.trie.tokenizer), decode="mlm").retrieve(
        ["a"]
    )
    assert hits == [] and hits.exact and hits.notes == ()


def test_keys_without_room_are_told(lm: MaskedLM) -> None:
    """A question has half of the model's positions; what is too long for the rest is left out."""
    keys = FastTokenizer(lm.vocabulary.tokenizer)
    trie = et.build_trie(["sun", "ice", "ab " * 60], keys)
    (hits,) = Retriever(lm, trie, decode="mlm").retrieve(["ab " * 60])
    assert {hit.text for hit in hits} == {"sun", "ice"} and not hits.exact
    assert "have no room" in hits.notes[-1]


def test_what_does_not_go_together(lm: MaskedLM) -> None:
    retriever = made(lm)
    for given in ({"threshold": 0.5}, {"temperature": 2.0}):
        with pytest.raises(InputError, match="gives no probabilities"):
            retriever.retrieve([], **given)
    with pytest.raises(InputError, match="no look-ahead"):
        retriever.retrieve([], spans=True, lookahead=StringMatch())
    with pytest.raises(InputError, match="must be at least k"):
        retriever.retrieve([], k=3, beams=2)
    with pytest.raises(InputError, match="CausalLM cannot fill in blanks"):
        Retriever(et.load("tiny-causal", device="cpu"), retriever.trie, decode="mlm")
    with pytest.raises(InputError, match=r"MaskedLM cannot answer .* with decode mlm"):
        Retriever(lm, retriever.trie)
    with pytest.raises(InputError, match="must be beam or mlm, got 'best'"):
        Retriever(lm, retriever.trie, decode="best")
    with pytest.raises(InputError, match=r"must contain \{answer\} exactly once"):
        Retriever(lm, retriever.trie, prompt="{question}", decode="mlm")
    with pytest.raises(InputError, match="another tokenizer"):
        Retriever(lm, et.build_trie(["a"], et.CharacterTokenizer("a")), decode="mlm")


FAULTS = {
    "only k of each length are scored again": ("row, plan.beams, among)", "row, plan.k, among)"),
    "all that was scored is given": ("found[: plan.k]", "found"),
    "the mean passes for the sum": ("one.log_prob, one.score)", "one.score, one.score)"),
    "keys of any subject are found": ("[keys.ordinals for keys in group.candidates]",
                                      "[None for keys in group.candidates]"),
    "questions have the subjects of others": ("(group.encoded, among, strict",
                                              "(group.encoded, among[::-1], strict"),
    "whatever is found is proven": ("exact=len(found) ==", "exact=len(found) <="),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_the_check_sees_it(lm: MaskedLM, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = load_with_fault("tasks.retrieval.masked", FAULTS[fault])
    monkeypatch.setattr(retriever, "MaskedSearch", module.MaskedSearch)
    with pytest.raises(AssertionError):
        check(lm)
