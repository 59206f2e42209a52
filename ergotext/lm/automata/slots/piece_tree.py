"""A prefix tree of strings, walked together with a range of sorted texts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from ergotext.lm.automata.slots.key_texts import KeyRange, KeyTexts
from ergotext.support.arrays import Ints

_BYTE = 8
_ROOT = 0


class Reached(NamedTuple):
    """What strings do from a place in the texts."""

    inside: Ints
    """int64 [n]: strings that a text goes on with, or ends with"""
    low: Ints
    """int64 [m]: of each text that ends within strings, the first of these"""
    high: Ints
    """int64 [m]: and the one after the last"""
    depth: Ints
    """int64 [m]: the bytes of these strings that are the text's"""


class PieceTree:
    """Distinct strings as a prefix tree in flat arrays.

    Parameters
    ----------
    strings : iterable of bytes
        None of them empty. Their numbers are their places in sorted order.
    """

    def __init__(self, strings: Iterable[bytes]) -> None:
        self.strings = sorted(strings)
        self.numbers = {string: number for number, string in enumerate(self.strings)}
        self.longest = max(map(len, self.strings), default=0)
        edges: dict[int, int] = {}
        low, high, ends = [0], [len(self.strings)], [-1]
        for number, string in enumerate(self.strings):
            node = _ROOT
            for byte in string:
                code = node << _BYTE | byte
                node = edges.setdefault(code, len(low))
                if node == len(low):
                    low.append(number)
                    high.append(number)
                    ends.append(-1)
                high[node] = number + 1
            ends[node] = number
        codes, children = np.array([*edges]), np.array([*edges.values()])
        order = np.argsort(codes)
        self._codes, self._children = codes[order], children[order]
        self._low, self._high, self._ends = map(np.array, (low, high, ends))

    def __len__(self) -> int:
        return len(self.strings)

    def reached(self, texts: KeyTexts, place: KeyRange) -> Reached:
        """Which strings follow a place: within the texts, and beyond the end of one.

        Tree and texts are walked side by side, level by level. Of the texts that begin alike only
        the first is followed; the others join where they part from it.
        """
        rows, parts = _parting(texts, place, self.longest)
        starts = texts.offsets[rows] + place.depth
        lengths = texts.offsets[rows + 1] - starts
        nodes, heads = np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64)
        inside, ended, depths = ([np.empty(0, dtype=np.int64)] for _ in range(3))
        for depth in range(self.longest):
            first = np.flatnonzero(parts <= depth)
            node = nodes[np.searchsorted(heads, first, side="right") - 1]
            going = lengths[first] > depth
            if depth:  # a text that ends here, before any string does
                over = node[~going]
                ended.append(over)
                depths.append(np.full(len(over), depth))
            child = np.full(len(first), -1)
            code = node[going] << _BYTE | texts.content[starts[first[going]] + depth]
            at = np.minimum(np.searchsorted(self._codes, code), len(self._codes) - 1)
            child[going] = np.where(self._codes[at] == code, self._children[at], -1)
            alive = np.repeat(child >= 0, np.diff(np.append(first, len(rows))))
            found = child[child >= 0]
            ends = self._ends[found]
            inside.append(ends[ends >= 0])
            kept = np.flatnonzero(alive)
            if not len(kept):
                break
            # Where a group is dropped, no other joins it: the first of each stays the first.
            heads, nodes = np.searchsorted(kept, first[child >= 0]), found
            rows, parts, starts, lengths = (a[kept] for a in (rows, parts, starts, lengths))
        return self._reached(*(np.concatenate(a) for a in (inside, ended, depths)))

    def _reached(self, inside: Ints, nodes: Ints, depths: Ints) -> Reached:
        """Strings that are longer than a text which ends: those below its node."""
        low, high = self._low[nodes] + (self._ends[nodes] >= 0), self._high[nodes]
        more = low < high
        return Reached(inside, low[more], high[more], depths[more])


def _parting(texts: KeyTexts, place: KeyRange, horizon: int) -> tuple[Ints, Ints]:
    """The texts of a place that part from the one before within so many bytes, and after how many.

    The first one parts from none: after -1.
    """
    shared = texts.shared[place.low + 1 : place.high]
    part = np.flatnonzero(shared <= place.depth + horizon)
    after = shared[part].astype(np.int64) - place.depth
    return np.append(0, part + 1) + place.low, np.append(-1, after)
