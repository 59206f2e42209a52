"""Parts of objects that a question may name, and their hashes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ergotext.lm.ragged import offsets_of
from ergotext.lm.tokenizers.characters import points_of
from ergotext.lm.tokenizers.folding import fold, fold_points
from ergotext.lm.trie.names.hashes import Hashes, SpanHashes, mixed
from ergotext.lm.trie.states import VALUE_END
from ergotext.support.arrays import Ints

SHORTEST, LONGEST = 3, 30
"""Characters of a part: shorter ones stand in many texts by chance."""
MOST_KEYS = 5
"""Keys that a value tells apart at most."""
SEPARATORS = "、；，/;"
_SPLIT = str.maketrans(dict.fromkeys(SEPARATORS, "\n"))
_TAG = 5


def parts_of(value: str) -> list[str]:
    """The parts of an object, folded."""
    split = value.translate(_SPLIT).split("\n")
    parts = ("".join(map(fold, part.strip(" "))) for part in split)
    return [part for part in parts if SHORTEST <= len(part) <= LONGEST]


def hashed_parts(pool: NDArray[np.uint8], offsets: Ints) -> tuple[Ints, Hashes]:
    """Row and hash of each part of rows of objects, as ``keys.object_rows`` gives them."""
    ends = pool == VALUE_END
    text = np.where(ends, np.uint8(ord("\n")), pool).tobytes().decode(errors="replace")
    points = points_of(text.translate(_SPLIT))
    first = offsets_of((pool & 0xC0) != 0x80)[offsets]  # of characters, for that of bytes
    if first[-1] != len(points):  # no UTF-8
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.uint64)
    folded, places = fold_points(points)
    split = np.flatnonzero(points == ord("\n"))
    begin, stop = np.append(0, split[:-1] + 1)[: len(split)], split
    row = np.searchsorted(first, begin, side="right") - 1
    blank = offsets_of(points != ord(" "))  # so many other characters stand before each place
    letters = np.append(np.flatnonzero(points != ord(" ")), len(points))
    begin = np.minimum(letters[blank[begin]], stop)
    last = letters[np.maximum(blank[stop] - 1, 0)]  # before the first, only blanks may stand
    stop = np.clip(last + 1, begin, stop)
    start, stop = places[begin], places[stop]
    some = (stop - start >= SHORTEST) & (stop - start <= LONGEST)
    return row[some], hash_of(folded, start[some], stop[some])


def hash_of(points: NDArray[Any], start: Ints, stop: Ints) -> Hashes:
    """uint64 [n] below 2^32: of spans of folded texts, as values."""
    return mixed(_TAG, SpanHashes(points)(start, stop))
