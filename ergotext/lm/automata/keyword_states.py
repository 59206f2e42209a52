"""Numbers for states that have several parts: a begun character, and a position in each chain."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ergotext.support.arrays import Ints

FINISHED = 0
MOST = 1 << 46
"""Bound on the positions of all chains together: begun characters go above them."""


class Numbering(Protocol):
    """Numbers from 1; all parts 0 is number 1. ``FINISHED`` and dead states have the parts of 1."""

    def number(self, begun: Ints, positions: Sequence[Ints]) -> Ints:
        """int64 [...]: of states with these parts, all of one shape."""

    def parts(self, states: Ints) -> tuple[Ints, list[Ints]]:
        """The begun character, and the position in each chain."""


def numbering(sizes: Sequence[int]) -> Numbering:
    """Of states of chains with so many positions: by digits where they fit, else by a table."""
    return Digits(sizes) if prod(sizes) <= MOST else NumberTable(len(sizes))


class Digits:
    """Begun character b and positions p as digits: ``1 + p1 + n1 (p2 + n2 (… b))``."""

    def __init__(self, sizes: Sequence[int]) -> None:
        self._sizes = sizes
        self._radix = np.cumprod([1, *sizes]).astype(np.int64)

    def number(self, begun: Ints, positions: Sequence[Ints]) -> Ints:
        code: Ints = 1 + begun * self._radix[-1]
        for radix, position in zip(self._radix, positions, strict=False):
            code = code + radix * position
        return code

    def parts(self, states: Ints) -> tuple[Ints, list[Ints]]:
        digits = np.maximum(states - 1, 0)
        places = zip(self._radix[:-1], self._sizes, strict=True)
        return digits // self._radix[-1], [digits // radix % size for radix, size in places]


class NumberTable:
    """The parts of every state met so far, in the order in which they were."""

    def __init__(self, chains: int) -> None:
        self._rows = np.zeros((1, chains + 1), dtype=np.int32)
        self._size = 1
        self._number = {self._rows[0].tobytes(): 0}

    def number(self, begun: Ints, positions: Sequence[Ints]) -> Ints:
        stacked = np.stack([begun, *positions], axis=-1).astype(np.int32)
        rows, which = np.unique(stacked.reshape(-1, stacked.shape[-1]), axis=0, return_inverse=True)
        numbers = [self._number.setdefault(row.tobytes(), len(self._number)) for row in rows]
        known = np.array(numbers, dtype=np.int64)
        self._add(rows[known >= self._size])
        return 1 + known[which.reshape(begun.shape)]

    def _add(self, rows: NDArray[np.int32]) -> None:
        size = self._size + len(rows)
        if size > len(self._rows):
            room = np.zeros((2 * size, self._rows.shape[1]), dtype=np.int32)
            room[: self._size] = self._rows[: self._size]
            self._rows = room
        self._rows[self._size : size] = rows
        self._size = size

    def parts(self, states: Ints) -> tuple[Ints, list[Ints]]:
        rows = self._rows[np.maximum(states - 1, 0)].astype(np.int64)
        return rows[..., 0], list(rows[..., 1:].T) if rows.ndim == 2 else []
