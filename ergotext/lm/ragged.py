"""Ragged arrays: row i is ``flat[offsets[i] : offsets[i + 1]]``."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ergotext.support.arrays import Ints


def offsets_of(lengths: NDArray[Any]) -> Ints:
    """int64 [n + 1]: start of each row, then the end of the last."""
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def spread(starts: Ints, lengths: Ints) -> Ints:
    """int64 [sum(lengths)]: ``starts[i], starts[i] + 1, …`` for each row, concatenated."""
    before = np.cumsum(lengths) - lengths
    index = np.repeat(starts - before, lengths)
    index += np.arange(len(index))
    return index


def take_rows(flat: NDArray[Any], offsets: Ints, rows: Ints) -> tuple[NDArray[Any], Ints]:
    """The named rows in the named order, as a flat array and its offsets."""
    starts = offsets[rows]
    lengths = offsets[rows + 1] - starts
    return flat[spread(starts, lengths)], offsets_of(lengths)
