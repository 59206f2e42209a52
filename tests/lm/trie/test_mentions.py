"""Spans of texts that are subjects, for tokenizers of every kind, against looking at every span."""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache

import numpy as np
import pytest
from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import PreTrainedTokenizerFast

from ergotext.errors import InputError
from ergotext.lm.tokenizers.characters import CharacterTokenizer, TextTokenizer
from ergotext.lm.tokenizers.fast import FastTokenizer
from ergotext.lm.trie import TokenTrie, build
from ergotext.lm.trie.lines import subject_and_predicate
from ergotext.lm.trie.mentions import Mentions
from ergotext.lm.trie.restricted import RestrictedKeys
from ergotext.support.words import find_word
from tests.tiny_t5 import tokenizer_of

SUBJECTS = ["苹果", "苹", "果", "Apple", "Apple Pie", "iPhone4", "𠮷野家", "a", "über", "天安门"]
SUBJECTS += ["安"]
KEYS = [f"{s}\t{p}" for s in SUBJECTS for p in ("产地", "founder of", "颜色")]
KEYS += ["苹果\t产地\t水果", "苹果汁", "Apple"]
TEXTS = [
    "苹果的产地是苹果吗？", "Who founded Apple Pie, or Apple?", "Apples, iPhone4s, iPhone4",
    "𠮷野家über天安门", "", "   ", "a a\ta", "苹果汁", "Ελλάδα 🇬🇷", "Apple",
    "Apple\u0301 a\u200bb a\u00ad a", "苹\u3099果", "banana Pinea",
]  # fmt: skip


