"""Sorted texts that are walked byte by byte: a prefix tree of millions of keys without nodes."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ergotext.errors import InputError
from ergotext.lm.automata.schema.values import quoted
from ergotext.lm.ragged import offsets_of
from ergotext.support.arrays import Ints
from ergotext.support.reprs import called, safe
from ergotext.support.words import counted

_ESCAPED = re.compile(rb'[\x00-\x1f"\\]')
KEPT = 1 << 16
"""Steps from one place by one byte that are kept."""


class KeyRange(NamedTuple):
    """What was read of a key: keys ``low`` up to ``high`` begin with it, in ``depth`` bytes."""

    low: int
    high: int
    depth: int


class KeyTexts:
    """Distinct texts in the order of their bytes.

    What begins with the same bytes is a range, found by binary search: a node of a prefix tree that
    is never built.

    Parameters
    ----------
    texts : iterable of bytes
        In any order; a text that comes again counts once.
    name : str
        Of the index that they are from, for messages.

    Raises
    ------
    InputError
        There is no text, or one of them is empty.
    """

    def __init__(self, texts: Iterable[bytes], name: str) -> None:
        self.name = name
        every = sorted(set(texts))
        if not every:
            raise InputError(f"the index {name} has no keys: build it from some lines")
        if not every[0]:
            raise InputError(f"a key of the index {name} has no text: build it without this key")
        self.offsets = offsets_of(np.fromiter(map(len, every), np.int64, len(every)))
        """int64 [n + 1]: where each text begins in ``joined``"""
        self.joined = b"".join(every)
        self.shared = _shared(self.content, self.offsets)
        """int32 [n]: leading bytes that each text has in common with the one before; -1 first"""
        self._step = lru_cache(KEPT)(self._stepped)

    @safe
    def __repr__(self) -> str:
        return called("KeyTexts", f"{self.name}: {counted(len(self), 'text')}")

    def __reduce__(self) -> tuple[type[KeyTexts], tuple[list[bytes], str]]:
        return KeyTexts, (list(self), self.name)

    def __len__(self) -> int:
        return len(self.shared)

    def __iter__(self) -> Iterator[bytes]:
        return map(self.text, range(len(self)))

    def __contains__(self, text: object) -> bool:
        place = self.after(self.root, text) if isinstance(text, bytes) else None
        return place is not None and self.whole(place)

    @cached_property
    def content(self) -> NDArray[np.uint8]:
        """uint8 [T]: all texts, one after the other."""
        return np.frombuffer(self.joined, dtype=np.uint8)

    @cached_property
    def quoted(self) -> KeyTexts:
        """The same texts as JSON writes them, quotes included; each has one spelling."""
        return KeyTexts(map(_quoted, self), self.name)

    @property
    def root(self) -> KeyRange:
        """Where nothing has been read."""
        return KeyRange(0, len(self), 0)

    def text(self, number: int) -> bytes:
        """One of the texts."""
        return self.joined[int(self.offsets[number]) : int(self.offsets[number + 1])]

    def whole(self, place: KeyRange) -> bool:
        """Whether what was read is one of the texts; others may go on from it."""
        return int(self.offsets[place.low + 1] - self.offsets[place.low]) == place.depth

    def after(self, place: KeyRange, text: Sequence[int]) -> KeyRange | None:
        """The place after more bytes; None where no text goes on with them."""
        for byte in text:
            further = self._step(place, byte)
            if further is None:
                return None
            place = further
        return place

    def shortest(self, place: KeyRange) -> int:
        """The number of the shortest text that goes on from there."""
        lengths = np.diff(self.offsets[place.low : place.high + 1])
        return place.low + int(lengths.argmin())

    def _stepped(self, place: KeyRange, byte: int) -> KeyRange | None:
        low = self._first(place, byte)
        high = self._first(KeyRange(low, place.high, place.depth), byte + 1)
        return KeyRange(low, high, place.depth + 1) if low < high else None

    def _first(self, place: KeyRange, byte: int) -> int:
        """The first text of a place whose next byte is this or a higher one."""
        joined, offsets, depth = self.joined, self.offsets, place.depth

        def next_byte(number: int) -> int:
            at = int(offsets[number]) + depth
            return joined[at] if at < offsets[number + 1] else -1

        return bisect_left(range(place.high), byte, place.low, place.high, key=next_byte)

    @cached_property
    def initial(self) -> frozenset[int]:
        """The bytes that texts begin with."""
        return frozenset(np.unique(self.content[self.offsets[:-1]]).tolist())

    @cached_property
    def final(self) -> frozenset[int]:
        """The bytes that texts end with."""
        return frozenset(np.unique(self.content[self.offsets[1:] - 1]).tolist())


def _quoted(text: bytes) -> bytes:
    return b'"' + text + b'"' if not _ESCAPED.search(text) else quoted(text.decode()).encode()


def _shared(joined: NDArray[np.uint8], offsets: Ints) -> NDArray[np.int32]:
    """int32 [n]: the leading bytes that each text shares with the one before; -1 for the first."""
    shared = np.zeros(len(offsets) - 1, dtype=np.int32)
    lengths, rows, depth = np.diff(offsets), np.arange(1, len(offsets) - 1), 0
    while len(rows):
        rows = rows[(lengths[rows] > depth) & (lengths[rows - 1] > depth)]
        rows = rows[joined[offsets[rows] + depth] == joined[offsets[rows - 1] + depth]]
        depth += 1
        shared[rows] = depth
    shared[0] = -1
    return shared
