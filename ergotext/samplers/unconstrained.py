"""Automaton without constraint: every sequence of text tokens."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ergotext.lm.automaton_base import AutomatonBase
from ergotext.support.arrays import Ints

CLOSED, OPEN = 0, 1


class Unconstrained(AutomatonBase):
    """Takes every sequence of allowed tokens (``protocols.Automaton``).

    It pads with the first token that is not allowed and not the end token, if there is one.

    Parameters
    ----------
    allowed : bool [V]
    end : int
    """

    def __init__(self, allowed: NDArray[np.bool_], end: int) -> None:
        self.end = end
        others = np.flatnonzero(~allowed)
        self._pad = int(next((token for token in others if token != end), end))
        going = allowed.copy()
        going[end] = True
        self._tokens = np.flatnonzero(going)
        self._behind = np.where(self._tokens == end, CLOSED, OPEN)
        self._allowed = going

    def start(self, count: int) -> Ints:
        return np.full(count, OPEN, dtype=np.int64)

    def candidates(self, states: Ints) -> tuple[Ints, Ints, Ints]:
        """Flat int64 arrays (row, token, next state): all tokens, or the padding alone."""
        count = np.where(states == OPEN, len(self._tokens), 1)
        row = np.repeat(np.arange(len(states)), count)
        rows_open = (states == OPEN)[row]
        token = np.full(len(row), self._pad)
        token[rows_open] = np.tile(self._tokens, int((states == OPEN).sum()))
        after = states[row]
        after[rows_open] = np.tile(self._behind, int((states == OPEN).sum()))
        return row, token, after

    def advance(self, states: Ints, tokens: Ints) -> Ints:
        known = (tokens >= 0) & (tokens < len(self._allowed))
        ok = known & self._allowed[np.where(known, tokens, 0)]
        after = np.where(ok, np.where(tokens == self.end, CLOSED, OPEN), -1)
        closed = np.where(tokens == self._pad, states, -1)
        return np.where(states == OPEN, after, closed)

    def mask(self, states: Ints, size: int) -> NDArray[np.bool_]:
        mask = np.zeros((len(states), size), dtype=np.bool_)
        mask[states == OPEN, : len(self._allowed)] = self._allowed[:size]
        if self._pad < size:
            mask[states != OPEN, self._pad] = True
        return mask

    def accepting(self, states: Ints) -> NDArray[np.bool_]:
        accepts: NDArray[np.bool_] = states >= 0
        return accepts