def bpe(byte_level: bool) -> PreTrainedTokenizerFast:
    """Merges of several characters, so that spans end inside of what a whole text makes tokens."""
    inner = Tokenizer(models.BPE(byte_fallback=not byte_level, unk_token=None))
    special = ["<pad>", "</s>"]
    if byte_level:
        inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        inner.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
    else:
        # As Llama's and Gemma's: spaces are written as ▁, one stands before every text.
        inner.normalizer = normalizers.Sequence(
            [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
        )
        inner.decoder = decoders.Sequence(
            [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(),
             decoders.Strip(" ", 1, 0)]
        )  # fmt: skip
        special += [f"<0x{byte:02X}>" for byte in range(256)]
        alphabet = []
    trainer = trainers.BpeTrainer(
        vocab_size=len(special) + len(alphabet) + 90, special_tokens=special,
        initial_alphabet=alphabet, show_progress=False,
    )  # fmt: skip
    inner.train_from_iterator(KEYS + TEXTS[:2] * 3, trainer)
    state = json.loads(inner.to_str())
    del state["added_tokens"][2:]  # training made the bytes special ones; they are none
    inner = Tokenizer.from_str(json.dumps(state))
    return PreTrainedTokenizerFast(tokenizer_object=inner, pad_token="<pad>", eos_token="</s>")


def lower() -> PreTrainedTokenizerFast:
    made = tokenizer_of(["".join(KEYS + TEXTS)])
    made.backend_tokenizer.normalizer = normalizers.Lowercase()
    return made


def started() -> PreTrainedTokenizerFast:
    """A token stands before every target, as BART's start token does."""
    made = tokenizer_of(["苹果的产地aple\t"])
    made.backend_tokenizer.post_processor = processors.TemplateProcessing(
        "<unk> $A </s>", special_tokens=[("<unk>", 2), ("</s>", 1)]
    )
    return made


TOKENIZERS: dict[str, Callable[[], TextTokenizer]] = {
    "characters": lambda: CharacterTokenizer.of(["苹果 Aple\t"]),
    "byte fallback": lambda: FastTokenizer(tokenizer_of(["苹果的产地aple\t"]), "t"),
    "byte level": lambda: FastTokenizer(bpe(True), "t"),
    "sentencepiece": lambda: FastTokenizer(bpe(False), "t"),
    "start token": lambda: FastTokenizer(started(), "t"),
    "lower case": lambda: FastTokenizer(lower(), "t"),
}


@pytest.fixture(params=TOKENIZERS, scope="module")
def trie(request: pytest.FixtureRequest) -> TokenTrie:
    return made(request.param)


def made(tokenizer: str) -> TokenTrie:
    return build([(key, None) for key in KEYS], TOKENIZERS[tokenizer]())


def expected(trie: TokenTrie, text: str, whole: bool) -> set[tuple[int, int]]:
    """Every span, looked up among the keys as the index spells them."""
    assert trie.tokenizer is not None
    spelled = [trie.tokenizer.decode(trie.tokenizer.encode(key)) for key in KEYS]
    parted = [subject_and_predicate(key) for key in spelled]
    known = set(spelled) if whole else {parts[0].partition("（")[0] for parts in parted if parts}
    lowered = spelled[-1] == "apple"
    found = set()
    for start in range(len(text)):
        for stop in range(start + 1, len(text) + 1):
            span = text[start:stop].lower() if lowered else text[start:stop]
            if span in known and find_word(text, text[start:stop], start) == start:
                found.add((start, stop))
    return found


@pytest.mark.parametrize("whole", [False, True])
def test_all_spans_are_found_and_no_other(trie: TokenTrie, whole: bool) -> None:
    found = Mentions(trie, whole).find(TEXTS)
    for number, text in enumerate(TEXTS):
        rows = found.text == number
        spans = set(zip(found.start[rows].tolist(), found.stop[rows].tolist(), strict=True))
        assert spans == expected(trie, text, whole), text
    assert len(found.text) >= (3 if whole else 18)
    low, high = trie.span(found.state)
    keys: Counter[tuple[int, int, int]] = Counter()
    for *place, count in zip(found.text, found.start, found.stop, high - low, strict=True):
        keys[tuple(place)] += int(count)  # several tokens may begin with a tab
    for (text, start, stop), count in keys.items():
        assert count == (1 if whole else 3 + (TEXTS[text][start:stop] == "苹果"))


def test_paths_lead_from_the_root_to_the_states(trie: TokenTrie) -> None:
    found = Mentions(trie).find(TEXTS)
    edges = {
        (q, n, t): s
        for q, n, t, s in zip(
            *(getattr(found.paths, name).tolist() for name in ("input", "node", "token", "target")),
            strict=True,
        )
    }
    for (_, node, token), target in edges.items():
        assert int(trie.advance(np.array([node]), np.array([token]))[0]) == target
    ends = {(q, s) for q, s in zip(found.text.tolist(), found.state.tolist(), strict=True)}
    parents = {(q, n) for q, n, _ in edges}
    assert {(q, s) for (q, _, _), s in edges.items()} - parents == ends
    assert {q for q, n in parents if n == 0} == set(found.text.tolist())


def test_no_texts(trie: TokenTrie) -> None:
    assert not len(Mentions(trie).find([]).text) and not len(Mentions(trie).find([""]).text)


def test_tokenizers_that_will_not_do() -> None:
    with pytest.raises(InputError, match="no tokenizer to encode texts"):
        Mentions(build([((5,), None)], FastTokenizer(tokenizer_of("ab"), "t").alphabet))
    spaced = tokenizer_of(["a b"])
    spaced.backend_tokenizer.normalizer = normalizers.Replace("\t", " ")
    wordpiece = Tokenizer(models.WordPiece({"<pad>": 0, "</s>": 1, "a": 2}, unk_token="<pad>"))
    wordpiece.decoder = decoders.WordPiece()
    other = PreTrainedTokenizerFast(tokenizer_object=wordpiece, pad_token="<pad>", eos_token="</s>")
    with pytest.raises(InputError, match="cannot determine"):
        Mentions(build([("a", None)], FastTokenizer(other, "w")))
    assert Mentions(build([("a", None)], FastTokenizer(spaced, "s")), whole=True)


def spans_in(trie: TokenTrie, text: str, other: bool = False) -> dict[str, set[str]]:
    """What is found in a text: the span, and the subjects of the keys behind it."""
    found = Mentions(trie).find([text], other)
    told: dict[str, set[str]] = {}
    for start, stop, state in zip(
        found.start.tolist(), found.stop.tolist(), found.state.tolist(), strict=True
    ):
        low, high = trie.span(np.array([state]))
        keys = [trie.tokenizer.decode(key) for key in trie.keys(())][low[0] : high[0]]
        told.setdefault(text[start:stop], set()).update(key.split("\t")[0] for key in keys)
    return told


COMPOSED = ["é", "ガ", "각", "Việt", "naïve"]


@pytest.mark.parametrize("form", ["NFC", "NFKC"])
def test_normalisers_that_compose(form: str) -> None:
    """Where the ids of a subject are those of the question, it is found, however it is written."""
    normaliser = {"NFC": normalizers.NFC, "NFKC": normalizers.NFKC}[form]()
    inner = tokenizer_of(["".join([*COMPOSED, " \t?p"])])
    inner.backend_tokenizer.normalizer = normaliser
    tokenizer = FastTokenizer(inner, "t")
    trie = build([(f"{subject}\tp", None) for subject in COMPOSED], tokenizer)
    for subject in COMPOSED:
        ways = [subject, unicodedata.normalize("NFD", subject)]
        ways += ["ｶﾞ"] if form == "NFKC" and subject == "ガ" else []
        for way in ways:
            assert tokenizer.encode(way) == tokenizer.encode(subject)
            assert spans_in(trie, f"p {way} p?") == {way: {subject}}
            assert spans_in(trie, f"{way}") == {way: {subject}}


WRITTEN = ["Guernica", "Moby-Dick", "Saint Patrick's Day", "Frédéric Chopin", "ガンダム", "AC·DC"]
WRITTEN += ["WHO", "China"]


@pytest.mark.parametrize("kind", ["byte fallback", "byte level", "sentencepiece", "characters"])
@pytest.mark.parametrize(
    ("text", "span", "subject"),
    [
        ("who painted guernica?", "guernica", "Guernica"),
        ("MY GUERNICA", "GUERNICA", "Guernica"),
        ("Ｇｕｅｒｎｉｃａ？", "Ｇｕｅｒｎｉｃａ", "Guernica"),
        ("Guer\u00adnica", "Guer\u00adnica", "Guernica"),
        ("is moby\u2010dick a whale", "moby\u2010dick", "Moby-Dick"),
        ("Saint Patrick\u2019s  Day?", "Saint Patrick\u2019s  Day", "Saint Patrick's Day"),
        ("Saint\u00a0Patrick's Day", "Saint\u00a0Patrick's Day", "Saint Patrick's Day"),
        ("fre\u0301de\u0301ric chopin", "fre\u0301de\u0301ric chopin", "Frédéric Chopin"),
        ("ｶﾞﾝﾀﾞﾑとは", "ｶﾞﾝﾀﾞﾑ", "ガンダム"),
        ("カ\u3099ンタ\u3099ムとは", "カ\u3099ンタ\u3099ム", "ガンダム"),
        ("ac・dc?", "ac・dc", "AC·DC"),
    ],
)
def test_subjects_in_other_letters(kind: str, text: str, span: str, subject: str) -> None:
    trie = written_in(kind)
    assert subject not in {s for found in spans_in(trie, text).values() for s in found}
    # What a tokenizer writes in parts of characters is found as it stands only.
    if any(char in BYTES[kind] for char in subject):
        assert spans_in(trie, text, other=True) == {}
        return
    assert spans_in(trie, text, other=True)[span] == {subject}
    found = Mentions(trie).find([subject, text], other_letters=True)
    assert not found.other[found.text == 0].any() and found.other[found.text == 1].all()


BYTES = {"byte level": "éガダ", "sentencepiece": "éガダ", "byte fallback": "", "characters": ""}


@cache
def written_in(kind: str) -> TokenTrie:
    keys = [f"{subject}\tp" for subject in WRITTEN]
    tokenizer = (
        FastTokenizer(tokenizer_of(keys), "t") if kind == "byte fallback" else
        CharacterTokenizer.of(keys) if kind == "characters" else TOKENIZERS[kind]()
    )  # fmt: skip
    return build([(key, None) for key in keys], tokenizer)


def test_short_words_in_other_letters_count_where_there_is_nothing_else() -> None:
    trie = written_in("byte fallback")
    assert spans_in(trie, "who are they?", other=True) == {"who": {"WHO"}}
    assert spans_in(trie, "who painted guernica?", other=True) == {"guernica": {"Guernica"}}
    assert spans_in(trie, "who was in China?", other=True) == {"China": {"China"}}
    assert spans_in(trie, "China, china, guernicas", other=True) == {
        "China": {"China"}, "china": {"China"},
    }  # fmt: skip


def test_paths_lead_to_what_was_found_and_nowhere_else() -> None:
    """Spans in other letters that are left out cannot be reached."""
    trie = written_in("byte fallback")
    texts = ["who was in China?", "who painted guernica", "who?"]
    found = Mentions(trie).find(texts, other_letters=True)
    within = RestrictedKeys(trie, found.paths, len(texts))
    for number in range(len(texts)):
        reached = list(keys_within(within, number))
        low, high = trie.span(found.state[found.text == number])
        assert len(reached) == sum(high - low) == 1


def keys_within(within: RestrictedKeys, number: int) -> Iterator[tuple[int, ...]]:
    level = [((), int(within.start(within.inputs)[number]))]
    while level:
        tokens, state = level.pop()
        for _, token, after in zip(*within.candidates(np.array([state])), strict=True):
            if token == within.end:
                yield tokens
            else:
                level.append(((*tokens, int(token)), int(after)))
