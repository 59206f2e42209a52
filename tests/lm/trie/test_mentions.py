"""Spans of texts that are subjects, for tokenizers of every kind, against looking at every span."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable

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

from ergotext.lm.characters import CharacterTokenizer, TextTokenizer
from ergotext.lm.fast_tokenizer import FastTokenizer
from ergotext.lm.protocols import InputError
from ergotext.lm.trie import TokenTrie, build
from ergotext.lm.trie.lines import subject_and_predicate
from ergotext.lm.trie.mentions import Mentions
from ergotext.lm.words import joins
from tests.tiny_t5 import tokenizer_of

SUBJECTS = ["苹果", "苹", "果", "Apple", "Apple Pie", "iPhone4", "𠮷野家", "a", "über", "天安门"]
SUBJECTS += ["安"]
KEYS = [f"{s}\t{p}" for s in SUBJECTS for p in ("产地", "founder of", "颜色")]
KEYS += ["苹果\t产地\t水果", "苹果汁", "Apple"]
TEXTS = [
    "苹果的产地是苹果吗？", "Who founded Apple Pie, or Apple?", "Apples, iPhone4s, iPhone4",
    "𠮷野家über天安门", "", "   ", "a a\ta", "苹果汁", "Ελλάδα 🇬🇷", "Apple",
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
            cuts = [at for at in (start, stop) if 0 < at < len(text)]
            inside = any(joins(text[at - 1]) and joins(text[at]) for at in cuts)
            if span in known and not inside:
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
    with pytest.raises(InputError, match="no tokenizer to read texts"):
        Mentions(build([((5,), None)], FastTokenizer(tokenizer_of("ab"), "t").alphabet))
    spaced = tokenizer_of(["a b"])
    spaced.backend_tokenizer.normalizer = normalizers.Replace("\t", " ")
    wordpiece = Tokenizer(models.WordPiece({"<pad>": 0, "</s>": 1, "a": 2}, unk_token="<pad>"))
    wordpiece.decoder = decoders.WordPiece()
    other = PreTrainedTokenizerFast(tokenizer_object=wordpiece, pad_token="<pad>", eos_token="</s>")
    with pytest.raises(InputError, match="cannot be told"):
        Mentions(build([("a", None)], FastTokenizer(other, "w")))
    assert Mentions(build([("a", None)], FastTokenizer(spaced, "s")), whole=True)
