"""Hashes of spans of code points, all spans of a text at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ergotext.support.arrays import Ints

Hashes = NDArray[np.uint64]
_BASE = np.uint64(0x9E3779B97F4A7C15)
_INVERSE = np.uint64(pow(0x9E3779B97F4A7C15, -1, 1 << 64))
BITS, MOST_BITS = 32, 24
"""Bits of a hash that are used, and those of them that number buckets at most."""


class SpanHashes:
    """Polynomial hashes modulo 2^64: equal spans have equal ones, wherever they stand.

    Parameters
    ----------
    points : unsigned integer [n]
    """

    def __init__(self, points: NDArray[Any]) -> None:
        count = len(points)
        power = np.full(count + 1, _BASE, dtype=np.uint64)
        back = np.full(count + 1, _INVERSE, dtype=np.uint64)
        power[0] = back[0] = 1
        np.cumprod(power, out=power)
        self._back = np.cumprod(back)
        self._sum = np.zeros(count + 1, dtype=np.uint64)
        np.cumsum((points.astype(np.uint64) + np.uint64(1)) * power[:-1], out=self._sum[1:])

    def __call__(self, start: Ints, stop: Ints) -> Hashes:
        """uint64 [n]: of each span; not mixed yet."""
        found: Hashes = (self._sum[stop] - self._sum[start]) * self._back[start]
        return found


def mixed(*parts: NDArray[Any] | int) -> Hashes:
    """uint64 [n] below 2^32: of several numbers in order, every bit of which counts."""
    value = np.zeros(1, dtype=np.uint64)
    for part in parts:
        value = value * _BASE + np.asarray(part).astype(np.uint64)
        value ^= value >> np.uint64(29)
        value = value * np.uint64(0xBF58476D1CE4E5B9)
        value ^= value >> np.uint64(32)
    return value >> np.uint64(64 - BITS)


def buckets_of(count: int, each: int) -> int:
    """The bits of a hash that number the buckets: about ``each`` of ``count`` entries in one."""
    return min(max(count // each, 1).bit_length() - 1, MOST_BITS)
