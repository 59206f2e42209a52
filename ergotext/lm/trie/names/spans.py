"""Spans of texts that misspell or shorten a subject, or are values of keys."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ergotext.lm.trie.names.align import MATCH
from ergotext.lm.trie.names.build import names_of
from ergotext.lm.trie.names.search import FoldedTexts, NameSearch, NearNames
from ergotext.lm.trie.spotted import EVIDENCE, FoundSpans, Naming, Spotted, walked
from ergotext.lm.trie.states import DEAD
from ergotext.support.arrays import Floats, Ints
from ergotext.support.words import boundaries, is_unspaced

NEAR = 5
"""Names near a text that are kept: of 314 questions of NLPCC 2016 that do not hold their subject,
86 % have it among so many, and no more than 87 % among sixteen."""
FEWEST, FEWEST_SPACED = 2, 3
"""Characters that a span and a name have in common at least, in scripts without and with spaces."""
LEAST = 0.6
"""Share of the characters of a span that the name has at least."""
_LENGTH, _MASS, _EQUAL, _EXTRA = map(EVIDENCE.index, ("length", "mass", "equal", "extra"))


class NearSpans:
    """Finds what ``Mentions`` does not: subjects in a text that are written in another way.

    Parameters
    ----------
    search : NameSearch
    closing : int64 [n]
        The tokens that may close a subject.
    """

    def __init__(self, search: NameSearch, closing: Ints) -> None:
        self.search, self.trie = search, search.trie
        self._written, self._closing = search.written, closing
        self._whole = closing.tolist() == [search.trie.end]

    def __call__(
        self, texts: Sequence[str], spotted: Spotted, some: Sequence[int]
    ) -> Iterator[FoundSpans]:
        """The nearest names of some texts, and keys by values; none of those spotted already."""
        if not len(some):
            return
        numbers = np.array(some, dtype=np.int64)
        for found in self._found([texts[n] for n in some], self._known(spotted, numbers)):
            yield replace(
                found, span=np.column_stack([numbers[found.span[:, 0]], found.span[:, 1:]])
            )

    def _known(self, spotted: Spotted, numbers: Ints) -> list[Ints]:
        """The names that were spotted in each of these texts."""
        low, _ = self.trie.span(spotted.state)
        known, _ = self.search.mass_of(low)
        low, high = (np.searchsorted(spotted.text, numbers + more) for more in (0, 1))
        return [known[a:b] for a, b in zip(low, high, strict=True)]

    def _found(self, texts: Sequence[str], mine: list[Ints]) -> Iterator[FoundSpans]:
        folded = FoldedTexts.of(texts)
        near = _nearest(texts, self.search.near(folded, mine))
        yield from self._names(near)
        if not self._whole:
            names = [np.append(one, near.name[near.text == n]) for n, one in enumerate(mine)]
            yield from self._values(texts, folded, names)

    def _names(self, near: NearNames) -> Iterator[FoundSpans]:
        names = self.search.names.names
        first = names[near.name].astype(np.int64)
        ids, offsets = self.search.read(first)
        _, start, stop = names_of(self._written, ids, offsets)
        low, high = first, names[near.name + 1].astype(np.int64)
        spans = np.column_stack([near.text, near.start, near.stop])
        evidence = _evidence(near)
        # How many tokens write each name: those that end where it does, or before.
        written = self._written.offsets[ids + 1] - self._written.offsets[ids]
        ends = np.cumsum(written)
        count = np.searchsorted(ends, stop, side="right") - offsets[:-1]
        if self._whole:
            count = np.diff(offsets) - 1
        path = rows_of(ids, offsets[:-1], np.where(stop > start, count, 0))
        row, token = self._closed(path, low, high)
        whole = (evidence[row, _EQUAL] == 1) & (evidence[row, _EXTRA] == 0)
        for kind, some in ((Naming.OTHER, whole), (Naming.NEAR, ~whole)):
            at = row[some]
            yield FoundSpans(
                spans[at], np.column_stack([path[at], token[some]]), kind, evidence[at]
            )

    def _closed(self, path: Ints, first: Ints, last: Ints) -> tuple[Ints, Ints]:
        """Row and token: what closes a key of each name, those of its keys from first to last."""
        _, state, _ = walked(self.trie, path)
        row = np.repeat(np.arange(len(path)), len(self._closing))
        token = np.tile(self._closing, len(path))
        after = self.trie.advance(state[row], token)
        row, token, after = (part[after != DEAD] for part in (row, token, after))
        low, high = self.trie.span(after)
        inside = (low >= first[row]) & (high <= last[row])
        return row[inside], token[inside]

    def suggestions(self, text: str, count: int) -> list[str]:
        """The names nearest to a text, however far; as the index writes them, the nearest first."""
        none = np.zeros(0, dtype=np.int64)
        near = self.search.near(FoldedTexts.of([text]), [none])
        name = near.name[np.argsort(-_rank(near), kind="stable")][:count]
        first = self.search.names.names[name].astype(np.int64)
        flat, start, stop = names_of(self._written, *self.search.read(first))
        whole, spans = flat.tobytes(), zip(start.tolist(), stop.tolist(), strict=True)
        return list(dict.fromkeys(whole[a:b].decode(errors="replace") for a, b in spans))

    def weighed(self, spotted: Spotted) -> Spotted:
        """The same spans, which stand as the index has them, with the evidence for them."""
        low, _ = self.trie.span(spotted.state)
        evidence = spotted.evidence.copy()
        evidence[:, _LENGTH] = spotted.stop - spotted.start
        evidence[:, _MASS] = self.search.mass_of(low)[1]
        return replace(spotted, evidence=evidence)

    def _values(
        self, texts: Sequence[str], folded: FoldedTexts, names: Sequence[Ints]
    ) -> Iterator[FoundSpans]:
        spans: list[tuple[int, int, int]] = []
        keys: list[int] = []
        for number, found in enumerate(self.search.by_value(texts, folded)):
            its, _ = self.search.mass_of(np.array([key for _, _, key in found], dtype=np.int64))
            fresh = ~np.isin(its, names[number])
            for (start, stop, key), new in zip(found, fresh.tolist(), strict=True):
                if new:
                    spans.append((number, start, stop))
                    keys.append(key)
        if not keys:
            return
        span = np.array(spans, dtype=np.int64)
        ids, offsets = self.search.read(np.array(keys, dtype=np.int64))
        evidence = np.zeros((len(keys), len(EVIDENCE)))
        evidence[:, _LENGTH] = span[:, 2] - span[:, 1]
        path = rows_of(ids, offsets[:-1], np.diff(offsets))
        yield FoundSpans(span, path, Naming.VALUE, evidence)


def rows_of(flat: Ints, starts: Ints, lengths: Ints) -> Ints:
    """int64 [n, d]: the beginnings of rows, filled up with -1."""
    place = np.arange(int(lengths.max(initial=0)))
    inside = place < lengths[:, None]
    at = np.where(inside, starts[:, None] + place, 0)
    return np.where(inside, flat.take(at, mode="clip"), -1) if len(flat) else np.zeros_like(at)


def _rank(near: NearNames) -> Floats:
    """float64 [n]: what the alignment is worth, by the root of the share of the name's grams."""
    share = np.minimum(near.mass / np.maximum(near.total, 1e-9), 1.0)
    return np.asarray(near.score * np.sqrt(share), dtype=np.float64)


