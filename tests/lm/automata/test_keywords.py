from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

from ergotext.errors import InputError
from ergotext.lm.automata import KeywordCoverage, Pieces, keyword_bounds
from ergotext.lm.automata.chains import Chain
from ergotext.lm.automata.keyword_bounds import FAR
from ergotext.lm.automata.word_chains import Demanded, Excluded, WordCount
from ergotext.lm.batch import TokenBatch
from ergotext.lm.tokenizers.characters import Alphabet, CharacterTokenizer
from ergotext.samplers import SeededDraws
from ergotext.samplers.target import Target
from ergotext.samplers.weighted.importance import importance
from ergotext.support.arrays import Ints
from ergotext.support.words import Keyword, count_words, holds_words
from tests.lm.automata.worlds import LATIN, LINE, PAD, SEA, Row, check_protocol, language, listed

words = st.lists(st.text("ab ", min_size=1, max_size=4).filter(str.strip), min_size=1, max_size=3)
sea_words = st.lists(st.text("海a", min_size=1, max_size=3), min_size=1, max_size=3)


@settings(max_examples=60, deadline=None)
@given(st.one_of(words.map(lambda w: (w, LATIN)), sea_words.map(lambda w: (w, SEA))), st.booleans())
def test_texts_that_hold_the_words(world: tuple[list[Keyword], Pieces], any_order: bool) -> None:
    check_language(*world, any_order=any_order)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(st.text("ab -海", min_size=1, max_size=3).filter(str.strip), min_size=1,
                      max_size=3), max_size=3),
    st.lists(st.text("ab -", min_size=1, max_size=3).filter(str.strip), max_size=2),
    st.none() | st.tuples(st.integers(0, 3), st.integers(0, 3)),
    st.booleans(),
)  # fmt: skip
def test_alternatives_excluded_words_and_the_number_of_words(
    wanted: list[Keyword], without: list[str], window: tuple[int, int] | None, any_order: bool
) -> None:
    window = None if window is None else (min(window), max(window))
    check_language(wanted, LINE, any_order=any_order, without=without, words_between=window)


def check_language(wanted: Sequence[Keyword], pieces: Pieces, **options: Any) -> None:
    expected = listed(pieces, 4, lambda text: holds_words(text, wanted, **options))
    try:
        automaton = KeywordCoverage(wanted, pieces, **options)
    except InputError:
        # One word may hold two keywords: such texts are few, and asked for by mistake.
        assert not expected or options.get("words_between")
        return
    assert language(automaton, 4) == expected
    check_protocol(automaton, PAD, pieces.alphabet.size, most=2)


LETTERS = "ab 海\u0301\u3099\u00ad\u200d1_.-’"
"""With marks, which change the letter before them, and two signs that are not seen."""
some_words = st.lists(
    st.text(LETTERS, min_size=1, max_size=4).filter(lambda w: w.strip(" \u00ad\u200d")),
    min_size=1, max_size=3,
)  # fmt: skip


def read(chain: Chain[Any], text: str) -> int:
    position = 0
    for symbol in chain.symbols(np.array([ord(char) for char in text], dtype=np.int64)):
        position = int(chain.step[position, symbol])
    return position


@settings(max_examples=400, deadline=None)
@given(st.lists(some_words, min_size=1, max_size=3), st.integers(0, 1 << 32))
def test_chains_find_what_the_search_for_words_finds(wanted: list[list[str]], seed: int) -> None:
    draw = random.Random(seed)
    demanded, excluded = Demanded(wanted), Excluded(wanted[0])
    count = WordCount(*sorted(draw.choices(range(4), k=2)))
    spelled = [word for keyword in wanted for word in keyword]
    for _ in range(30):
        text = "".join(draw.choices([*LETTERS, *spelled, *spelled], k=draw.randrange(9)))
        place = read(demanded, text)
        assert bool(demanded.covers[place]) == holds_words(text, wanted), (text, wanted)
        assert demanded.found[place] == max(
            n for n in range(len(wanted) + 1) if holds_words(text, wanted[:n])
        )
        place = read(excluded, text)
        assert bool(excluded.covers[place]) == holds_words(text, [], without=wanted[0])
        # A mark of none of the words undoes all that the next character may undo.
        undone = holds_words(text + "\u0302", [], without=wanted[0])
        assert bool(excluded.dead[place]) == (not undone)
        place, words = read(count, text), count_words(text)
        assert bool(count.covers[place]) == (count.low <= words <= count.high)
        assert bool(count.dead[place]) == (words > count.high)


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


@pytest.mark.parametrize("any_order", [False, True])
def test_more_words_than_a_state_has_digits_for(any_order: bool) -> None:
    letters = [chr(c).encode() for c in range(ord("a"), ord("z") + 1)]
    pieces = Pieces(Alphabet(29, 0, 1), [b"", b"", b" ", *letters])
    wanted = [f"word{chr(n)}" for n in range(ord("a"), ord("a") + 20)]
    automaton = KeywordCoverage(
        wanted, pieces, any_order=any_order, without=["bad"], words_between=(20, 22)
    )
    draw = random.Random(0)
    for extra in ([], ["bad"], ["one", "other"], ["o", "n", "e"], [wanted[3]]):
        written = [*wanted, *extra]
        for shuffled in (False, True) if not extra or extra == ["bad"] else (False,):
            if shuffled:
                draw.shuffle(written)
            text = " ".join(written)
            states = automaton.start(1)
            for char in text:
                token = pieces.tokens.index(char.encode())
                before, states = states, automaton.advance(states, np.array([token]))
                if not extra:  # listing all ways on is slow with so many words
                    _, tokens, after = automaton.candidates(before)
                    assert states.tolist() in (after[tokens == token].tolist(), [-1])
            expected = holds_words(text, wanted, any_order, ["bad"], (20, 22))
            assert bool(automaton.accepting(states)[0]) == expected


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


