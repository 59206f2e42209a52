"""Grams: what a name and a text have in common if one is written like the other."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ergotext.lm.ragged import offsets_of
from ergotext.lm.trie.names.hashes import Hashes, SpanHashes, mixed
from ergotext.support.arrays import Ints
from ergotext.support.words import is_unspaced, joins

GAP = 4
"""Characters that the second of a pair stands after the first at most."""
_PAIR, _WORD, _PART, _INITIALS = range(1, 5)
NO_LETTER, LETTER, UNSPACED = range(3)
FEWEST_INITIALS, MOST_INITIALS, LONG_WORD = 2, 6, 3
"""Letters of initials, and of words whose initials are never left out."""


@lru_cache(maxsize=1 << 16)
def _kind(point: int) -> int:
    if point < 0:
        return NO_LETTER
    char = chr(point)
    if is_unspaced(char):
        return UNSPACED if char.isalnum() else NO_LETTER
    return LETTER if joins(char) else NO_LETTER


def kinds(points: NDArray[Any]) -> NDArray[np.int8]:
    """int8 [n]: no letter, one of a script with spaces, or one that stands alone."""
    each, which = np.unique(points, return_inverse=True)
    found = np.fromiter(map(_kind, each.tolist()), dtype=np.int8, count=len(each))
    return found[which]


class Grams:
    """The grams of folded texts.

    Of scripts without spaces, characters in pairs, at most ``GAP`` apart, so that a letter more or
    less leaves most of them. Of others, words, words beside one another, parts of three letters of
    a word, and the initials of all words, or of all but the short ones.

    Parameters
    ----------
    points : uint32 [n]
        All texts, one after the other.
    row : int64 [n]
        The text of each character, rising.
    """

    def __init__(self, points: NDArray[np.uint32], row: Ints) -> None:
        self._points, self._row = points, row
        kind = kinds(points)
        self._word = kind == LETTER
        same = np.append(row[1:] == row[:-1], False) if len(row) else np.zeros(0, dtype=bool)
        on = same & self._word & np.append(self._word[1:], False)[: len(row)]
        """whether the next character is of the same word"""
        self._ends = ~on
        self._begins = np.append(True, ~on[:-1]) if len(row) else np.zeros(0, dtype=bool)
        some = kind != NO_LETTER
        self._start = np.flatnonzero(some & self._begins)
        self._stop = np.flatnonzero(some & self._ends) + 1
        self._hash = SpanHashes(points)(self._start, self._stop)
        self._is_word = self._word[self._start]

    def of_names(self) -> tuple[Ints, Hashes]:
        """Rows and hashes: what stands in a text, and the initials of its words."""
        return _joined([*self._common(), *self._initials()])

    def of_texts(self) -> tuple[Ints, Hashes]:
        """Rows and hashes: what stands in a text, and each word as initials of a name."""
        length = self._stop - self._start
        short = self._is_word & (length >= FEWEST_INITIALS) & (length <= MOST_INITIALS)
        initials = mixed(_INITIALS, self._hash[short])
        return _joined([*self._common(), (self._row[self._start[short]], initials)])

    def _common(self) -> list[tuple[Ints, Hashes]]:
        row, length = self._row[self._start], self._stop - self._start
        long = self._is_word & (length > 1)
        found = [(row[long], mixed(_WORD, self._hash[long]))]
        for gap in range(1, GAP + 1):
            both = row[gap:] == row[:-gap]
            if gap > 1:
                both &= ~(self._is_word[gap:] & self._is_word[:-gap])
            one, two = self._hash[:-gap][both], self._hash[gap:][both]
            found.append((row[gap:][both], mixed(_PAIR, one, two)))
        return [*found, self._parts()]

    def _parts(self) -> tuple[Ints, Hashes]:
        """Each letter of a word of three or more between its neighbours."""
        inside = np.zeros(len(self._points) + 1, dtype=np.int64)
        long = self._is_word & (self._stop - self._start > 2)
        np.add.at(inside, self._start[long], 1)
        np.add.at(inside, self._stop[long], -1)
        at = np.flatnonzero(np.cumsum(inside[:-1]))
        points = self._points.astype(np.int64)
        left = np.where(self._begins[at], 0, points[at - 1])
        right = np.where(self._ends[at], 0, points[np.minimum(at + 1, len(points) - 1)])
        return self._row[at], mixed(_PART, left, points[at], right)

    def _initials(self) -> list[tuple[Ints, Hashes]]:
        found = []
        for least in (1, LONG_WORD):
            some = self._is_word & (self._stop - self._start >= least)
            first = self._start[some]
            rows, counts = np.unique(self._row[first], return_counts=True)
            bounds = offsets_of(counts)
            enough = (counts >= FEWEST_INITIALS) & (counts <= MOST_INITIALS)
            spans = SpanHashes(self._points[first])(bounds[:-1][enough], bounds[1:][enough])
            found.append((rows[enough], mixed(_INITIALS, spans)))
        return found


def _joined(parts: list[tuple[Ints, Hashes]]) -> tuple[Ints, Hashes]:
    """Each gram of a row once, by rising row."""
    row = np.concatenate([row for row, _ in parts])
    both = row.astype(np.uint64) << np.uint64(32) | np.concatenate([one for _, one in parts])
    both = np.unique(both)
    return (both >> np.uint64(32)).astype(np.int64), both & np.uint64(0xFFFFFFFF)
