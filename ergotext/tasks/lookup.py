"""Look up keys of an index by prefix."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

import numpy as np

from ergotext.errors import ErgotextError, InputError
from ergotext.lm.trie.header import IndexFileError
from ergotext.lm.trie.opening import opened
from ergotext.lm.trie.schema import TITLES, Schema
from ergotext.lm.trie.texts import KeyPrefix, places_of
from ergotext.lm.trie.tree import TokenTrie
from ergotext.support.words import counted, seen

_NEXT = 12
"""Tokens shown of those that may follow."""


@dataclass(frozen=True)
class Entry:
    """A key and its objects."""

    fields: dict[str, str]
    """subject and predicate, or key, or what the schema of the index names"""
    objects: list[str]

    def text(self) -> str:
        """One line an object, as ``build`` reads them; control characters are shown as spaces."""
        key = seen(self.key)
        return "\n".join(f"{key}\t{seen(o)}" for o in self.objects) if self.objects else key

    @property
    def key(self) -> str:
        """The fields with tabs between them."""
        return "\t".join(self.fields.values())

    def json(self, ascii_only: bool = False) -> str:
        """One JSON object."""
        return json.dumps({**self.fields, "objects": self.objects}, ensure_ascii=ascii_only)


@dataclass(frozen=True)
class Below:
    """The keys that begin with a text."""

    count: int
    entries: Iterator[Entry]
    following: list[str]
    """texts of the tokens that may come next; empty where the text ends within a token"""

    def text(self, shown: int) -> str:
        """One line on how many there are."""
        following = "".join(f" {token!r}" for token in self.following[:_NEXT])
        more = " …" if len(self.following) > _NEXT else ""
        return f"({min(shown, self.count):,} of {counted(self.count, 'key')}" + (
            f"; next:{following}{more})" if following else ")"
        )


def get(index: str | Path, prefix: str, *, tokenizer: str | None = None) -> Below:
    """The keys whose text begins with ``prefix``, in sorted order, with their objects.

    In an index of triples the prefix is read as a line is: subject (with its suffix in brackets), a
    tab, and predicate.

    Raises
    ------
    InputError
        The tokenizer is needed and not given, or another one than the index was built with.
    ErgotextError
        The index cannot be read, or no key begins like this.
    """
    trie, notes = opened(index, tokenizer)
    reader = _KeyReader(trie, Schema.noted(notes) or TITLES)
    places = places_of(trie, prefix)
    low, high = trie.span(np.array([p.state for p in places], dtype=np.int64))
    suffixed = list(reader.with_meaning(prefix))
    count = int((high - low).sum()) + len(suffixed)
    if not count:
        raise ErgotextError(f"no key of {index} begins with {prefix!r}")
    following = reader.following(places) if not suffixed else []
    return Below(count, chain(reader.entries(places), suffixed), following)


class _KeyReader:
    """Turns the keys of a trie back into the fields of lines."""

    def __init__(self, trie: TokenTrie, schema: Schema) -> None:
        self.trie, self.schema = trie, schema

    def entries(self, places: Sequence[KeyPrefix]) -> Iterator[Entry]:
        """The keys below these places, in sorted order at each."""
        for place in places:
            for key in self.trie.keys(place.tokens):
                text = self.text(key)
                yield Entry(self.schema.fields(text), self.trie.objects(key))

    def with_meaning(self, prefix: str) -> Iterator[Entry]:
        """Entries whose line begins with ``prefix`` and whose key, which ends in a meaning, not."""
        if self.schema.brackets is None:
            return
        subject, _, predicate = prefix.partition("\t")
        mention, bracket, _ = subject.partition(self.schema.brackets[0])
        if mention and bracket:
            for entry in self.entries(places_of(self.trie, f"{mention}\t{predicate}")):
                if entry.key.startswith(prefix):
                    yield entry

    def following(self, places: Sequence[KeyPrefix]) -> list[str]:
        """Texts of some tokens that may come next, if there is one place."""
        if len(places) != 1:
            return []
        _, tokens, _ = self.trie.candidates(np.array([places[0].state]))
        end = self.trie.alphabet.end
        some = islice(tokens.tolist(), _NEXT + 1)
        return ["end" if token == end else self.text([token]) for token in some]

    def text(self, ids: Sequence[int]) -> str:
        """The text of these tokens."""
        if self.trie.tokenizer is None:
            return str(ids)
        try:
            return self.trie.tokenizer.decode(ids)
        except InputError as error:
            raise IndexFileError(f"the index is damaged ({error}): build it again") from error
