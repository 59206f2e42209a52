"""What an automaton has by its candidates alone: a base for automata, and where they differ.

An automaton of one's own is a class with four members; all others follow from them:

>>> class OneToken(AutomatonBase):
...     end = 0
...     def start(self, count): return np.zeros(count, dtype=np.int64)
...     def candidates(self, states): ...  # every way on: row, token, next state

Override what can be had for less, and ``least``, ``lone`` and ``rest`` where more is known.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ergotext.errors import InputError
from ergotext.lm.protocols import Automaton, Classes, Demanding
from ergotext.support.arrays import Ints
from ergotext.support.reprs import called, cut, listed, safe

DEAD = -1
MOST_KEPT = 1 << 23
"""Tokens in all of the classes that are kept: 64 MiB"""


def check_known(tokens: Ints, size: int) -> None:
    """Raise InputError if an automaton allows a token that a model of ``size`` tokens has not."""
    highest = int(tokens.max(initial=0))
    if highest >= size:
        raise InputError(
            f"the automaton allows token {highest}, but the model has only {size} tokens: build it "
            "with the model's tokenizer"
        )


class AutomatonBase(ABC):
    """The members of ``protocols.Automaton`` that follow from ``candidates``.

    A subclass has ``end``, ``start`` and ``candidates``. The states of an automaton must not
    change what they mean; one that changes overrides ``classes``, which are kept by state.
    """

    @abstractmethod
    def candidates(self, states: Ints) -> tuple[Ints, Ints, Ints]:
        """Flat int64 arrays (row, token, next state), by rising row and, in it, rising token."""

    @safe
    def __repr__(self) -> str:
        said = self.demands() if isinstance(self, Demanding) else []
        asked = f"a text that {listed(said, 6)}" if said else ""
        return called(type(self).__name__, cut(asked, 120))

    def advance(self, states: Ints, tokens: Ints) -> Ints:
        row, token, to = self.candidates(states)
        taken = token == tokens[row]
        after = np.full(len(states), DEAD, dtype=np.int64)
        after[row[taken]] = to[taken]
        return after

    def mask(self, states: Ints, size: int) -> NDArray[np.bool_]:
        row, token, _ = self.candidates(states)
        return marked(len(states), size, row, token)

    def accepting(self: Automaton, states: Ints) -> NDArray[np.bool_]:
        row, token, _ = self.candidates(states)
        pad = self.candidates(np.array([DEAD]))[1][0]
        accepts = np.zeros(len(states), dtype=np.bool_)
        accepts[row[(token == self.end) | (token == pad) & (states[row] >= 0)]] = True
        return accepts

    def least(self, states: Ints) -> Ints:
        """int64 [B]: 0, which is true of every state."""
        return np.zeros(len(states), dtype=np.int64)

    def lone(self, states: Ints) -> NDArray[np.bool_]:
        """bool [B]: False: nothing is looked for."""
        return np.zeros(len(states), dtype=np.bool_)

    def rest(self, states: Ints) -> tuple[Ints, Ints]:
        return np.empty(0, dtype=np.int64), np.zeros(len(states) + 1, dtype=np.int64)

    def classes(self, states: Ints) -> Classes:
        kept = self._classes_kept
        if kept.tokens > MOST_KEPT:
            kept.drop()
        for state in np.unique(states).tolist():
            if state not in kept:
                kept.keep(state, self._classes_of(np.array([state])))
        return joined(kept[state] for state in states.tolist())

    def _classes_of(self, states: Ints) -> Classes:
        """The classes of states, found anew."""
        row, token, after = self.candidates(states)
        return parted(row, token, after, self._alike(after))

    def _alike(self, states: Ints) -> Ints:
        """int64 [B]: one number for all states from which the same sequences go on."""
        return states

    @cached_property
    def _classes_kept(self) -> _Kept:
        return _Kept()


class _Kept(dict[int, Classes]):
    """Classes by state; all are dropped when they grow too many. Copies begin empty."""

    tokens = 0

    def keep(self, state: int, classes: Classes) -> None:
        self[state] = classes
        self.tokens += len(classes.tokens)

    def drop(self) -> None:
        self.clear()
        self.tokens = 0

    def __reduce__(self) -> tuple[Any, ...]:
        return _Kept, ()


def marked(count: int, size: int, row: Ints, token: Ints) -> NDArray[np.bool_]:
    """bool [count, size]: True at each (row, token) that the size has."""
    mask = np.zeros((count, size), dtype=np.bool_)
    known = token < size
    mask[row[known], token[known]] = True
    return mask


def parted(row: Ints, token: Ints, after: Ints, same: Ints) -> Classes:
    """Candidates as classes: those of a row whose next states have the same number."""
    order = np.lexsort((token, same, row))
    row, token, after, same = row[order], token[order], after[order], same[order]
    new = np.ones(len(row), dtype=np.bool_)
    new[1:] = (np.diff(row) != 0) | (np.diff(same) != 0)
    first = np.flatnonzero(new)
    return Classes(row[first], after[first], token, np.append(first, len(row)))


def joined(each: Iterable[Classes]) -> Classes:
    """The classes of states, one after the other, as those of one batch of states."""
    parts = list(each)
    none = np.empty(0, dtype=np.int64)
    sizes = np.concatenate([none, *(np.diff(part.offsets) for part in parts)])
    return Classes(
        np.repeat(np.arange(len(parts)), [len(part.after) for part in parts]),
        np.concatenate([none, *(part.after for part in parts)]),
        np.concatenate([none, *(part.tokens for part in parts)]),
        np.append(0, np.cumsum(sizes)),
    )
