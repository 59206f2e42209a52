"""Find names that a text writes in another way, and keys by values that stand in it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ergotext.lm.ragged import offsets_of, spread
from ergotext.lm.tokenizers.characters import points_of
from ergotext.lm.tokenizers.folding import fold_points
from ergotext.lm.tokenizers.token_bytes import Written
from ergotext.lm.trie.by_ordinal import KeyReader
from ergotext.lm.trie.name_arrays import NameArrays
from ergotext.lm.trie.names.align import Alignments, align
from ergotext.lm.trie.names.build import MASS, idf, names_of
from ergotext.lm.trie.names.grams import FEWEST_INITIALS, LONG_WORD, MOST_INITIALS, Grams
from ergotext.lm.trie.names.hashes import BITS, Hashes
from ergotext.lm.trie.names.values import LONGEST, SHORTEST, hash_of, parts_of
from ergotext.lm.trie.tree import TokenTrie
from ergotext.support.arrays import Floats, Ints
from ergotext.support.words import boundaries, is_unspaced

_WORD = re.compile(r"\w+")
READ = 1024
"""Characters of a text that are searched."""
LISTED = 1 << 14
"""Entries of lists that are read for a text: rare grams first, so most of what counts."""
ALIGNED = 16
"""Names that are aligned with a text."""
LETTERS = 64
"""Characters of a name that are aligned."""
ABBREVIATED = 3
"""What each of the initials of a name is worth, beside ``align.MATCH``."""
BY_VALUE = 10
CHECKED = 64
"""Entries of a text whose values are read, to see whether the hash was right."""


@dataclass(frozen=True, eq=False)
class FoldedTexts:
    """The beginnings of texts, folded; ``place`` int64 leads back to characters of the texts."""

    points: NDArray[np.uint32]
    row: Ints
    place: Ints
    offsets: Ints

    @classmethod
    def of(cls, texts: Sequence[str]) -> FoldedTexts:
        texts = [text[:READ] for text in texts]
        points = points_of("".join(texts))
        lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
        folded, places = fold_points(points)
        each = np.repeat(np.arange(len(points)), np.diff(places))
        row = np.repeat(np.arange(len(texts)), lengths)[each]
        starts = offsets_of(lengths)
        place = each - starts[row]
        return cls(folded, row, place, offsets_of(np.bincount(row, minlength=len(texts))))


@dataclass(frozen=True, eq=False)
class NearNames:
    """Names near texts, by rising text, the nearest first.

    Parameters
    ----------
    text, start, stop : int64 [n]
        The span ``texts[text][start:stop]`` is written like the name.
    name : int64 [n]
    length, equal, score : int64 [n]
        Characters of the folded name; how many of them stand in the span; what their alignment is
        worth (``align``).
    mass, total : float64 [n], nats
        What the grams that text and name have in common weigh, and all those of the name.
    begins, ends : bool [n]
        Whether span and name begin and end alike.
    """

    text: Ints
    start: Ints
    stop: Ints
    name: Ints
    length: Ints
    equal: Ints
    score: Ints
    mass: Floats
    total: Floats
    begins: NDArray[np.bool_]
    ends: NDArray[np.bool_]

    def only(self, rows: Ints) -> NearNames:
        """These rows, in this order."""
        return NearNames(**{name: part[rows] for name, part in vars(self).items()})


class NameSearch:
    """Looks for the names and values of a trie in texts.

    Parameters
    ----------
    trie : TokenTrie
    names : NameArrays
    written : Written
        By its tokenizer.
    read : KeyReader
    """

    def __init__(
        self, trie: TokenTrie, names: NameArrays, written: Written, read: KeyReader
    ) -> None:
        self.trie, self.names, self.written, self.read = trie, names, written, read

    def near(self, texts: FoldedTexts, without: Sequence[Ints]) -> NearNames:
        """Up to ``ALIGNED`` names for each text, but for those with these numbers."""
        row, gram = Grams(texts.points, texts.row).of_texts()
        bounds = np.searchsorted(row, np.arange(len(texts.offsets)))
        found = [
            self._heaviest(gram[low:high], known)
            for low, high, known in zip(bounds[:-1], bounds[1:], without, strict=True)
        ]
        text = np.repeat(np.arange(len(found)), [len(names) for names, _ in found])
        name = np.concatenate([np.zeros(0, dtype=np.int64), *(names for names, _ in found)])
        mass = np.concatenate([np.zeros(0), *(mass for _, mass in found)])
        return self._aligned(texts, text, name, mass)

    def _heaviest(self, grams: Hashes, without: Ints) -> tuple[Ints, Floats]:
        """Names that have most in common with a text, and how much.

        By the mass in common, and by its product with the root of the share that it is of the
        name's, in turn: among many names of the same parts the one favours long ones.
        """
        buckets = np.unique(grams >> np.uint64(BITS - _bits(self.names.gram_buckets)))
        low, high = _ranges(self.names.gram_buckets, buckets, len(self.names.gram_names))
        order = np.argsort(high - low, kind="stable")
        low, high = low[order], high[order]
        size = high - low
        weight = idf(len(self.names), size)
        read = int(np.searchsorted(np.cumsum(size), LISTED, side="right"))
        listed = self.names.gram_names[spread(low[:read], size[:read])].astype(np.int64)
        name, which = np.unique(listed, return_inverse=True)
        mass = np.bincount(which, np.repeat(weight[:read], size[:read]), minlength=len(name))
        known = np.isin(name, without) | (name >= len(self.names))
        name, mass = name[~known], mass[~known]
        some = np.argsort(-mass, kind="stable")[: 8 * ALIGNED]
        name, mass = name[some], mass[some]
        for begin, stop, more in zip(low[read:], high[read:], weight[read:], strict=True):
            its = self.names.gram_names[begin:stop]
            at = np.minimum(np.searchsorted(its, name), max(len(its) - 1, 0))
            mass = mass + more * (its[at] == name)
        share = np.sqrt(np.minimum(mass / np.maximum(self._total(name), 1e-9), 1.0))
        turns = [np.argsort(-by, kind="stable") for by in (mass, mass * share)]
        first = np.array(list(dict.fromkeys(np.stack(turns, axis=1).ravel().tolist())), dtype=int)
        chosen = first[:ALIGNED]
        return name[chosen], mass[chosen]

    def _total(self, name: Ints) -> Floats:
        return self.names.name_mass[name] / MASS

    def mass_of(self, keys: Ints) -> tuple[Ints, Floats]:
        """The name of each key, by number, and what its grams weigh together."""
        name = np.searchsorted(self.names.names, keys, side="right") - 1
        name = name.clip(0, max(len(self.names) - 1, 0))
        return name, self._total(name)

    def _aligned(self, texts: FoldedTexts, text: Ints, name: Ints, mass: Floats) -> NearNames:
        each, which = np.unique(name, return_inverse=True)
        points, lengths = self._folded(each)
        lengths = lengths[which]
        width = int(np.diff(texts.offsets).max(initial=0))
        lines = _filled(texts.points, texts.offsets, width, -1)
        found = align(lines[text], points[which])
        first = points[which, 0]
        last = points[which, np.maximum(lengths, 1) - 1]
        begins = lines[text, np.minimum(found.start, width - 1)] == first
        ends = lines[text, np.maximum(found.stop, 1) - 1] == last
        start, stop = self._places(texts, text, found)
        near = NearNames(
            text, start, stop, name, lengths, found.equal, found.score, mass, self._total(name),
            begins, ends,
        )  # fmt: skip
        return abbreviated(near, texts, [_text(line) for line in points], which)

    @staticmethod
    def _places(texts: FoldedTexts, text: Ints, found: Alignments) -> tuple[Ints, Ints]:
        """The characters of the texts that spans of the folded texts come from."""
        most = len(texts.place) - 1
        base = texts.offsets[text]
        start = texts.place[np.minimum(base + found.start, most)]
        stop = texts.place[np.clip(base + found.stop - 1, 0, most)] + 1
        some = found.score > 0
        return np.where(some, start, 0), np.where(some, stop, 0)

    def _folded(self, name: Ints) -> tuple[NDArray[np.int64], Ints]:
        """int64 [n, K] and [n]: names folded, filled up with -2, and their lengths."""
        first = self.names.names[name].astype(np.int64).clip(0, max(len(self.trie) - 1, 0))
        flat, start, stop = names_of(self.written, *self.read(first))
        whole = flat.tobytes()
        spans = zip(start.tolist(), stop.tolist(), strict=True)
        texts = [whole[a:b].decode(errors="replace")[:LETTERS] for a, b in spans]
        folded = FoldedTexts.of(texts)
        lengths = np.diff(folded.offsets)
        width = max(int(lengths.max(initial=0)), 1)
        return _filled(folded.points, folded.offsets, width, -2), lengths

    def by_value(
        self, texts: Sequence[str], folded: FoldedTexts
    ) -> Iterator[list[tuple[int, int, int]]]:
        """For each text spans, and a key of which each is a value: the longest spans first."""
        start, stop = _value_spans(texts, folded)
        row = folded.row[start] if len(start) else start
        span, key = self._marked(hash_of(folded.points, start, stop))
        bounds = np.searchsorted(row[span], np.arange(len(texts) + 1)).tolist()
        for low, high in pairwise(bounds):
            rows, keys = span[low:high], key[low:high]
            order = np.lexsort([keys, start[rows] - stop[rows]])[:CHECKED]
            places = zip(start[rows[order]].tolist(), stop[rows[order]].tolist(), strict=True)
            yield self._checked(folded, places, keys[order].tolist())

    def _marked(self, hashes: Hashes) -> tuple[Ints, Ints]:
        """Row of each hash, and keys in its bucket with its mark."""
        bits = _bits(self.names.value_buckets)
        buckets, marks = hashes >> np.uint64(BITS - bits), hashes >> np.uint64(BITS - bits - 8)
        low, high = _ranges(self.names.value_buckets, buckets, len(self.names.value_keys))
        entry = spread(low, high - low)
        row = np.repeat(np.arange(len(hashes)), high - low)
        same = self.names.value_marks[entry] == (marks.astype(np.uint8))[row]
        row, key = row[same], self.names.value_keys[entry[same]].astype(np.int64)
        some = key < len(self.trie)
        return row[some], key[some]

    def _checked(
        self, folded: FoldedTexts, places: Iterable[tuple[int, int]], keys: list[int]
    ) -> list[tuple[int, int, int]]:
        found: dict[int, tuple[int, int, int]] = {}
        for (start, stop), key in zip(places, keys, strict=True):
            if len(found) == BY_VALUE:
                break
            text = folded.points[start:stop].astype("<u4").tobytes().decode("utf-32-le")
            values = self.trie.values_at(key)
            if key not in found and any(text in parts_of(value) for value in values):
                place = folded.place
                found[key] = int(place[start]), int(place[stop - 1]) + 1, key
        return list(found.values())


def abbreviated(
    near: NearNames, texts: FoldedTexts, names: Sequence[str], which: Ints
) -> NearNames:
    """The same, where a word of a text is the initials of a name aligned with them.

    The name counts as one of a character more, of which it holds all others.
    """
    initials = {n: found for n, name in enumerate(names) if (found := _initials(name))}
    rows = [row for row, name in enumerate(which.tolist()) if name in initials]
    if not rows:
        return near
    parts = {name: part.copy() for name, part in vars(near).items()}
    for row in rows:
        low, high = texts.offsets[near.text[row] : near.text[row] + 2].tolist()
        line = _text(texts.points[low:high])
        for word in _WORD.finditer(line):
            if word[0] in initials[int(which[row])]:
                start, stop = (low + place for place in word.span())
                told = {
                    "start": texts.place[start], "stop": texts.place[stop - 1] + 1,
                    "length": stop - start + 1, "equal": stop - start,
                    "score": ABBREVIATED * (stop - start), "begins": True, "ends": True,
                }  # fmt: skip
                for name, value in told.items():
                    parts[name][row] = value
    return NearNames(**parts)


def _initials(name: str) -> set[str]:
    """Those of all words of a name, and of all but short ones; none of a single word."""
    words = [word for word in _WORD.findall(name) if not any(map(is_unspaced, word))]
    found = {"".join(w[0] for w in words if len(w) >= least) for least in (1, LONG_WORD)}
    return {one for one in found if FEWEST_INITIALS <= len(one) <= MOST_INITIALS}


def _text(points: NDArray[Any]) -> str:
    return "".join(map(chr, points[points >= 0].tolist()))


def _value_spans(texts: Sequence[str], folded: FoldedTexts) -> tuple[Ints, Ints]:
    """Spans of folded texts that may be values, at the boundaries of words, by rising text."""
    begins, ends = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
    for row, text in enumerate(texts):
        low, high = folded.offsets[row : row + 2].tolist()
        place = folded.place[low:high]
        may_begin, may_end = (np.array(side) for side in boundaries(text[:READ]))
        fresh = np.append(True, place[1:] != place[:-1])[: len(place)]
        begin = low + np.flatnonzero(may_begin[place] & fresh)
        end = (
            low + 1 + np.flatnonzero(may_end[place + 1] & np.append(fresh[1:], True)[: len(place)])
        )
        first, last = (np.searchsorted(end, begin + more) for more in (SHORTEST, LONGEST + 1))
        begins.append(np.repeat(begin, last - first))
        ends.append(end[spread(first, last - first)])
    return np.concatenate(begins), np.concatenate(ends)


def _bits(buckets: NDArray[np.generic]) -> int:
    """The bits of a hash that number these buckets."""
    return max(len(buckets) - 1, 1).bit_length() - 1


def _ranges(buckets: NDArray[np.generic], number: Hashes, most: int) -> tuple[Ints, Ints]:
    """int64 [n] each: where buckets begin and end, whatever a damaged file says."""
    at = number.astype(np.int64)
    low = buckets[at].astype(np.int64).clip(0, most)
    return low, buckets[at + 1].astype(np.int64).clip(low, most)


def _filled(points: NDArray[np.uint32], offsets: Ints, width: int, fill: int) -> Ints:
    """int64 [n, width]: rows of points, filled up."""
    lengths = np.diff(offsets)
    found = np.full((len(lengths), max(width, 1)), fill, dtype=np.int64)
    found[np.repeat(np.arange(len(lengths)), lengths), spread(np.zeros_like(lengths), lengths)] = (
        points
    )
    return found
