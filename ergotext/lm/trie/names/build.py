"""Build the arrays by which names are found, from a trie and in bounded memory."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ergotext.errors import InputError
from ergotext.lm.ragged import offsets_of, spread, take_rows
from ergotext.lm.tokenizers.characters import points_of
from ergotext.lm.tokenizers.folding import fold_points
from ergotext.lm.tokenizers.token_bytes import Written
from ergotext.lm.trie.keys import key_blocks, object_rows
from ergotext.lm.trie.name_arrays import NameArrays
from ergotext.lm.trie.names.grams import Grams
from ergotext.lm.trie.names.hashes import BITS, Hashes, SpanHashes, buckets_of
from ergotext.lm.trie.names.values import MOST_KEYS, hashed_parts
from ergotext.lm.trie.states import ROOT, TrieStates
from ergotext.lm.trie.tree import TokenTrie
from ergotext.support.arrays import Floats, Ints
from ergotext.support.bars import bar

BLOCK = 1 << 17
"""Keys that are read at a time."""
GRAMS_EACH, VALUES_EACH = 4, 8
"""Entries to a bucket."""
MASS = 64
"""Steps of a stored mass in a nat."""
_TAB = 9
_LOW = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(BITS)


def with_names(trie: TokenTrie) -> TokenTrie:
    """A trie of triples, and what finds its names in texts that misspell them.

    It stays as it is where the text of its keys is unknown, or has no tabs: then no subject is
    found in a question at all.
    """
    try:
        assert trie.tokenizer is not None
        written = Written.by(trie.tokenizer)
    except InputError:
        return trie
    if not len(written.beginning_with(b"\t")):
        return trie
    return replace(trie, names=name_arrays(trie, written))


def name_arrays(trie: TrieStates, written: Written) -> NameArrays:
    """The names and values of a trie, by hash.

    What it holds at a time besides the result is a block of keys, and eight bytes for each gram of
    a name and for each value, twice while they are sorted.
    """
    collected = _CollectedNames(written)
    with bar(desc="indexing names", total=trie.size, unit=" keys", delay=0.5) as shown:
        low = 0
        for ids, offsets in key_blocks(trie, ROOT, BLOCK):
            high = low + len(offsets) - 1
            collected.add_names(ids, offsets, low)
            collected.add_values(*object_rows(trie, low, high), low)
            shown.update(high - low)
            low = high
    return collected.finish(trie.size)


class _CollectedNames:
    """Names, and hashes with the number of a name or key below each."""

    def __init__(self, written: Written) -> None:
        self._written = written
        self._first: list[Ints] = []
        self._grams: list[Hashes] = []
        self._values: list[Hashes] = []
        self._count = 0
        self._last = b"\t"  # no name has one

    def add_names(self, ids: Ints, offsets: Ints, low: int) -> None:
        """Take in the names of a block of keys, the first of which has the number ``low``."""
        flat, start, stop = names_of(self._written, ids, offsets)
        hashes, length = SpanHashes(flat)(start, stop), stop - start
        new = np.append(True, (hashes[1:] != hashes[:-1]) | (length[1:] != length[:-1]))
        new[0] = flat[start[0] : stop[0]].tobytes() != self._last
        self._last = flat[start[-1] : stop[-1]].tobytes()
        self._first.append(np.flatnonzero(new) + low)
        self._add_grams(flat, start[new], stop[new])
        self._count += int(new.sum())

    def _add_grams(self, flat: NDArray[np.uint8], start: Ints, stop: Ints) -> None:
        closed = offsets_of(stop - start + 1)
        text = flat.take(spread(start, stop - start + 1), mode="clip")
        text[closed[1:] - 1] = _TAB
        points = points_of(text.tobytes().decode(errors="replace"))
        inside = points != _TAB
        folded, places = fold_points(points[inside])
        row = np.repeat((offsets_of(~inside)[:-1])[inside], np.diff(places))
        number, gram = Grams(folded, row).of_names()
        self._grams.append(gram << _SHIFT | (number + self._count).astype(np.uint64))

    def add_values(self, pool: NDArray[np.uint8], offsets: Ints, low: int) -> None:
        """Take in the objects of a block of keys."""
        row, value = hashed_parts(pool, offsets)
        self._values.append(np.unique(value << _SHIFT | (row + low).astype(np.uint64)))

    def finish(self, size: int) -> NameArrays:
        """The arrays of all that was taken in."""
        first = np.concatenate([*self._first, [size]])
        grams = _sorted(self._grams)
        gram_buckets = _buckets(grams, GRAMS_EACH)
        gram_names = (grams & _LOW).astype(_type_for(self._count, np.uint16, np.uint32))
        del grams
        values = _rare(_sorted(self._values))
        bits = buckets_of(len(values), VALUES_EACH)
        marks = (values >> np.uint64(2 * BITS - bits - 8)).astype(np.uint8)
        return NameArrays(
            first.astype(_type_for(size, np.uint32, np.int64)),
            masses(self._count, gram_buckets, gram_names),
            gram_buckets,
            gram_names,
            _buckets(values, VALUES_EACH),
            marks,
            (values & _LOW).astype(np.uint32),
        )


def names_of(written: Written, ids: Ints, offsets: Ints) -> tuple[NDArray[np.uint8], Ints, Ints]:
    """Bytes of keys, and where in them the name of each begins and ends, before the first tab."""
    flat, bounds = take_rows(written.flat, written.offsets, ids)
    start, last = bounds[offsets[:-1]], bounds[offsets[1:]]
    tabs = np.append(np.flatnonzero(flat == _TAB), len(flat))
    stop = np.minimum(tabs[np.searchsorted(tabs, start)], last)
    return flat, np.minimum(start + len(written.lead), stop), stop


def idf(names: int, counts: NDArray[Any]) -> Floats:
    """float64 [n], nats: what grams weigh that so many of the names have."""
    return np.maximum(np.log((names + 1) / (counts + 1)), 0.0)


def masses(names: int, buckets: NDArray[Any], of: NDArray[Any]) -> NDArray[np.uint16]:
    """uint16 [names]: what the grams of each name weigh together, in steps of 1 / ``MASS``."""
    counts = np.diff(buckets)
    weight = np.repeat(idf(names, counts), counts)
    total = np.bincount(of, weight, minlength=names)
    return (total * MASS).clip(0, 2**16 - 1).astype(np.uint16)


def _sorted(parts: list[Hashes]) -> Hashes:
    found = np.concatenate([np.zeros(0, dtype=np.uint64), *parts])
    parts.clear()
    found.sort()
    return found


def _rare(values: Hashes) -> Hashes:
    """Those that few keys have."""
    new = np.append(True, (values[1:] >> _SHIFT) != (values[:-1] >> _SHIFT))[: len(values)]
    starts = np.flatnonzero(new)
    counts = np.diff(np.append(starts, len(values)))
    return values[np.repeat(counts <= MOST_KEYS, counts)]


def _buckets(entries: Hashes, each: int) -> NDArray[Any]:
    """Where each bucket begins, and the end of the last."""
    bits = buckets_of(len(entries), each)
    number = np.arange((1 << bits) + 1, dtype=np.uint64)
    bounds = np.searchsorted(entries, number[:-1] << np.uint64(2 * BITS - bits))
    kind = _type_for(len(entries), np.uint32, np.int64)
    return np.append(bounds, len(entries)).astype(kind)


def _type_for(highest: int, small: type[Any], large: type[Any]) -> type[Any]:
    return small if highest <= np.iinfo(small).max else large
