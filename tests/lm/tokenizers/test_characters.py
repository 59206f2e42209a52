from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ergotext.errors import InputError
from ergotext.lm.tokenizers.characters import Alphabet, CharacterTokenizer

TOKENIZER = CharacterTokenizer.of(["北京大学", "abc", "京"])


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=12)))
def test_every_text_comes_back(texts: list[str]) -> None:
    ids, offsets = TOKENIZER.encode_many(texts)
    rows = [ids[a:b].tolist() for a, b in pairwise(offsets)]
    assert [TOKENIZER.decode(row) for row in rows] == texts
    assert rows == [TOKENIZER.encode(text) for text in texts]
    assert all(TOKENIZER.alphabet.end < i < TOKENIZER.size for row in rows for i in row)


def test_frequent_characters_come_first_and_a_limit_leaves_bytes() -> None:
    assert TOKENIZER.characters[0] == "京"
    small = CharacterTokenizer.of(["北京京"], limit=1)
    assert len(small.encode("京")) == 1
    assert len(small.encode("北")) == 3


def test_fingerprints_tell_vocabularies_apart() -> None:
    again = CharacterTokenizer.from_points(TOKENIZER.points)
    assert again == TOKENIZER and again.fingerprint == TOKENIZER.fingerprint
    assert CharacterTokenizer("ab").fingerprint != CharacterTokenizer("ba").fingerprint


def test_vocabulary_beyond_sixteen_bits() -> None:
    points = np.setdiff1d(np.arange(32, 90_000), np.arange(0xD800, 0xE000)).astype(np.uint32)
    big = CharacterTokenizer.from_points(points)
    assert big.size > 65_536
    assert big.decode(big.encode("\U00015000a")) == "\U00015000a"


def test_broken_bytes_and_special_tokens_decode() -> None:
    first = TOKENIZER.encode("é")[0]
    assert TOKENIZER.decode([first, 0, 1]) == "\N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize("characters", ["aa", "\ud800"])
def test_impossible_vocabularies(characters: str) -> None:
    with pytest.raises(InputError):
        CharacterTokenizer(characters)


def test_impossible_input() -> None:
    with pytest.raises(InputError, match="surrogate at 1"):
        TOKENIZER.encode("a\udc00")
    with pytest.raises(InputError, match="not in this vocabulary"):
        TOKENIZER.decode([TOKENIZER.size])
    with pytest.raises(InputError, match="two different ids"):
        Alphabet(5, pad=1, end=1)
