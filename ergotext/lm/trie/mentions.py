"""Find the subjects (or keys) of a trie that occur in a text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ergotext.errors import InputError
from ergotext.lm.ragged import offsets_of
from ergotext.lm.tokenizers.characters import TextTokenizer
from ergotext.lm.tokenizers.token_bytes import Written, alike, folded
from ergotext.lm.trie.restricted import Paths
from ergotext.lm.trie.states import DEAD, ROOT
from ergotext.lm.trie.tree import TokenTrie
from ergotext.support.arrays import Ints
from ergotext.support.words import boundaries, is_unspaced

LETTERS = 4
"""Characters from which on a span in other letters counts beside others (two, of a script without
spaces): nearly every short word is a name in some letters, such as who and WHO."""
_Bounds = tuple[list[bool], list[bool]]


@dataclass(frozen=True, eq=False)
class Spotted:
    """Spans of texts, each with a state that all keys go through that begin with the span.

    Parameters
    ----------
    text, start, stop : int64 [n]
        The span ``texts[text][start:stop]``, by rising text, start and stop.
    token, state : int64 [n]
        What closes the span (a tab, maybe with what stands after it, or the end of the key), and
        the state after it. The same span elsewhere in a text has the same state.
    other : bool [n]
        Whether the index writes the subject in other letters.
    paths : Paths
        How these states are reached; the number of the text is that of the input.
    """

    text: Ints
    start: Ints
    stop: Ints
    token: Ints
    state: Ints
    other: NDArray[np.bool_]
    paths: Paths


class Mentions:
    """Finds the subjects of keys in texts; in a key, a tab follows the subject.

    All places of all texts go down the trie side by side, along whatever tokens write what stands
    there, so what is found does not hang on how a tokenizer would cut a text of its own.

    Parameters
    ----------
    trie : TokenTrie
        With its tokenizer.
    whole : bool
        Spans that are whole keys, instead.

    Raises
    ------
    InputError
        The trie has no tokenizer, one that does not keep tabs, or one whose pieces are unknown.
    """

    def __init__(self, trie: TokenTrie, whole: bool = False) -> None:
        if trie.tokenizer is None:
            raise InputError("this trie has no tokenizer to encode texts: load it with one")
        self.trie = trie
        self.tokenizer: TextTokenizer = trie.tokenizer
        self.written = Written.by(trie.tokenizer)
        end = np.array([trie.end])
        self._closing = end if whole else self.written.beginning_with(b"\t")
        if not len(self._closing):
            raise InputError(
                "the tokenizer of this index drops the tab after a subject, so subjects cannot be "
                "found in a question: search all entries instead"
            )
        probe = self.tokenizer.encode("a")
        self._before = probe[: len(getattr(self.tokenizer, "before", ()))]

    def find(self, texts: Sequence[str], other_letters: bool = False) -> Spotted:
        """The spans of these texts that are subjects, at the boundaries of words.

        Parameters
        ----------
        texts : sequence of str
        other_letters : bool
            Also spans that the index writes in other letters (``written.alike``), unless a subject
            that stands there letter by letter covers them. Short ones only in a text that has
            nothing else.
        """
        bounds = [boundaries(text) for text in texts]
        exact = _Places(self.written, folded(self.tokenizer, texts))
        found = list(self._found(exact, bounds))
        if other_letters:
            places = _Places(self.written.alike, map(alike, texts))
            found += _others(list(self._found(places, bounds)), _spans(found), texts)
        return self._spotted(found)

    def _found(self, places: _Places, bounds: Sequence[_Bounds]) -> Iterator[_Found]:
        none = np.zeros(0, dtype=bool)
        begin, end = (np.concatenate([none, *(each[side] for each in bounds)]) for side in (0, 1))
        start = np.unique(places.byte[:-1][begin & ~places.last])
        may_stop = np.zeros(len(places.bytes) + 1, dtype=bool)
        may_stop[places.byte[:-1][end]] = True
        state = np.full(len(start), self.trie.walk(self._before), dtype=np.int64)
        path = np.tile(np.array(self._before, dtype=np.int64), (len(start), 1))
        row, token, at = places.matches(start, places.lead)
        while len(row):
            state = self.trie.advance(state[row], token)
            alive = np.flatnonzero(state != DEAD)
            state, at, start = state[alive], at[alive], start[row[alive]]
            path = np.column_stack([path[row[alive]], token[alive]])
            row = np.flatnonzero(may_stop[at] & (at > start))
            row, token = np.repeat(row, len(self._closing)), np.tile(self._closing, len(row))
            met = self.trie.advance(state[row], token) != DEAD
            row, token = row[met], token[met]
            if len(row):
                text, first = places.characters(start[row])
                _, last = places.characters(at[row])
                span = np.column_stack([text, first, last])
                yield _Found(span, np.column_stack([path[row], token]))
            row, token, at = places.matches(at)

    def _spotted(self, found: Sequence[_Found]) -> Spotted:
        spans, edges = [np.zeros((0, 6), dtype=np.int64)], [np.zeros((0, 4), dtype=np.int64)]
        for one in found:
            steps = self._steps(one.path)
            other = np.full(len(one.span), one.other)
            spans.append(np.column_stack([one.span, *steps[-1][1:], other]))
            edges += [np.column_stack([one.span[:, 0], *step]) for step in steps]
        span = np.unique(np.concatenate(spans), axis=0)
        edge = np.unique(np.concatenate(edges), axis=0)
        text, first, last, token, state, other = span.T.copy()
        return Spotted(text, first, last, token, state, other > 0, Paths(*edge.T.copy()))

    def _steps(self, path: Ints) -> list[tuple[Ints, Ints, Ints]]:
        """The edges (node, token, target) that each path [n, d] goes along, one column a time."""
        state, steps = np.full(len(path), ROOT, dtype=np.int64), []
        for token in path.T:
            target = self.trie.advance(state, token)
            steps.append((state, token, target))
            state = target
        return steps


@dataclass(frozen=True, eq=False)
class _Found:
    """Spans [n, 3] (text, start, stop), and the tokens [n, d] that write them and close them."""

    span: Ints
    path: Ints
    other: bool = False
    """whether the index writes them in other letters"""


def _spans(found: Sequence[_Found]) -> list[tuple[int, int, int]]:
    return [(text, start, stop) for one in found for text, start, stop in one.span.tolist()]


def _others(
    found: Sequence[_Found], exact: Sequence[tuple[int, int, int]], texts: Sequence[str]
) -> list[_Found]:
    """Of spans in other letters those that no exact span covers; short ones where all are."""
    places: dict[int, list[tuple[int, int]]] = {}
    for text, *place in exact:
        places.setdefault(text, []).append((place[0], place[1]))

    def uncovered(text: int, start: int, stop: int) -> bool:
        return not any(a <= start and stop <= b for a, b in places.get(text, ()))

    def is_long(text: int, start: int, stop: int) -> bool:
        return stop - start >= (2 if any(map(is_unspaced, texts[text][start:stop])) else LETTERS)

    open_ = {span for span in _spans(found) if uncovered(*span)}
    settled = set(places) | {span[0] for span in open_ if is_long(*span)}
    kept = {span for span in open_ if is_long(*span) or span[0] not in settled}
    chosen = []
    for one in found:
        rows = [row for row, span in enumerate(one.span.tolist()) if tuple(span) in kept]
        chosen.append(_Found(one.span[rows], one.path[rows], other=True))
    return [one for one in chosen if len(one.span)]


class _Places:
    """The bytes of all texts, one after the other, and the tokens that write what stands there.

    After each text stands a byte that no text holds.
    """

    def __init__(self, written: Written, texts: Iterable[Sequence[str]]) -> None:
        self._written, self.lead = written, written.lead
        rows = [[*(char.encode() for char in chars), b"\xff"] for chars in texts]
        self.bytes = b"".join(char for row in rows for char in row)
        self.byte = offsets_of(np.array([len(char) for row in rows for char in row], dtype=int))
        """where each character begins"""
        self._first = offsets_of(np.array([len(row) for row in rows], dtype=int))
        """the first character of each text"""
        self.last = np.zeros(len(self.byte) - 1, dtype=bool)
        self.last[self._first[1:] - 1] = True
        self._known: dict[int, list[tuple[int, int]]] = {}

    def characters(self, byte: Ints) -> tuple[Ints, Ints]:
        """The text of each byte, and the number in it of the character that begins there.

        Of several, of which all but one are written as nothing, the last.
        """
        char = np.searchsorted(self.byte, byte, side="right") - 1
        text = np.searchsorted(self._first, char, side="right") - 1
        return text, char - self._first[text]

    def matches(self, at: Ints, lead: bytes = b"") -> tuple[Ints, Ints, Ints]:
        """Every token that writes ``lead`` and bytes from ``at[i]`` on: i, the token, its end."""
        rows = [self._from(byte, lead) for byte in at.tolist()]
        flat = np.array([pair for row in rows for pair in row], dtype=np.int64).reshape(-1, 2)
        row = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
        return row, flat[:, 0], flat[:, 1]

    def _from(self, byte: int, lead: bytes) -> list[tuple[int, int]]:
        if not lead and byte in self._known:
            return self._known[byte]
        found = []
        for length in self._written.lengths:
            stop = byte + length - len(lead)
            if stop > len(self.bytes):
                break
            if stop >= byte:
                tokens = self._written.tokens.get(lead + self.bytes[byte:stop], ())
                found += [(token, stop) for token in tokens]
        if not lead:
            self._known[byte] = found
        return found
