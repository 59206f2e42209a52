from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ergotext.errors import InputError
from ergotext.lm.automata import Pieces, TextSpans
from ergotext.lm.tokenizers.characters import CharacterTokenizer
from ergotext.samplers.search.beam import beam
from tests.lm.automata.worlds import (
    END,
    LATIN,
    PAD,
    SEA,
    Row,
    TableDecoding,
    check_protocol,
    language,
    listed,
)

MOST = 5
NO_CONTINUATION = Pieces(SEA.alphabet, [b"", b"\xe6", b"", b"\xe6\xb5", b"", b"\xb7", b"a"])
"""海 only as 3 5: token 1 leads nowhere, as no token is the byte 0xb5."""
LETTERS = Pieces(LATIN.alphabet, [b"", *(c.encode() for c in "海洋a"), b"", b"b"])


def spans(passage: str) -> set[str]:
    size = len(passage)
    return {passage[i:j] for i in range(size) for j in range(i + 1, size + 1)}


def spellings(passage: str, pieces: Pieces, after_space: bool, most: int = MOST) -> set[Row]:
    wanted = {" " * after_space + span for span in spans(passage)}
    return listed(pieces, most, lambda text: text in wanted)


def check(passage: str, pieces: Pieces, after_space: bool = False, most: int = MOST) -> None:
    expected = spellings(passage, pieces, after_space, most)
    try:
        automaton = TextSpans(passage, pieces, after_space=after_space)
    except InputError:
        assert not expected
        return
    assert language(automaton, most) == expected
    check_protocol(automaton, PAD, pieces.alphabet.size, most=2)


@settings(max_examples=60, deadline=None)
@given(st.text("ab ", min_size=1, max_size=8), st.booleans())
def test_all_spellings_of_spans_and_no_others(passage: str, after_space: bool) -> None:
    check(passage, LATIN, after_space, most=4)


@settings(max_examples=60, deadline=None)
@given(
    st.text("海a \u0301漁é", min_size=1, max_size=6),
    st.booleans(),
    st.sampled_from([SEA, NO_CONTINUATION]),
)
def test_parts_of_characters(passage: str, after_space: bool, pieces: Pieces) -> None:
    check(passage, pieces, after_space, most=4)


@settings(max_examples=50, deadline=None)
@given(st.text("海a 漁é", min_size=1, max_size=8), st.booleans())
def test_no_beginning_is_a_dead_end(passage: str, after_space: bool) -> None:
    for pieces in (SEA, NO_CONTINUATION):
        try:
            automaton = TextSpans(passage, pieces, after_space=after_space)
        except InputError:
            continue
        states = automaton.start(1)
        while len(states):
            row, token, behind = automaton.candidates(states)
            assert set(row.tolist()) == set(range(len(states)))
            states = np.unique(behind[token != END])


@settings(max_examples=40, deadline=None)
@given(st.text("海洋ab", min_size=1, max_size=12))
def test_every_span_once_where_each_character_is_a_token(passage: str) -> None:
    automaton = TextSpans(passage, LETTERS)
    written = [LETTERS.joined(row).decode() for row in language(automaton, len(passage))]
    assert sorted(written) == sorted(spans(passage))


@pytest.mark.parametrize(
    ("passage", "pieces", "after_space"),
    [("abba a", LATIN, False), ("abba", LATIN, True), ("海a海", SEA, False), ("a海", SEA, True)],
)
def test_as_many_beams_as_spellings_find_all_in_order(
    passage: str, pieces: Pieces, after_space: bool
) -> None:
    expected = spellings(passage, pieces, after_space)
    decoding = TableDecoding.of(pieces.alphabet.size, [1, 2])
    automaton = TextSpans(passage, pieces, after_space=after_space)
    for number, found in enumerate(beam(decoding, automaton, k=2000, max_length=MOST + 1)):
        scores = {row: decoding.log_prob(number, row, END) for row in expected}
        assert len(found.hypotheses) == len(scores)
        assert {h.tokens: pytest.approx(h.log_prob) for h in found.hypotheses} == scores
        ranked = [h.log_prob for h in found.hypotheses]
        assert ranked == sorted(ranked, reverse=True)


def test_a_span_may_begin_and_end_inside_a_token() -> None:
    pieces = Pieces(LATIN.alphabet, [b"", b"ab", b"a", b"b", b"", b"ba"])
    automaton = TextSpans("abab", pieces)
    assert {(5,), (3, 1), (3, 2), (1, 1), (2, 5, 3)} <= language(automaton, 4)


def test_a_passage_of_many_bytes() -> None:
    rng = np.random.default_rng(0)
    passage = "".join(rng.choice(list("海洋ab "), 8_000))
    tokenizer = CharacterTokenizer("海洋a")
    automaton = TextSpans(passage, Pieces.of(tokenizer))
    for begin in (0, 4_000, 7_990):
        states = automaton.start(1)
        for token in tokenizer.encode(passage[begin : begin + 40]):
            states = automaton.advance(states, np.array([token]))
        assert automaton.accepting(states).all()
        other = tokenizer.encode("é")[0]
        assert automaton.advance(states, np.array([other])).tolist() == [-1]


@pytest.mark.parametrize(
    ("passage", "why"), [("", "0 bytes"), ("é", "can be written"), ("a\ud800", "surrogate")]
)
def test_passages_without_spans(passage: str, why: str) -> None:
    with pytest.raises(InputError, match=why):
        TextSpans(passage, LATIN)
