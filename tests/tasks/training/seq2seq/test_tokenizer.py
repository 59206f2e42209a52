"""The tokenizer of a model from scratch: every text comes back, and it makes an index."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from ergotext.lm.tokenizers.fast import FastTokenizer
from ergotext.lm.tokenizers.loading import load_tokenizer
from ergotext.lm.trie import build
from ergotext.lm.trie.mentions import Mentions
from ergotext.tasks.training.seq2seq.tokenizer import spelling_tokenizer

TEXTS = ["苹果的产地是哪里？", "长江有多长", "what is the colour of 苹果"] * 3
TOKENIZER = spelling_tokenizer(TEXTS)
KEYS = FastTokenizer(TOKENIZER)


@settings(max_examples=300, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"])))
@example("👨‍👩‍👧‍👦 🇬🇷 é ﬁ \u00a0 \t\r\n  ")
@example("<pad></s><0x41><unk> </s>")
@example("\x00\x7f\u2028\ufeff龘𠮷")
def test_every_text_comes_back(text: str) -> None:
    ids = TOKENIZER(text)["input_ids"]
    assert ids[-1] == TOKENIZER.eos_token_id and TOKENIZER.eos_token_id not in ids[:-1]
    assert TOKENIZER.pad_token_id not in ids
    assert TOKENIZER.decode(ids, skip_special_tokens=True) == text
    assert KEYS.decode(KEYS.encode(text)) == text and KEYS.encode(text) == ids[:-1]


def test_frequent_characters_are_tokens_and_others_bytes() -> None:
    assert len(KEYS.encode("苹果\t产地")) == 5
    assert len(KEYS.encode("龘")) == 3 and TOKENIZER.unk_token_id is None


def test_special_tokens_are_where_a_t5_has_them() -> None:
    assert (TOKENIZER.pad_token_id, TOKENIZER.eos_token_id) == (0, 1)
    assert (KEYS.alphabet.pad, KEYS.alphabet.end, KEYS.before) == (0, 1, [])


def test_an_index_is_built_with_it(tmp_path: Path) -> None:
    TOKENIZER.save_pretrained(tmp_path)
    loaded = load_tokenizer(str(tmp_path), offline=True)
    assert loaded.fingerprint == KEYS.fingerprint
    again = FastTokenizer(AutoTokenizer.from_pretrained(tmp_path))
    assert (
        again.fingerprint == KEYS.fingerprint and again.decode(again.encode("<pad>龘")) == "<pad>龘"
    )
    trie = build([("苹果\t产地\t水果", "山东"), ("龘\t产地", "?")], loaded)
    spotted = Mentions(trie).find(["龘和苹果的产地"])
    assert [(a, b) for a, b in zip(spotted.start, spotted.stop, strict=True)] == [(0, 1), (2, 4)]


def test_a_tokenizer_of_other_texts_has_another_fingerprint() -> None:
    assert FastTokenizer(spelling_tokenizer(["别的"] * 3)).fingerprint != KEYS.fingerprint


@pytest.mark.parametrize("least", [1, 4])
def test_least_is_how_often_a_character_stands(least: int) -> None:
    known = spelling_tokenizer(["字"] * 3, least=least).get_vocab()
    assert ("字" in known) == (least <= 3)