def _nearest(texts: Sequence[str], near: NearNames) -> NearNames:
    """The best of each text, each with the span of whole words that it is like."""
    near = near.only(np.flatnonzero(near.score > 0))
    spans, spaced, blank = _widened(texts, near)
    near = replace(near, start=spans[:, 0], stop=spans[:, 1], equal=near.equal - blank)
    fewest = np.where(spaced, FEWEST_SPACED, FEWEST)
    rows: Ints = np.flatnonzero(
        (near.equal >= np.minimum(fewest, near.length))
        & (near.equal >= LEAST * (near.stop - near.start))
    )
    rows = rows[np.lexsort([-_rank(near)[rows], near.text[rows]])]
    place = np.arange(len(rows)) - np.searchsorted(near.text[rows], near.text[rows])
    return near.only(rows[place < NEAR])


def _widened(texts: Sequence[str], near: NearNames) -> tuple[Ints, NDArray[np.bool_], Ints]:
    """Spans [n, 2] of whole words, in scripts that have spaces, and where these are.

    And how many equal characters were spaces at an end, which belong to no word (`` of ``).
    """
    bounds = {row: boundaries(texts[row]) for row in set(near.text.tolist())}
    spans, spaced, blank = [], [], []
    each = zip(near.text.tolist(), near.start.tolist(), near.stop.tolist(), strict=True)
    for row, start, stop in each:
        (begins, ends), text = bounds[row], texts[row]
        # An alignment begins and ends with equal characters; spaces after a space are none.
        blank.append(text[start:stop][:1].isspace() + text[start:stop][-1:].isspace())
        stop = start + len(text[start:stop].rstrip())
        start = stop - len(text[start:stop].lstrip())
        while start > 0 and not begins[start] and not is_unspaced(text[start - 1]):
            start -= 1
        while stop < len(text) and not ends[stop] and not is_unspaced(text[stop]):
            stop += 1
        spans.append((start, stop))
        spaced.append(not any(map(is_unspaced, text[start:stop])))
    return (
        np.array(spans, dtype=np.int64).reshape(-1, 2),
        np.array(spaced, dtype=bool),
        np.array(blank, dtype=np.int64),
    )


def _evidence(near: NearNames) -> Floats:
    """float64 [n, len(EVIDENCE)]."""
    length = np.maximum(near.length, 1)
    span = np.maximum(near.stop - near.start, 1)
    told = {
        "length": near.length,
        "mass": near.mass,
        "score": near.score / (MATCH * length),
        "equal": near.equal / length,
        "extra": 1 - np.minimum(near.equal / span, 1.0),
        "share": np.minimum(near.mass / np.maximum(near.total, 1e-9), 1.0),
        "begins": near.begins,
        "ends": near.ends,
    }
    return np.column_stack([np.asarray(told[name], dtype=np.float64) for name in EVIDENCE])
