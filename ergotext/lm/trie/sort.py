"""Sort token sequences and count the tokens that neighbours share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ergotext.lm.ragged import take_rows
from ergotext.support.arrays import Ints


@dataclass(frozen=True, eq=False)
class KeyRows:
    """Keys, end token included, and the objects of each, in flat arrays.

    Parameters
    ----------
    ids : uint16 or uint32 [T]
        Tokens, key after key; ``offsets`` (int64 [n + 1]) says where each begins.
    objects : uint8 [P]
        UTF-8 with 0xFE after each object; ``object_offsets`` (int64 [n + 1]) likewise.
    """

    ids: NDArray[Any]
    offsets: Ints
    objects: NDArray[np.uint8]
    object_offsets: Ints

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def nbytes(self) -> int:
        """Bytes that the rows take up, bookkeeping included."""
        return self.ids.nbytes + self.objects.nbytes + 16 * len(self)

    def take(self, rows: Ints) -> KeyRows:
        """The named rows in the named order."""
        objects = take_rows(self.objects, self.object_offsets, rows)
        return KeyRows(*take_rows(self.ids, self.offsets, rows), *objects)

    @classmethod
    def joined(cls, parts: list[KeyRows]) -> KeyRows:
        """All rows of all parts, in order."""
        if len(parts) == 1:
            return parts[0]
        return cls(
            np.concatenate([p.ids for p in parts]),
            _joined_offsets([p.offsets for p in parts]),
            np.concatenate([p.objects for p in parts]),
            _joined_offsets([p.object_offsets for p in parts]),
        )


def exact_order(ids: NDArray[Any], offsets: Ints) -> tuple[Ints, Ints]:
    """Sort keys; equal ones keep their order.

    Every key ends with the end token, so that no key is the beginning of another.

    Returns
    -------
    order : int64 [n]
        The i-th key in sorted order is row ``order[i]``.
    shared : int64 [n]
        How many tokens it has in common with the key before it: all of them for a duplicate.

    Notes
    -----
    Radix sort from the left, 8 bytes at a time; only keys that tie with a neighbour continue.
    """
    per_word = 8 // ids.itemsize
    lengths = np.diff(offsets)
    order = np.arange(len(lengths))
    shared = np.zeros(len(lengths), dtype=np.int64)
    at, group, depth = order.copy(), np.zeros(len(order), dtype=np.int64), 0
    while len(at):
        rows = order[at]
        word = _words(ids, offsets[rows] + depth, lengths[rows] - depth, per_word)
        by = np.lexsort((word, group)) if depth else np.argsort(word, kind="stable")
        rows, word = rows[by], word[by]
        order[at] = rows
        together = group[1:] == group[:-1]
        differ = word[1:] ^ word[:-1]
        parted = np.flatnonzero(together & (differ != 0))
        shared[at[parted + 1]] = depth + _equal_units(differ[parted], per_word)
        equal = together & (differ == 0)
        ended = lengths[rows[1:]] <= depth + per_word
        twins = np.flatnonzero(equal & ended)
        shared[at[twins + 1]] = lengths[rows[twins + 1]]
        on = equal & ~ended
        tied = np.append(on, False) | np.insert(on, 0, False)
        group = np.cumsum(np.insert(~on, 0, False))[tied]
        at, depth = at[tied], depth + per_word
    return order, shared


def _words(ids: NDArray[Any], start: Ints, left: Ints, per_word: int) -> NDArray[np.uint64]:
    """uint64 [n]: the next tokens of each key, packed so that numbers sort as sequences do."""
    bits = np.uint64(64 // per_word)
    word = np.zeros(len(start), dtype=np.uint64)
    for unit in range(per_word):
        token = ids.take(start + unit, mode="clip")
        token[left <= unit] = 0
        word = (word << bits) | token
    return word


def _equal_units(differ: NDArray[np.uint64], per_word: int) -> Ints:
    """int64 [n]: how many leading tokens of two words are the same, from their XOR."""
    bits = 64 // per_word
    equal = np.zeros(len(differ), dtype=np.int64)
    for unit in range(1, per_word):
        equal += differ < np.uint64(1 << (64 - bits * unit))
    return equal


def _joined_offsets(parts: list[Ints]) -> Ints:
    return np.concatenate([[0], *(np.diff(p) for p in parts)]).cumsum()
