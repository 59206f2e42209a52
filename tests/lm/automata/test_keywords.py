from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

from ergotext.lm.automata import KeywordCoverage, Pieces
from ergotext.lm.automata.chains import Chain
from ergotext.lm.characters import Alphabet, CharacterTokenizer
from ergotext.lm.protocols import InputError
from ergotext.lm.words import holds_words
from tests.lm.automata.worlds import LATIN, PAD, SEA, check_protocol, language, listed

words = st.lists(st.text("ab ", min_size=1, max_size=4).filter(str.strip), min_size=1, max_size=3)
sea_words = st.lists(st.text("海a", min_size=1, max_size=3), min_size=1, max_size=3)


@settings(max_examples=60, deadline=None)
@given(st.one_of(words.map(lambda w: (w, LATIN)), sea_words.map(lambda w: (w, SEA))), st.booleans())
def test_texts_that_hold_the_words(world: tuple[list[str], Pieces], any_order: bool) -> None:
    wanted, pieces = world
    expected = listed(pieces, 4, lambda text: holds_words(text, wanted, any_order))
    try:
        automaton = KeywordCoverage(wanted, pieces, any_order=any_order)
    except InputError:
        assert not expected
        return
    assert language(automaton, 4) == expected
    check_protocol(automaton, PAD, pieces.alphabet.size, most=2)


LETTERS = "ab 海\u0301\u00ad\u200d1_."
"""With a mark, which changes the letter before it, and two signs that are not seen."""


@settings(max_examples=400, deadline=None)
@given(
    st.lists(
        st.text(LETTERS, min_size=1, max_size=4).filter(lambda w: w.strip(" \u00ad\u200d")),
        min_size=1, max_size=3,
    ),
    st.integers(0, 1 << 32),
)  # fmt: skip
def test_chains_find_what_the_search_for_words_finds(wanted: list[str], seed: int) -> None:
    draw = random.Random(seed)
    chain = Chain(wanted)
    inside = [*LETTERS, *wanted, *wanted]
    for _ in range(30):
        text = "".join(draw.choices(inside, k=draw.randrange(9)))
        position = 0
        for symbol in chain.symbols(np.array([ord(char) for char in text], dtype=np.int64)):
            position = int(chain.step[position, symbol])
        assert bool(chain.covers[position]) == holds_words(text, wanted), (text, wanted)


def test_a_trained_tokenizer(tokenizer: PreTrainedTokenizerFast) -> None:
    pieces = Pieces.of(tokenizer, size=430)
    wanted = ["sun", "beach", "冰"]
    automaton = KeywordCoverage(wanted, pieces, any_order=True)
    texts = [
        "the sun on the beach，冰淇淋",
        "beach 冰 sun",
        "sunny beach 冰",
        "冰 sun beachy",
        "冰",
    ]
    for text in texts:
        for ids in (tokenizer.encode(text, add_special_tokens=False), bytewise(tokenizer, text)):
            states = automaton.start(1)
            for token in ids:
                states = automaton.advance(states, np.array([token]))
            assert bool(automaton.accepting(states)[0]) == holds_words(text, wanted, any_order=True)


def bytewise(tokenizer: PreTrainedTokenizerFast, text: str) -> list[int]:
    pieces = Pieces.of(tokenizer).tokens
    return [pieces.index(bytes([byte])) for byte in text.encode()]


def test_byte_fallback_of_our_own_tokenizer() -> None:
    tokenizer = CharacterTokenizer("ab ")
    automaton = KeywordCoverage(["海"], Pieces.of(tokenizer))
    states = automaton.start(1)
    for token in tokenizer.encode("a海"):
        assert not automaton.accepting(states)[0]
        states = automaton.advance(states, np.array([token]))
    assert automaton.accepting(states)[0]


def test_a_character_that_nothing_could_complete_is_not_begun() -> None:
    pieces = Pieces(Alphabet(6, 0, 1), [b"", b"", b"a", b"\xe6\xb5", b"\xe6", b"\xb5\xb7"])
    automaton = KeywordCoverage(["a"], pieces)
    assert automaton.candidates(automaton.start(1))[1].tolist() == [2, 4]


@pytest.mark.parametrize("wanted", [[""], [" "], ["a", "\u200d"]])
def test_words_without_visible_characters(wanted: list[str]) -> None:
    with pytest.raises(InputError, match="no visible character"):
        KeywordCoverage(wanted, LATIN)


@pytest.mark.parametrize("wanted", [["c"], ["a", "海"]])
def test_words_that_cannot_be_written(wanted: list[str]) -> None:
    with pytest.raises(InputError, match="cannot write"):
        KeywordCoverage(wanted, LATIN)


def test_too_many_words() -> None:
    with pytest.raises(InputError, match="more than a state can hold"):
        KeywordCoverage(["ab" * n for n in range(1, 20)], LATIN, any_order=True)
    KeywordCoverage([f"{'ab' * n}" for n in range(1, 9)], LATIN, any_order=True)
    KeywordCoverage(["ab"] * 30, LATIN)


def test_no_words_allow_every_text() -> None:
    assert language(KeywordCoverage([], SEA), 2) == listed(SEA, 2, lambda _: True)


@pytest.mark.parametrize(
    ("wanted", "pieces"),
    [(["ab"], LATIN), (["a", "b"], LATIN), (["ba", "ab"], LATIN), (["aba"], LATIN),
     (["海"], SEA), (["海a"], SEA), (["a", "海"], SEA), (["海", "海"], SEA)],
)  # fmt: skip
@pytest.mark.parametrize("any_order", [False, True])
def test_how_many_tokens_are_missing(wanted: list[str], pieces: Pieces, any_order: bool) -> None:
    """Never more than the shortest way on takes, by listing; and that itself for words in order
    that no token begins or ends inside a character of."""
    automaton, longest = KeywordCoverage(wanted, pieces, any_order=any_order), 4
    shortest: dict[tuple[int, ...], int] = {}
    for row in language(automaton, longest):
        for cut in range(len(row) + 1):
            rest = len(row) - cut
            shortest[row[:cut]] = min(rest, shortest.get(row[:cut], rest))
    assert shortest and any(shortest.values())
    for row, rest in shortest.items():
        states = automaton.start(1)
        for token in row:
            states = automaton.advance(states, np.array([token]))
        least = int(automaton.least(states)[0])
        assert least <= rest and (least > 0) == (rest > 0)
        if pieces is LATIN and not any_order:
            assert least == rest
    assert automaton.least(np.array([-1, 0])).tolist() == [0, 0]
