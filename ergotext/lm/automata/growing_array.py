"""Growable NumPy array."""

from __future__ import annotations

import numpy as np

from ergotext.support.arrays import Ints


class Growing:
    """int64 [n]: values to which others are added, at the price of those alone."""

    def __init__(self, values: list[int]) -> None:
        self._room = np.array(values, dtype=np.int64)
        self._size = len(values)

    def __len__(self) -> int:
        return self._size

    @property
    def values(self) -> Ints:
        """The values added so far; a view that later additions do not change."""
        return self._room[: self._size]

    def add(self, values: Ints) -> None:
        """Append values."""
        size = self._size + len(values)
        if size > len(self._room):
            room = np.empty(2 * size, dtype=np.int64)
            room[: self._size] = self.values
            self._room = room
        self._room[self._size : size] = values
        self._size = size
