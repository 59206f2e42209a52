"""``check_automaton`` says what is wrong with an automaton that contradicts itself."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import NDArray

from ergotext import testing
from ergotext.lm.automaton_base import AutomatonBase
from ergotext.lm.protocols import Classes
from ergotext.testing.tables import END, Ints, Table

PAD = 5
LOOP = Table(({1: 1, 3: 2}, {END: 3, 2: 0}, {END: 3, 1: 2}, {PAD: 3}))


@dataclass(frozen=True)
class Own(Table):
    """Two loops (1 2)* 1 and 3 1*, and one thing wrong."""

    ways: tuple[dict[int, int], ...] = LOOP.ways
    fault: str = field(default="")

    def candidates(self, states: Ints) -> tuple[Ints, Ints, Ints]:
        flat = [
            (row, token, to)
            for row, state in enumerate(states.tolist())
            for token, to in sorted(({PAD: -1} if state < 0 else self.ways[state]).items())
        ]
        row, token, after = np.array(flat, dtype=np.int64).reshape(-1, 3).T.copy()
        match self.fault:
            case "order":
                return row[::-1], token[::-1], after[::-1]
            case "int32":
                return row.astype(np.int32), token, after
            case "dead way":
                return row, token, np.where((token == 3) & (after == 2), -1, after)
            case "padding":
                return row, token, np.where(token == PAD, 0, after)
            case "batch mates":
                return row, token, np.where((token == 3) & (len(states) > 1), 1, after)
        return row, token, after

    def advance(self, states: Ints, tokens: Ints) -> Ints:
        after = super().advance(states, tokens)
        pads = (states < 0) & (tokens == PAD)
        after = np.where(pads, states, after)
        if self.fault == "advance":
            return np.where((states == 1) & (tokens == 2), 2, after)
        return np.where((states == 2) & (tokens == 4), 2, after) if self.fault == "more" else after

    def accepting(self, states: Ints) -> NDArray[np.bool_]:
        ends = np.isin(states, [1, 2, 3])
        return ends & (states != 2) if self.fault == "accepting" else ends

    def least(self, states: Ints) -> Ints:
        needs = np.array([2 if self.fault == "least" else 1, 0, 0, 0, 0])
        return needs[states]

    def mask(self, states: Ints, size: int) -> NDArray[np.bool_]:
        mask = super().mask(states, size)
        if self.fault == "mask" and size > 3:
            mask[states == 2, 3] = True
        return mask[:, 1:] if self.fault == "width" else mask

    def classes(self, states: Ints) -> Classes:
        if self.fault == "one class":
            row, token, _ = self.candidates(states)
            first = np.flatnonzero(np.diff(row, prepend=-1))
            after = self.advance(states, token[first])
            return Classes(row[first], after, token, np.append(first, len(row)))
        return super().classes(states if self.fault != "few classes" else states[:1])

    def lone(self, states: Ints) -> NDArray[np.bool_]:
        return states == 1 if self.fault in ("lone", "rest") else np.zeros(len(states), bool)

    def rest(self, states: Ints) -> tuple[Ints, Ints]:
        if self.fault != "lone":
            return super().rest(states)
        offsets = np.concatenate([[0], np.cumsum(states == 1)])
        return np.full(offsets[-1], END), offsets


class Walk(AutomatonBase):
    """Texts by a table, from any state on; and one thing wrong."""

    end = END

    def __init__(self, first: int, ways: dict[int, dict[int, int]], fault: str = "") -> None:
        self.first, self.fault = first, fault
        self.ways = ways | {-1: {PAD: -1}}

    def start(self, count: int) -> Ints:
        return np.full(count, self.first, np.int32 if self.fault == "start" else np.int64)

    def candidates(self, states: Ints) -> tuple[Ints, Ints, Ints]:
        flat = [(r, t, n) for r, s in enumerate(states) for t, n in sorted(self.ways[s].items())]
        row, token, after = np.array(flat, dtype=np.int64).reshape(-1, 3).T.copy()
        return row, token, after

    def advance(self, states: Ints, tokens: Ints) -> Ints:
        after = super().advance(states, tokens)
        return after.astype(np.float64) if self.fault == "advance" else after

    def accepting(self, states: Ints) -> NDArray[np.bool_]:
        says = super().accepting(states)
        return says.astype(np.int64) if self.fault == "accepting" else says

    def least(self, states: Ints) -> Ints:
        return np.where((states == 0) & (self.fault == "least"), 9, 0)

    def _alike(self, states: Ints) -> Ints:
        return np.where(np.isin(states, [1, 2]), 1, states) if self.fault == "alike" else states


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("", None),
        ("start", "start must be int64, and is int32"),
        ("advance", "advance must be int64, and is float64"),
        ("accepting", "accepting must be bool, and is int64"),
        ("least", "state 0 needs 9 tokens or more, and 0 are enough"),  # it is not where one starts
        ("alike", "classes put token 2 of state 5 with tokens that lead to state 1; it leads to 2"),
    ],
)
def test_faults_of_states_further_on_are_told(fault: str, sentence: str | None) -> None:
    """States 1 and 2 differ in what may follow the next token."""
    ways = {5: {1: 1, 2: 2}, 1: {3: 3}, 2: {3: 4}, 3: {1: 0}, 4: {2: 0}, 0: {END: 6}, 6: {PAD: 6}}
    one = Walk(5, ways, fault)
    if sentence is None:
        testing.check_automaton(one)
        return
    with pytest.raises(AssertionError, match=sentence):
        testing.check_automaton(one)


def test_a_sound_one_passes() -> None:
    testing.check_automaton(Own())
    testing.check_automaton(Own(), 6, most=5)


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("order", "candidates must rise"),
        ("int32", "must be int64"),
        ("dead way", "leads to the dead state"),
        ("padding", "dead state -1 must allow padding alone"),
        ("batch mates", "must not depend on the other states"),
        ("advance", "advance from state 1 by token 2 leads to 2, and candidates say 0"),
        ("more", "advance from state 2 by token 4 leads to 2, and candidates say -1"),
        ("accepting", "accepting is False in state 2, where the end token may follow"),
        ("least", "state 0 needs 2 tokens or more, and 1 are enough"),
        ("mask", r"mask is True for token 3 in state 2, and candidates allow \[0, 1\]"),
        ("width", r"must be bool \[3, 8\]"),
        (
            "one class",
            "classes put token 3 of state 0 with tokens that lead to state 1; it leads to 2",
        ),
        ("few classes", "classes must hold each candidate once"),
        ("lone", "rest of state 1 goes on with 0, and candidates allow"),
        ("rest", "rest must have tokens for exactly the states that are lone"),
    ],
)
def test_a_fault_is_told(fault: str, sentence: str) -> None:
    with pytest.raises(AssertionError, match=sentence):
        testing.check_automaton(Own(fault=fault))


def test_a_sink_that_lets_in_again_is_told() -> None:
    ways = (*LOOP.ways[:3], {PAD: 3, 1: 1})
    with pytest.raises(AssertionError, match="state 3 has ended or is dead"):
        testing.check_automaton(Own(ways))


def test_a_token_outside_of_the_vocabulary_is_told() -> None:
    with pytest.raises(AssertionError, match="outside of the vocabulary of 3"):
        testing.check_automaton(Own(), 3)
