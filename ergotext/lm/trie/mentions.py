"""Find the subjects (or keys) of a trie that occur in a text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

import numpy as np

from ergotext.errors import InputError
from ergotext.lm.ragged import offsets_of
from ergotext.lm.tokenizers.characters import TextTokenizer
from ergotext.lm.tokenizers.folding import alike
from ergotext.lm.tokenizers.token_bytes import Written, folded
from ergotext.lm.trie.by_ordinal import KeyReader
from ergotext.lm.trie.names.search import NameSearch
from ergotext.lm.trie.names.spans import NearSpans
from ergotext.lm.trie.spotted import FoundSpans, Naming, Spotted, spotted_by
from ergotext.lm.trie.states import DEAD
from ergotext.lm.trie.tree import TokenTrie
from ergotext.support.arrays import Ints
from ergotext.support.words import boundaries, is_unspaced

LETTERS = 4
"""Characters from which on a span in other letters counts beside others (two, of a script without
spaces): nearly every short word is a name in some letters, such as who and WHO."""
Near = Literal["never", "else", "always"]
_Bounds = tuple[list[bool], list[bool]]


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
        self._read = KeyReader(trie)
        self._near = None
        if trie.names is not None:
            search = NameSearch(trie, trie.names, self.written, self._read)
            self._near = NearSpans(search, self._closing)

    def find(
        self, texts: Sequence[str], other_letters: bool = False, near: Near = "never"
    ) -> Spotted:
        """The spans of these texts that are subjects, at the boundaries of words.

        Parameters
        ----------
        texts : sequence of str
        other_letters : bool
            Also spans that the index writes in other letters (``written.alike``), unless a subject
            that stands there letter by letter covers them. Short ones only in a text that has
            nothing else.
        near : "never", "else" or "always"
            Also spans that misspell or shorten a subject, and values of keys (``names``), where
            there is nothing else, or always. Nothing in a trie that has no ``names``.
        """
        spotted = self._spotted(texts, other_letters)
        if near == "never":
            return spotted
        some = list(range(len(texts))) if near == "always" else _without(spotted, len(texts))
        return self.nearer(texts, spotted, some)

    def nearer(self, texts: Sequence[str], spotted: Spotted, some: Sequence[int]) -> Spotted:
        """What was spotted (``near="never"``), and what ``near="always"`` adds in some texts."""
        if self._near is None:
            return spotted
        more = list(self._near(texts, spotted, some))
        return spotted.and_also(spotted_by(self.trie, more)) if more else spotted

    def _spotted(self, texts: Sequence[str], other_letters: bool) -> Spotted:
        bounds = [boundaries(text) for text in texts]
        exact = _Places(self.written, folded(self.tokenizer, texts))
        found = list(self._found(exact, bounds))
        if other_letters:
            places = _Places(self.written.alike, map(alike, texts))
            found += _others(list(self._found(places, bounds)), _spans(found), texts)
        spotted = spotted_by(self.trie, found)
        return spotted if self._near is None else self._near.weighed(spotted)

    def suggestions(self, text: str, count: int = 3) -> list[str]:
        """Subjects that are written least unlike a part of a text; none without ``names``."""
        return [] if self._near is None else self._near.suggestions(text, count)

    def key_texts(self, ordinals: Ints) -> list[str]:
        """The texts of keys by their numbers."""
        lead = len(self.written.lead)
        return [text[lead:] for text in self.written.texts(*self._read(ordinals))]

    def _found(self, places: _Places, bounds: Sequence[_Bounds]) -> Iterator[FoundSpans]:
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
                yield FoundSpans(span, np.column_stack([path[row], token]))
            row, token, at = places.matches(at)


def _without(spotted: Spotted, count: int) -> list[int]:
    """The texts in which nothing was spotted."""
    found: list[int] = np.setdiff1d(np.arange(count), spotted.text).tolist()
    return found


def _spans(found: Sequence[FoundSpans]) -> list[tuple[int, int, int]]:
    return [(text, start, stop) for one in found for text, start, stop in one.span.tolist()]


def _others(
    found: Sequence[FoundSpans], exact: Sequence[tuple[int, int, int]], texts: Sequence[str]
) -> list[FoundSpans]:
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
        chosen.append(FoundSpans(one.span[rows], one.path[rows], Naming.OTHER))
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
