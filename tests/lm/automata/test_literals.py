"""Automata of listed texts, against every tokenisation of small vocabularies."""

from __future__ import annotations

import itertools
import pickle
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ergotext.errors import InputError
from ergotext.lm.automata import choices, literals
from ergotext.lm.automata.grammars import regex
from ergotext.lm.automata.pieces import Pieces
from ergotext.testing import check_automaton
from tests.faulty import load_with_fault
from tests.lm.automata.worlds import END, LATIN, SEA

TEXTS = {"latin": (LATIN, ["ab", "aba", "b a", "a"]), "sea": (SEA, ["海", "海a海", "a "])}


def taken(automaton: Any, pieces: Pieces, longest: int) -> set[tuple[int, ...]]:
    """The rows that an automaton takes, of all there are."""
    rows = [
        r for n in range(longest + 1) for r in itertools.product(pieces.text.tolist(), repeat=n)
    ]
    state = automaton.start(len(rows))
    for column in range(longest):
        inside = np.array([column < len(row) for row in rows])
        token = np.array([row[column] if column < len(row) else 0 for row in rows])
        state = np.where(inside, automaton.advance(state, token), state)
    accepts = automaton.accepting(state) & (state >= 0)
    return {row for row, yes in zip(rows, accepts.tolist(), strict=True) if yes}


def check_choices(module: ModuleType | SimpleNamespace) -> None:
    for pieces, texts in TEXTS.values():
        automaton = module.choices(texts, pieces)
        wanted = {text.encode() for text in texts}
        rows = taken(automaton, pieces, 4)
        every = itertools.chain.from_iterable(
            itertools.product(pieces.text.tolist(), repeat=n) for n in range(5)
        )
        assert rows == {row for row in every if pieces.joined(row) in wanted}
        check_automaton(automaton, pieces.alphabet.size)


def test_choices_take_every_spelling_and_nothing_else() -> None:
    check_choices(literals)


def check_openings(module: ModuleType | SimpleNamespace) -> None:
    """Of all rows that the outer automaton takes, each with the text has one such beginning."""
    pieces, texts = LATIN, [b"ab a", b"aba"]
    within, allowed = regex(r"b(ab a|aba )", pieces), [b"ab a", b"aba "]
    start = within.advance(within.start(1), np.array([2]))  # after "b"
    opened = module.openings(texts, pieces, within, int(start[0]))
    rows = taken(opened, pieces, 4)
    found = set()
    for row in itertools.chain.from_iterable(
        itertools.product(pieces.text.tolist(), repeat=n) for n in range(1, 5)
    ):
        read, before = pieces.joined(row), pieces.joined(row[:-1])
        begins = any(read.startswith(t) and not before.startswith(t) for t in texts)
        earlier = any(before.startswith(t) for t in texts)
        if begins and not earlier and any(t.startswith(read) for t in allowed):
            found.add(row)
    assert rows == found and any(pieces.joined(row) not in texts for row in rows)


def test_openings_are_the_first_beginnings_with_a_text() -> None:
    check_openings(literals)


FAULTS = {
    "beginnings of choices are taken": ("known[low] == read", "True"),
    "choices are cut": ("known[low:high]", "known[low : low + 1]"),
    "no token goes past the text": ("*pieces.beginning(text[len(read) :])", ""),
    "what surrounds it does not matter": ("return tokens[taken], False", "return tokens, False"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_the_checks_see(fault: str) -> None:
    faulty = load_with_fault("lm.automata.literals", FAULTS[fault])
    with pytest.raises(AssertionError):
        _ = check_choices(faulty), check_openings(faulty)


def test_pieces_that_begin_with_a_text() -> None:
    assert LATIN.beginning(b"a") == [1, 5, 8, 9] and LATIN.beginning(b"ab") == [5]
    assert LATIN.beginning(b"z") == []


def test_many_choices_and_copies() -> None:
    many = choices(["a" * n + "b" for n in range(500)], LATIN)
    assert (
        many.least(many.start(1)).tolist() == [1]
        and END
        in many.candidates(many.advance(many.advance(many.start(1), np.array([1])), np.array([2])))[
            1
        ]
    )
    copy = pickle.loads(pickle.dumps(many))
    assert copy.candidates(copy.start(1))[1].tolist() == many.candidates(many.start(1))[1].tolist()
    assert "is 'b' or 'ab'" in many.demands()[0] and "or another" in many.demands()[0]


def test_what_is_refused() -> None:
    with pytest.raises(InputError, match="at least one text"):
        choices([], LATIN)
    with pytest.raises(InputError, match="cannot write the choice 'abc'"):
        choices(["ab", "abc"], LATIN)
    with pytest.raises(InputError, match="put it into a list"):
        choices("ab", LATIN)
