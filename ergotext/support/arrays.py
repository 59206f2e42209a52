"""Types of NumPy arrays, and their different values."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def distinct(values: Ints) -> Ints:
    """The different values, rising.

    As ``np.unique``, whose hash table (numpy 2.3) takes minutes for a million numbers that are
    multiples of a large one, as codes of states are.
    """
    ordered = np.sort(values, axis=None)
    first = np.ones(ordered.shape, dtype=np.bool_)
    first[1:] = ordered[1:] != ordered[:-1]
    found: Ints = ordered[first]
    return found