MIXED = Pieces(
    Alphabet(12, PAD, 4),
    [b"", b"a", b"b", b" ", b"", b"b a", b"\xc3", b"\xa9", b"a\xc3", b"\xa9 b", b"\xaf",
     b"\xe6\xb5"],
)  # fmt: skip
"""é in two bytes; ï shares the first; 海 cannot be ended. Tokens that span two words."""


def shortest_ways(pieces: Pieces, most: int, holds: Callable[[str], bool]) -> dict[Row, int]:
    """Of each beginning the tokens to the nearest text that holds, by listing."""
    shortest: dict[Row, int] = {}
    for row in listed(pieces, most, holds):
        for cut in range(len(row) + 1):
            rest = len(row) - cut
            shortest[row[:cut]] = min(rest, shortest.get(row[:cut], rest))
    return shortest


def state_after(automaton: KeywordCoverage, row: Row) -> Ints:
    states = automaton.start(1)
    for token in row:
        states = automaton.advance(states, np.array([token]))
    return states


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.text("abé ", min_size=1, max_size=2).filter(str.strip), min_size=1, max_size=3),
    st.booleans(),
)
def test_missing_tokens_over_parts_of_characters(wanted: list[str], any_order: bool) -> None:
    """The shortest way itself where all that is begun may be a letter of theirs, else a bound."""
    shortest = shortest_ways(MIXED, 4, lambda text: holds_words(text, wanted, any_order))
    if not shortest:
        return
    automaton = KeywordCoverage(wanted, MIXED, any_order=any_order)
    for row, rest in shortest.items():
        least = int(automaton.least(state_after(automaton, row))[0])
        assert least <= rest and (least == rest or "é" not in "".join(wanted)), (wanted, row)


def test_words_share_tokens_but_never_too_few() -> None:
    """One token ends a word and begins the next: the sum of both needs would be too much."""
    automaton = KeywordCoverage(["ab", "ab"], LATIN, any_order=True)
    assert automaton.least(automaton.start(1)).tolist() == [3]
    pieces = Pieces(Alphabet(6, 0, 1), [b"", b"", b"ca", b"t ba", b"ll", b"cat ball"])
    assert least_at_start(["cat", "ball"], pieces) == 1
    pieces = Pieces(Alphabet(5, 0, 1), [b"", b"", b"ca", b"t ba", b"ll"])
    assert least_at_start(["cat", "ball"], pieces) == 3
    assert least_at_start(["ball", "cat"], pieces) == FAR


def least_at_start(wanted: list[str], pieces: Pieces) -> int:
    automaton = KeywordCoverage(wanted[:1], pieces)
    try:
        automaton = KeywordCoverage(wanted, pieces)
    except InputError:
        return FAR
    return int(automaton.least(automaton.start(1))[0])


def test_words_in_groups_keep_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = ["a", "b", "ba"]
    whole = KeywordCoverage(wanted, LATIN, any_order=True)
    shortest = shortest_ways(LATIN, 4, lambda text: holds_words(text, wanted, any_order=True))
    monkeypatch.setattr(keyword_bounds, "MOST_EDGES", 100)
    parted = KeywordCoverage(wanted, LATIN, any_order=True)
    assert len(parted._fewest._groups) > 1
    for row, rest in shortest.items():
        bound = int(parted.least(state_after(parted, row))[0])
        assert (rest > 0) <= bound <= int(whole.least(state_after(whole, row))[0]) <= rest


class Uniform:
    """Every token is as likely as any other."""

    def __init__(self, size: int, end: int) -> None:
        self.end_id, self.allowed = end, torch.ones(size, dtype=torch.bool)

    def next_log_prob(self, batch: TokenBatch, position: torch.Tensor) -> torch.Tensor:
        size = len(self.allowed)
        return torch.full((len(batch), size), -np.log(size), dtype=torch.float64)


@pytest.mark.filterwarnings("ignore::ergotext.samplers.weighted.samples.HeavyWeightsWarning")
def test_samplers_arrive_at_words_in_any_order() -> None:
    """With no token more than they take, no draw is lost; nor are those of other scripts."""
    letters = [chr(c).encode() for c in range(ord("a"), ord("z") + 1)]
    parts = [bytes([byte]) for byte in sorted(set("naïve при 海🎉".encode())) if byte > 0x7F]
    tokens = [b"", b"", b" ", *letters, *parts]
    pieces = Pieces(Alphabet(len(tokens), 0, 1), tokens)
    for wanted in (["cat", "garden", "ball"], ["naïve"], ["при", "海"], ["🎉"]):
        automaton = KeywordCoverage(wanted, pieces, any_order=True)
        least = int(automaton.least(automaton.start(1))[0])
        assert least == len(" ".join(wanted).encode()) - (wanted == ["при", "海"])
        target = Target(Uniform(len(tokens), 1), automaton, least + 1)
        samples = importance(target, SeededDraws(0), 20)
        assert len(samples) == 20
        for row in samples.batch.rows():
            assert holds_words(pieces.joined(row).decode(), wanted, any_order=True)
