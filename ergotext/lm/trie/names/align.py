"""Align names with texts: the span of a text that is written most like a name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ergotext.lm.trie.names.grams import UNSPACED, kinds
from ergotext.support.arrays import Ints

MATCH, ALONE, MISMATCH, LEFT_OUT, ADDED = 4, 1, 3, 1, 3
"""What an equal character is worth, and a letter of a script with spaces that follows no equal one:
such are equal here and there by chance. What another one costs, one of the name that the text
leaves out (names are shortened more than they are misspelt), and one that it adds."""
_SCORE, _START = 1 << 40, 1 << 20
"""A cell is one number: score, start and equal characters, in order of rank."""


@dataclass(frozen=True, eq=False)
class Alignments:
    """int64 [n] each: the best local alignment of each pair.

    Parameters
    ----------
    start, stop : int64 [n]
        The span of the text.
    score, equal : int64 [n]
        What it is worth, and characters that are equal; 0 where nothing is.
    """

    start: Ints
    stop: Ints
    score: Ints
    equal: Ints


def align(texts: NDArray[Any], names: NDArray[Any]) -> Alignments:
    """Align each name with its text, all pairs side by side.

    Parameters
    ----------
    texts, names : integer [n, L] and [n, K]
        Code points, less than a million a text. What fills up a text is negative, and what fills
        up a name another negative number.

    References
    ----------
    Smith and Waterman 1981, "Identification of common molecular subsequences". Gaps within a row
    are a running maximum, so that rows of all pairs are made at once.
    """
    count, width = texts.shape
    fresh = np.arange(width + 1, dtype=np.int64) * _START
    ramp = np.arange(width + 1, dtype=np.int64) * (ADDED * _SCORE)
    row = np.tile(fresh, (count, 1))
    best = np.zeros(count, dtype=np.int64)
    stop = np.zeros(count, dtype=np.int64)
    before = np.zeros((count, width), dtype=bool)
    """whether the character of the text before each is that of the name before"""
    spaced = np.reshape(kinds(names.ravel()) != UNSPACED, names.shape)
    for letter, apart in zip(names.T, spaced.T, strict=True):
        equal = texts == letter[:, None]
        worth = np.where(before | ~apart[:, None], MATCH, ALONE) * _SCORE + 1
        step = np.where(equal, worth, -MISMATCH * _SCORE)
        before[:, 1:] = equal[:, :-1]
        new = np.maximum(row - LEFT_OUT * _SCORE, fresh)
        np.maximum(new[:, 1:], row[:, :-1] + step, out=new[:, 1:])
        row = np.maximum.accumulate(new + ramp, axis=1) - ramp
        at = row.argmax(axis=1)
        value = row[np.arange(count), at]
        better = value > best
        best, stop = np.where(better, value, best), np.where(better, at, stop)
    score, rest = best // _SCORE, best % _SCORE
    start = np.where(score > 0, rest // _START, 0)
    return Alignments(start, np.where(score > 0, stop, 0), score, rest % _START)
