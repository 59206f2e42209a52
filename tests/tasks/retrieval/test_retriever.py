"""Questions answered by a random T5 and a tabled model, against scoring every key."""

from __future__ import annotations

import math
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

import ergotext as et
from ergotext.errors import InputError
from ergotext.lm.seq2seq import Seq2SeqLM
from ergotext.lm.tokenizers.fast import FastTokenizer
from ergotext.lm.trie.lines import key_text
from ergotext.lm.trie.spotted import Naming
from ergotext.tasks.index import build
from ergotext.tasks.retrieval.candidates import Candidates, Mention, Potential
from ergotext.tasks.retrieval.lookahead.strings import StringMatch
from ergotext.tasks.retrieval.notes import NO_SUBJECT
from ergotext.tasks.retrieval.results import Hit, Hits
from ergotext.tasks.retrieval.retriever import Retriever
from tests.support.test_bars import Stream
from tests.tiny_t5 import saved

SUBJECTS = ["苹果", "苹果（公司）", "苹果（水果）", "香蕉", "香", "Apple Pie", "Apple", "天安门"]
PREDICATES = ["产地", "颜色", "创始人", "founder", "colour", "高度"]
LINES = [f"{s}\t{p}\t{s}的{p}" for s in SUBJECTS for p in PREDICATES] + ["香蕉\t产地\t海南"]
QUESTIONS = [
    "苹果的产地是哪里？", "Who is the founder of Apple Pie?", "香蕉什么颜色", "没有的东西",
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, an index of triples, one of triples without objects, and one of titles."""
    folder = tmp_path_factory.mktemp("retrieve")
    saved(folder / "model", LINES)
    name = str(folder / "model")
    for file, lines, columns in (
        ("facts", LINES, "subject,predicate,object"),
        ("bare", [line.rpartition("\t")[0] for line in LINES], "subject,predicate"),
        ("titles", [s + more for s in SUBJECTS for more in ("", " A", " 产地")], "key"),
    ):
        (folder / f"{file}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        build(folder / f"{file}.tsv", folder / f"{file}.ergo", tokenizer=name, columns=columns)
    return folder


@pytest.fixture(scope="module")
def lm(folder: Path) -> Seq2SeqLM:
    model = et.load(str(folder / "model"), device="cpu")
    assert isinstance(model, Seq2SeqLM)
    return model


@cache
@torch.inference_mode()
def every(lm: Seq2SeqLM, question: str, keys: tuple[str, ...]) -> dict[str, float]:
    """log p of each key by one plain pass of the whole model."""
    found = {}
    for key in keys:
        answer = [*lm.keys.encode(key), 1]
        logits = lm.model(
            input_ids=torch.tensor([lm.encode(question)]),
            decoder_input_ids=torch.tensor([[0, *answer[:-1]]]),
        ).logits[0]
        law = logits.double().log_softmax(-1)
        found[key] = float(law[torch.arange(len(answer)), answer].sum())
    return found


def text_of(fields: dict[str, str]) -> str:
    return "\t".join(fields.values())


@pytest.mark.parametrize("prefixes", [1000, 47])
def test_all_keys_in_the_order_of_their_log_prob(
    lm: Seq2SeqLM, folder: Path, prefixes: int
) -> None:
    retriever = Retriever(lm, folder / "facts.ergo")
    count = len(retriever.trie)
    found = retriever.retrieve(QUESTIONS, k=count + 5, spans=False, prefixes=prefixes)
    keys = tuple(lm.keys.decode(key) for key in retriever.trie.keys(()))
    for question, hits in zip(QUESTIONS, found, strict=True):
        known = every(lm, question, keys)
        mass = np.logaddexp.reduce(list(known.values()))
        ranked = sorted(known.values(), reverse=True)
        assert [h.log_prob for h in hits] == pytest.approx(ranked, abs=1e-4)
        assert hits.exact and len(hits) == count
        for hit in hits:
            key = key_text(hit.fields["subject"], hit.fields["predicate"])
            assert hit.log_prob == hit.score == pytest.approx(known[key], abs=1e-4)
            share = math.exp(known[key] - mass)
            assert hit.probability_low - 1e-5 <= share <= hit.probability_high + 1e-5
            if prefixes > count:
                assert hit.probability_low == hit.probability == hit.probability_high
            assert hit.text == text_of(hit.fields)


@pytest.mark.parametrize("prefixes", [1000, 0])
@pytest.mark.parametrize("ahead", [None, StringMatch(scale=0.5)])
def test_only_keys_whose_subject_is_in_the_question(
    lm: Seq2SeqLM, folder: Path, prefixes: int, ahead: Potential | None
) -> None:
    """Against every key, its subject sought in the question, and its potential written out."""
    retriever = Retriever(lm, folder / "facts.ergo")
    keys = tuple(lm.keys.decode(key) for key in retriever.trie.keys(()))
    found = retriever.retrieve(
        QUESTIONS, k=60, beams=60, lookahead=ahead, prefixes=prefixes, model_probability=True
    )
    for question, hits in zip(QUESTIONS, found, strict=True):
        known = every(lm, question, keys)
        inside = [k for k in keys if k.split("\t")[0] in question]
        extra = {key: by_hand(question, key) if ahead else 0.0 for key in inside}
        if not inside:
            assert hits == [] and hits.subject == "none" and not hits.mentions
            assert hits.notes[0].startswith(NO_SUBJECT)
            continue
        ranked = sorted((known[key] + extra[key] for key in inside), reverse=True)
        assert [h.score for h in hits] == pytest.approx(ranked, abs=1e-4)
        assert hits.exact
        for hit in hits:
            key = key_text(hit.fields["subject"], hit.fields["predicate"])
            assert hit.log_prob == pytest.approx(known[key], abs=1e-4)
            assert hit.score - hit.log_prob == pytest.approx(extra[key], abs=1e-9)
            assert hit.values == [f"{hit.fields['subject']}的{hit.fields['predicate']}"] + (
                ["海南"] if key == "香蕉\t产地" else []
            )


def by_hand(question: str, key: str) -> float:
    mention, predicate = key.split("\t")[:2]
    at = question.index(mention)
    rest = question[:at] + question[at + len(mention) :]
    table = np.zeros((len(predicate) + 1, len(rest) + 1))
    for i, a in enumerate(predicate):
        for j, b in enumerate(rest):
            table[i + 1, j + 1] = (
                table[i, j] + 1 if a == b else max(table[i, j + 1], table[i + 1, j])
            )
    return float(0.5 * (10 * len(mention) + 2 * table[-1, -1] - 0.3 * len(predicate)))


def test_a_potential_may_leave_keys_out_and_sees_what_they_are(lm: Seq2SeqLM, folder: Path) -> None:
    asked: dict[str, Candidates] = {}

    def potential(question: str, keys: Candidates) -> np.ndarray:
        asked[question] = keys
        return np.where([p == "颜色" for p in keys.predicates], 0.0, -np.inf)

    retriever = Retriever(lm, folder / "facts.ergo")
    for prefixes in (1000, 0):
        (hits,) = retriever.retrieve(
            QUESTIONS[:1], k=50, lookahead=potential, prefixes=prefixes, model_probability=True
        )
        assert {h.text for h in hits} == {"苹果\t颜色", "苹果（公司）\t颜色", "苹果（水果）\t颜色"}
        keys = asked[QUESTIONS[0]]
        assert [keys.mentions[n] for n in set(keys.mention)] == [Mention("苹果", 0, 2)]
        rows = zip(keys.ordinals.tolist(), keys.predicates, keys.meanings, strict=True)
        for number, (ordinal, predicate, meaning) in enumerate(rows):
            key = "\t".join(("苹果", predicate, meaning)).removesuffix("\t")
            assert retriever.trie.ordinal(key) == ordinal
            assert keys.values(number) == retriever.trie.objects(key)
        assert len(keys) == 18 and set(keys.meanings) == {"", "公司", "水果"}


@pytest.mark.parametrize("values", [np.zeros(3), np.full(18, np.nan), np.full(18, np.inf)])
def test_a_potential_that_is_none(lm: Seq2SeqLM, folder: Path, values: np.ndarray) -> None:
    retriever = Retriever(lm, folder / "facts.ergo")
    for prefixes in (1000, 0):
        with pytest.raises(InputError, match="the look-ahead must return a number"):
            retriever.retrieve(QUESTIONS[:1], lookahead=lambda q, keys: values, prefixes=prefixes)


def test_a_potential_over_all_keys(lm: Seq2SeqLM, folder: Path) -> None:
    """Without spans it is asked for every key, and no mention is known."""
    (hits,), (searched,) = (
        Retriever(lm, folder / "facts.ergo").retrieve(
            ["colour of 苹果"],
            k=3,
            beams=60,
            spans=False,
            prefixes=n,
            model_probability=True,
            lookahead=StringMatch(scale=100.0),
        )
        for n in (1000, 0)
    )
    assert [h.text for h in hits] == [h.text for h in searched]
    assert [h.fields["predicate"] for h in hits] == ["colour"] * 3


def test_batches_change_nothing(lm: Seq2SeqLM, folder: Path) -> None:
    questions = [*QUESTIONS, "", "香" * 300, "Apple", "天安门的高度"] * 2
    retriever = Retriever(lm, folder / "facts.ergo")
    whole = retriever.retrieve(questions, k=3, prefixes=0)
    single = [retriever.retrieve([q], k=3, prefixes=0, batch_size=1)[0] for q in questions]
    for a, b in zip(whole, single, strict=True):
        assert [h.text for h in a] == [h.text for h in b] and a.notes == b.notes
        assert [h.log_prob for h in a] == pytest.approx([h.log_prob for h in b], abs=1e-4)
        assert all(math.isnan(h.probability) for h in a)


def test_what_takes_long_shows_how_far_it_is(lm: Seq2SeqLM, folder: Path, monkeypatch) -> None:
    retriever = Retriever(lm, folder / "facts.ergo")

    def written(**options: bool) -> str:
        stream = Stream(True)
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stderr", stream)
            retriever.retrieve(QUESTIONS, k=1, prefixes=0, batch_size=1, **options)
        return stream.getvalue()

    assert written() == "", "it took no two seconds"
    monkeypatch.setattr("ergotext.tasks.retrieval.retriever.PATIENCE", 0.0)
    assert "answering:   0%" in written() and "/4 [" in written()
    assert written(progress=False) == ""


def test_a_batch_is_smaller_where_questions_are_longer(lm: Seq2SeqLM, folder: Path) -> None:
    sizes = []
    retriever = Retriever(lm, folder / "titles.ergo")
    read = retriever.reader.read
    retriever.reader.read = lambda rows: (sizes.append(len(rows)), read(rows))[1]
    retriever.retrieve(["苹" * 640] * 3 + ["果" * 3] * 9, batch_size=8)
    assert sorted(sizes) == [1, 1, 1, 1, 8]


def test_titles_and_what_a_text_mentions(lm: Seq2SeqLM, folder: Path) -> None:
    """Keys that are lines: searched as a whole, or linked where they stand in the text."""
    retriever = Retriever(lm, folder / "titles.ergo")
    for prefixes in (1000, 0):
        (titles,) = retriever.retrieve(["what is it?"], k=100, beams=100, prefixes=prefixes)
        assert len(titles) == len(retriever.trie) == 24 and not titles.notes
        assert all(h.fields == {"key": h.text} and h.values == [] for h in titles)
        (linked,) = retriever.retrieve(
            ["苹果 A and Apple Pie"], k=9, beams=9, spans=True, prefixes=prefixes
        )
        assert {h.text for h in linked} == {"苹果", "苹果 A", "Apple", "Apple Pie"}
        (ahead,) = retriever.retrieve(
            ["苹果 A and Apple Pie"], spans=True, lookahead=StringMatch(scale=100.0),
            prefixes=prefixes,
        )  # fmt: skip
        assert ahead[0].text == "Apple Pie" and ahead[0].score == pytest.approx(
            ahead[0].log_prob + 9000.0
        )


def test_a_causal_model_behind_a_prompt(tmp_path: Path) -> None:
    """Scores are those of the keys behind the filled prompt; long questions lose their ends."""
    lm = et.load("tiny-causal", device="cpu")
    keys = ["paris\tcapital", "rome\tcapital", "rome\triver", "berlin\triver"]
    trie = et.build_trie(keys, FastTokenizer(lm.vocabulary.tokenizer, causal=True))
    prompt = "Q: {question}\nA:"
    questions = ["Where is rome?", "rome " * 4000]
    retriever = Retriever(lm, trie, prompt=prompt, triples=True)
    for prefixes in (1000, 0):
        hits, long = retriever.retrieve(questions, spans=False, beams=10, prefixes=prefixes)
        given = lm.given(prompt.replace("{question}", questions[0]))
        for hit in hits:
            row = trie.tokenizer.encode(hit.text)
            expected = float(given.log_prob(et.TokenBatch.of([row]))[0])
            assert hit.log_prob == pytest.approx(expected, abs=1e-3)
        assert len(hits) == len(long) == 4
        (found, _) = retriever.retrieve(questions)
        assert {h.fields["subject"] for h in found} == {"rome"}


def test_nothing_is_found_below_the_threshold(lm: Seq2SeqLM, folder: Path) -> None:
    retriever = Retriever(lm, folder / "facts.ergo")
    (all_,) = retriever.retrieve(QUESTIONS[:1], spans=False)
    top = all_[0].probability
    (kept,) = retriever.retrieve(QUESTIONS[:1], spans=False, threshold=top)
    (left,) = retriever.retrieve(QUESTIONS[:1], spans=False, threshold=min(1.0, top + 1e-9))
    assert kept == all_ and left == [] and "below" in left.notes[0]


def test_a_temperature_flattens(lm: Seq2SeqLM, folder: Path) -> None:
    retriever = Retriever(lm, folder / "facts.ergo")
    keys = tuple(lm.keys.decode(key) for key in retriever.trie.keys(()))
    known = np.array(list(every(lm, QUESTIONS[0], keys).values()))
    (hits,) = retriever.retrieve(QUESTIONS[:1], spans=False, temperature=7.0)
    law = np.exp(known / 7 - np.logaddexp.reduce(known / 7))
    assert [h.probability for h in hits] == pytest.approx(sorted(law)[::-1][:5], abs=1e-5)


def test_questions_that_cannot_be_read(lm: Seq2SeqLM, folder: Path) -> None:
    retriever = Retriever(lm, folder / "bare.ergo")
    found = retriever.retrieve(["", " \t", "天" * 5000, "ሰላም ለዓለም", "苹果"], k=1000)
    assert [len(hits) for hits in found] == [0, 0, 0, 0, 18]
    anywhere = retriever.retrieve(["天" * 5000, "ሰላም ለዓለም"], k=1000, spans=False)
    assert [len(hits) for hits in anywhere] == [48, 48]
    assert found[0].notes == found[1].notes == ("the question is empty",)
    assert all(hit.values == [] for hits in found for hit in hits)
    assert retriever.retrieve([]) == []
    with pytest.raises(InputError, match="not valid Unicode"):
        retriever.retrieve(["\ud800"])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"k": 0}, "k must be at least 1, got 0"),
        ({"k": 5, "beams": 4}, r"beams \(4\) must be at least k \(5\)"),
        ({"batch_size": 0}, "batch_size"),
        ({"prefixes": -1}, "prefixes must be at least 0, got -1"),
        ({"temperature": 0.0}, "temperature must be at least 1e-06"),
        ({"temperature": math.nan}, "temperature must be"),
        ({"temperature": 1e-310}, "temperature must be at least 1e-06, got 1e-310"),
        ({"threshold": 1.5}, "threshold must be at most 1, got 1.5"),
    ],
)
def test_numbers_out_of_range(
    lm: Seq2SeqLM, folder: Path, given: dict[str, float], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        Retriever(lm, folder / "facts.ergo").retrieve(QUESTIONS, **given)


def test_what_does_not_go_together(lm: Seq2SeqLM, folder: Path) -> None:
    with pytest.raises(InputError, match="threshold needs probabilities"):
        Retriever(lm, folder / "facts.ergo").retrieve(QUESTIONS, prefixes=0, threshold=0.5)
    with pytest.raises(InputError, match="another tokenizer"):
        Retriever(et.load("tiny-causal"), folder / "facts.ergo")
    with pytest.raises(InputError, match="another tokenizer"):
        Retriever(lm, et.build_trie(["a"], et.CharacterTokenizer("a")))
    with pytest.raises(InputError, match="cannot answer questions"):
        Retriever(et.load("tiny-masked"), folder / "facts.ergo")
    with pytest.raises(InputError, match=r"must contain \{question\} exactly once"):
        Retriever(lm, folder / "facts.ergo", prompt="what?")
    with pytest.raises(InputError, match="cannot read the index"):
        Retriever(lm, folder / "none.ergo")


def test_a_look_ahead_over_too_many_keys(
    lm: Seq2SeqLM, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ergotext.tasks.retrieval.grouping.MOST_WEIGHED", 47)
    retriever = Retriever(lm, folder / "facts.ergo")
    with pytest.raises(InputError, match="over all 48 keys would take too long"):
        retriever.retrieve(QUESTIONS, spans=False, lookahead=StringMatch())
    assert retriever.retrieve(QUESTIONS[:1], lookahead=StringMatch())[0]


def test_an_empty_trie(lm: Seq2SeqLM) -> None:
    (hits,) = Retriever(lm, et.build_trie([], lm.keys)).retrieve(["a"])
    assert hits == []


def test_how_a_subject_is_named_is_that_of_the_first_hit() -> None:
    kinds = {
        Naming.EXACT: "as written",
        Naming.OTHER: "in other letters",
        Naming.NEAR: "nearly",
        Naming.VALUE: "by a value",
    }
    mentions = tuple(Mention(kind.name, 0, 1, kind) for kind in kinds)
    for mention, told in zip(mentions, kinds.values(), strict=True):
        hit = Hit("Rome", {"key": "Rome"}, [], 0.0, 0.0, 1.0, 1.0, 1.0, mention)
        assert Hits([hit], True, mentions, (), True).subject == told
        assert Hits([], True, (mention,), (), True).subject == told
    assert Hits([], True, mentions, (), True).subject == "as written"
    assert Hits([], True, (), (), True).subject == "none"
    assert Hits([], True, mentions).subject is None


def test_fields_of_the_names_of_other_columns_are_kept() -> None:
    """A column of an index may be called ``score`` or ``values`` as well."""
    fields = {"subject": "Rome", "score": "one", "values": "two"}
    hit = Hit("Rome\tone\ttwo", fields, ["x"], 1.5, -2.0, 0.5, 0.5, 0.5)
    table = Hits([hit], True).to_pandas()
    assert table["score"].tolist() == [1.5] and table["values"].tolist() == [["x"]]
    assert table["score (field)"].tolist() == ["one"]
    assert table["values (field)"].tolist() == ["two"] and table["subject"].tolist() == ["Rome"]
