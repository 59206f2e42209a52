"""Keys in blanks: the joint scores of all keys, and the pseudo-likelihood, by plain passes."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from transformers import PreTrainedTokenizerFast

from ergotext.errors import InputError
from ergotext.lm.masked import MaskedLM
from ergotext.lm.tokenizers.fast import FastTokenizer
from ergotext.lm.tokenizers.vocabulary import Vocabulary
from ergotext.lm.trie import TokenTrie, build
from ergotext.tasks.retrieval import masked_keys
from ergotext.tasks.retrieval.masked_keys import MaskedKeys
from tests.faulty import load_with_fault
from tests.lm.masked_worlds import FAMILIES, SIZE, masked_tokenizer

KEYS = [
    " sun", " summer sun", " summer", " beach", " ice cream", " ice", " dog", " the dog ran",
    "海滩", "夏天", "冰淇淋", " a ball", " rain", " all day long", " children",
]  # fmt: skip
QUESTIONS = ["What shone on the beach?", "夏天怎么样？"]


@pytest.fixture(scope="module")
def lm(tokenizer: PreTrainedTokenizerFast) -> MaskedLM:
    torch.manual_seed(2)
    return MaskedLM(FAMILIES["roberta"](), Vocabulary(masked_tokenizer(tokenizer), SIZE))


def trie_of(lm: MaskedLM, causal: bool) -> TokenTrie:
    return build(KEYS, FastTokenizer(lm.vocabulary.tokenizer, causal=causal))


@torch.inference_mode()
def law(lm: MaskedLM, row: list[int], place: int) -> torch.Tensor:
    """float64 [V]: at one place of a row, by one pass of the whole model."""
    ids = torch.tensor([[*lm.opening, *row, *lm.closing]])
    logits = lm.model(ids).logits[0, len(lm.opening) + place].double()
    return logits.masked_fill(~lm.allowed, -torch.inf).log_softmax(-1)


def expected(
    lm: MaskedLM, question: str, by: str, texts: Sequence[str] = KEYS
) -> dict[str, tuple[float, float, float]]:
    """Joint score, pseudo-log-likelihood and score of every key."""
    found = {}
    before, behind, mask = lm.encode(f"Q: {question}"), lm.encode("."), lm.mask_id
    for text in texts:
        key, start = lm.encode(text), len(before)
        blank = [*before, *[mask] * len(key), *behind]
        joint = sum(float(law(lm, blank, start + i)[t]) for i, t in enumerate(key))
        filled = [*before, *key, *behind]
        pseudo = 0.0
        for i, token in enumerate(key):
            shown = [mask if p == start + i else t for p, t in enumerate(filled)]
            pseudo += float(law(lm, shown, start + i)[token])
        found[text] = joint, pseudo, pseudo / len(key) if by == "mean" else pseudo
    return found


def check(kind: type[MaskedKeys], lm: MaskedLM, causal: bool = False, by: str = "mean") -> None:
    finder = kind(lm, trie_of(lm, causal), prompt="Q: {question} {answer}.", by=by)
    before = finder.keys.before
    assert len(before) == (0 if causal else 1)
    for question, answers in zip(QUESTIONS, finder.best(QUESTIONS, k=len(KEYS)), strict=True):
        every = expected(lm, question, by)
        keys = {tuple(before + lm.encode(text)): text for text in KEYS}
        assert [keys[a.tokens] for a in answers] == sorted(KEYS, key=lambda t: -every[t][2])
        for answer in answers:
            told = answer.joint, answer.log_prob, answer.score
            assert told == pytest.approx(every[keys[answer.tokens]], abs=1e-3)
        # Of fewer, the best by joint score of each length come into the choice.
        (best,) = finder.best([question], k=1)[0]
        sizes = {len(lm.encode(text)) for text in KEYS}
        firsts = [
            max((t for t in KEYS if len(lm.encode(t)) == size), key=lambda t: every[t][0])
            for size in sizes
        ]
        assert keys[best.tokens] == max(firsts, key=lambda t: every[t][2])


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("by", ["mean", "sum"])
def test_all_keys_are_scored_as_the_plain_computation_does(
    lm: MaskedLM, causal: bool, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    check(MaskedKeys, lm, causal, by)
    monkeypatch.setattr(masked_keys, "AT_ONCE", 3)
    check(MaskedKeys, lm, causal, by)


def test_keys_without_room_are_left_out(lm: MaskedLM) -> None:
    finder = MaskedKeys(lm, trie_of(lm, True))
    most = lm.max_positions - len(lm.opening) - len(lm.closing)
    question = " a" * 99
    ids = lm.encode(question.strip())[: most - 2]
    answers = finder.best([lm.vocabulary.text(ids)], k=99)[0]
    assert answers and max(len(a.tokens) for a in answers) <= 2
    with pytest.raises(InputError, match="shorten"):
        finder.best([question])


def check_room(kind: type[MaskedKeys], lm: MaskedLM) -> None:
    """Whatever room a question leaves, the keys that fit, to the last token, are all found."""
    finder = kind(lm, trie_of(lm, True))
    ids = [len(lm.encode(text)) for text in KEYS]
    most = lm.max_positions - len(lm.opening) - len(lm.closing)
    for room in sorted(set(ids)):
        row = lm.encode(" a" * 99)[: most - room]
        assert finder.room(row) == room
        answers = finder.answers(row, k=99)
        assert len(answers) == sum(size <= room for size in ids)
        assert max(len(answer.tokens) for answer in answers) == room


def check_all(kind: type[MaskedKeys], lm: MaskedLM) -> None:
    check(kind, lm)
    check_room(kind, lm)


def test_a_key_that_just_fits(lm: MaskedLM) -> None:
    check_room(MaskedKeys, lm)


@pytest.mark.parametrize("question", [" ", "", "a\ud800"])
def test_questions_that_are_none(lm: MaskedLM, question: str) -> None:
    with pytest.raises(InputError):
        MaskedKeys(lm, trie_of(lm, True)).best([question])


def test_what_does_not_fit(lm: MaskedLM, tokenizer: PreTrainedTokenizerFast) -> None:
    trie = trie_of(lm, True)
    with pytest.raises(InputError, match="another tokenizer"):
        MaskedKeys(lm, build([(5, 6)], trie.alphabet.__class__(430, 0, 1)))
    for prompt in ("{question}", "{answer}", "{answer}{answer}{question}"):
        with pytest.raises(InputError, match="once"):
            MaskedKeys(lm, trie, prompt=prompt)
    with pytest.raises(InputError, match="by must be"):
        MaskedKeys(lm, trie, by="product")


FAULTS = {
    "4: a mean for a sum, and the other way round": ('if self.by == "mean"', 'if self.by == "sum"'),
    "lengths are compared by joint scores": ("score = log_prob /", "score = answer.joint /"),
    "what stands before every key is a blank": ("[n - own for", "[n for"),
    "blanks stand one place too early": ("(place >= start) & (place < stop)",
                                         "(place >= start - 1) & (place < stop - 1)"),
    "19: the law of another place": ("conditional_log_prob(batch, start + at)",
                                     "conditional_log_prob(batch, start + at * 0)"),
    "what stands behind the answer is not read": ("*keys[n], *behind] for", "*keys[n]] for"),
    "a key that just fits is left out": ("if length <= self.room(row)",
                                         "if length < self.room(row)"),
    "a key of a token too many is asked for": ("if length <= self.room(row)",
                                               "if length <= self.room(row) + 1"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_the_check_sees_it(lm: MaskedLM, fault: str) -> None:
    module = load_with_fault("tasks.retrieval.masked_keys", FAULTS[fault])
    with pytest.raises((AssertionError, KeyError, InputError)):
        check_all(module.MaskedKeys, lm)
