"""Look-ahead: the best potential among the keys still reachable from a state."""

from __future__ import annotations

import numpy as np

from ergotext.errors import InputError
from ergotext.lm.ragged import spread
from ergotext.lm.trie.tree import TokenTrie, settled
from ergotext.support.arrays import Floats, Ints
from ergotext.support.words import counted

_BLOCK = 128
"""Keys to one maximum that is kept; ranges are made of whole blocks and two ends."""


class BestKey:
    """The potential of a state is the highest potential of the keys below it.

    The keys below a state are a range of keys in sorted order, so this is a range maximum: of
    whole blocks by a sparse table (Bender and Farach-Colton 2000), of both ends directly. As no
    state promises less than what follows it, a search may cut by it (``protocols.LookAhead``).

    Parameters
    ----------
    trie : TokenTrie
    potential : float64 [Q, N] or [N]
        Of each input for each key in sorted order, or the same for all inputs, in nats.

    Raises
    ------
    InputError
        The potential is of another shape or NaN, or the trie has changes that are not compacted;
        on use: there are more inputs than potentials, or another automaton is searched.
    """

    bound = True

    def __init__(self, trie: TokenTrie, potential: Floats) -> None:
        self.automaton = settled(trie)
        potential = np.asarray(potential, dtype=np.float64)
        if potential.ndim not in (1, 2) or potential.shape[-1] != len(trie):
            raise InputError(
                f"potential must be [Q, N] or [N] for {counted(len(trie), 'key')}, "
                f"got {potential.shape}"
            )
        if np.isnan(potential).any():
            raise InputError("a potential is NaN: give numbers, -inf for keys to be excluded")
        self._shared = potential.ndim == 1
        self._maxima = Maxima(np.atleast_2d(potential))

    def __call__(self, inputs: Ints, states: Ints) -> Floats:
        """float64 [n]: the best potential below each state; -inf below a dead one."""
        if not self._shared and int(inputs.max(initial=0)) >= self._maxima.rows:
            raise InputError(
                f"there are potentials for {counted(self._maxima.rows, 'input')}, but input "
                f"{int(inputs.max())} (counted from 0) needs one: give a row for each"
            )
        low, high = self.automaton.span(states)
        return self._maxima(np.zeros_like(inputs) if self._shared else inputs, low, high)


class Maxima:
    """The maximum of any range of a row: range maximum queries over float64 [Q, N]."""

    def __init__(self, each: Floats) -> None:
        self._each = each
        count, size = each.shape
        blocks = -(-size // _BLOCK)
        filled = np.full((count, blocks * _BLOCK), -np.inf)
        filled[:, :size] = each
        level = filled.reshape(count, blocks, _BLOCK).max(axis=2, initial=-np.inf)
        self._table = [level]
        """level j: the maximum of 2**j blocks from each block on"""
        while 2 << (len(self._table) - 1) <= blocks:
            half = 1 << (len(self._table) - 1)
            level = np.maximum(level[:, :-half], level[:, half:])
            self._table.append(level)

    @property
    def rows(self) -> int:
        return len(self._each)

    def __call__(self, row: Ints, low: Ints, high: Ints) -> Floats:
        """float64 [n]: the maximum of each row from low up to high; -inf of an empty range."""
        first, last = -(-low // _BLOCK), high // _BLOCK
        whole = last > first
        ends = np.where(whole, first * _BLOCK, high), np.where(whole, last * _BLOCK, high)
        best = np.maximum(self._direct(row, low, ends[0]), self._direct(row, ends[1], high))
        best[whole] = np.maximum(
            best[whole], self._of_blocks(row[whole], first[whole], last[whole])
        )
        return best

    def _direct(self, row: Ints, low: Ints, high: Ints) -> Floats:
        """float64 [n]: the maxima of short ranges."""
        best = np.full(len(row), -np.inf)
        some = np.flatnonzero(high > low)
        if len(some):
            size = high[some] - low[some]
            each = self._each[np.repeat(row[some], size), spread(low[some], size)]
            best[some] = np.maximum.reduceat(each, np.cumsum(size) - size)
        return best

    def _of_blocks(self, row: Ints, first: Ints, last: Ints) -> Floats:
        """float64 [n]: the maxima of whole blocks, each as that of two that overlap."""
        level = np.frexp((last - first).astype(np.float64))[1] - 1
        best = np.empty(len(row))
        for j, table in enumerate(self._table):
            at = np.flatnonzero(level == j)
            left, right = table[row[at], first[at]], table[row[at], last[at] - (1 << j)]
            best[at] = np.maximum(left, right)
        return best
