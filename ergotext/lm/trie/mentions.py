"""Which spans of a text are whole subjects (or whole keys) of a trie."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ergotext.lm.characters import TextTokenizer
from ergotext.lm.protocols import InputError
from ergotext.lm.ragged import Ints, offsets_of
from ergotext.lm.trie.states import DEAD, ROOT
from ergotext.lm.trie.tree import TokenTrie
from ergotext.lm.trie.within import Paths
from ergotext.lm.words import joins
from ergotext.lm.written import Written, folded


@dataclass(frozen=True, eq=False)
class Spotted:
    """Spans of texts, each with a state that all keys go through that begin with the span.

    Parameters
    ----------
    text, start, stop : int64 [n]
        The span ``texts[text][start:stop]``, by rising text, start and stop.
    token, state : int64 [n]
        What closes the span (a tab, maybe with what stands behind it, or the end of the key), and
        the state behind it. The same span elsewhere in a text has the same state.
    paths : Paths
        How these states are reached; the number of the text is that of the input.
    """

    text: Ints
    start: Ints
    stop: Ints
    token: Ints
    state: Ints
    paths: Paths


class Mentions:
    """Finds spans of texts that are whole subjects: in a key, a tab stands behind a subject.

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
        The trie has no tokenizer, one that does not keep tabs, or one whose pieces cannot be told.
    """

    def __init__(self, trie: TokenTrie, whole: bool = False) -> None:
        if trie.tokenizer is None:
            raise InputError("This trie has no tokenizer to read texts with: load it with one.")
        self.trie = trie
        self.tokenizer: TextTokenizer = trie.tokenizer
        self.written = Written.by(trie.tokenizer)
        end = np.array([trie.end])
        self._closing = end if whole else self.written.beginning_with(b"\t")
        if not len(self._closing):
            raise InputError(
                "The tokenizer of this index does not keep the tab behind a subject, so subjects "
                "cannot be found in a question: search without spans."
            )
        probe = self.tokenizer.encode("a")
        self._before = probe[: len(getattr(self.tokenizer, "before", ()))]

    def find(self, texts: Sequence[str]) -> Spotted:
        """The spans of these texts that are subjects, at the boundaries of words."""
        places = _Places(self.written, list(folded(self.tokenizer, texts)))
        bound = np.concatenate([np.zeros(0, dtype=bool), *map(_boundaries, texts)])
        start = places.byte[:-1][bound & ~places.last]
        may_stop = np.zeros(len(places.bytes) + 1, dtype=bool)
        may_stop[places.byte[:-1][bound]] = True
        state = np.full(len(start), self.trie.walk(self._before), dtype=np.int64)
        path = np.tile(np.array(self._before, dtype=np.int64), (len(start), 1))
        row, token, at = places.matches(start, self.written.lead)
        found: list[_Found] = []
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
                found.append(_Found(start[row], at[row], np.column_stack([path[row], token])))
            row, token, at = places.matches(at)
        return self._spotted(places, found)

    def _spotted(self, places: _Places, found: list[_Found]) -> Spotted:
        spans, edges = [np.zeros((0, 5), dtype=np.int64)], [np.zeros((0, 4), dtype=np.int64)]
        for one in found:
            text, start = places.characters(one.start)
            steps = self._steps(one.path)
            _, stop = places.characters(one.stop)
            spans.append(np.column_stack([text, start, stop, *steps[-1][1:]]))
            edges += [np.column_stack([text, *step]) for step in steps]
        span = np.unique(np.concatenate(spans), axis=0)
        edge = np.unique(np.concatenate(edges), axis=0)
        text, first, last, token, state = span.T.copy()
        return Spotted(text, first, last, token, state, Paths(*edge.T.copy()))

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
    """Spans of bytes, and the tokens [n, d] that write them and close them."""

    start: Ints
    stop: Ints
    path: Ints


class _Places:
    """The bytes of all texts, one behind the other, and the tokens that write what stands there.

    Behind each text stands a byte that no text holds.
    """

    def __init__(self, written: Written, texts: Sequence[Sequence[str]]) -> None:
        self._written = written
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
        """The text of each byte, and the number in it of the character that begins there."""
        char = np.searchsorted(self.byte, byte)
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


def _boundaries(text: str) -> NDArray[np.bool_]:
    """bool [len + 1]: whether a word may begin or end before each character, and at the end."""
    runs = [joins(char) for char in text]
    inner = [not (a and b) for a, b in itertools.pairwise(runs)]
    return np.array([True, *inner, True] if text else [True])
