"""Look up keys by a prefix of their text, whatever its tokenisation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ergotext.lm.tokenizers.characters import Alphabet, CharacterTokenizer, TextTokenizer
from ergotext.lm.trie.states import DEAD
from ergotext.support.arrays import Ints

_CUT = "\ufffd"
"""What the first bytes of a character decode to."""


class KeyTree(Protocol):
    """Interface of tries that can be searched by text; see ``Keyed``."""

    @property
    def alphabet(self) -> Alphabet: ...
    @property
    def tokenizer(self) -> TextTokenizer | None: ...
    @property
    def longest(self) -> int: ...
    def ids(self, key: str, /) -> list[int]: ...
    def walk(self, prefix: Sequence[int], /) -> int: ...
    def keys(self, prefix: tuple[int, ...], /) -> Iterator[tuple[int, ...]]: ...
    def candidates(self, states: Ints, /) -> tuple[Ints, Ints, Ints]: ...


@dataclass(frozen=True)
class KeyPrefix:
    """A state of a trie, and the tokens that lead to it."""

    tokens: tuple[int, ...]
    state: int


def places_of(trie: KeyTree, text: str) -> list[KeyPrefix]:
    """The places below which exactly the keys lie whose text begins with ``text``.

    Where every character has its own tokens this is one walk. Other tokenizers part a text and a
    longer one differently ("new" and "news"), so the trie is searched by what its ways decode to.
    Case and the like are taken as the tokenizer takes them.

    Raises
    ------
    InputError
        The trie has no tokenizer.
    """
    tokenizer = trie.tokenizer
    if isinstance(tokenizer, CharacterTokenizer) or (tokenizer is not None and not text):
        ids = trie.ids(text) if text else []
        state = trie.walk(ids)
        return [] if state == DEAD else [KeyPrefix(tuple(ids), state)]
    text = _as_read(trie, text)
    found: list[KeyPrefix] = []
    whole: set[tuple[int, ...]] = set()

    def goes_on(written: str) -> bool:
        known = written.rstrip(_CUT)
        return not known.startswith(text) and text.startswith(known)

    for ended, ways in _levels(trie, goes_on):
        # A way may end within a character, which looks like a text's own U+FFFD until more follows.
        found += [way for way, written in ways if written.rstrip(_CUT).startswith(text)]
        for way, written in zip(ended, _decoded(trie, ended), strict=True):
            if written.startswith(text) and _all_begin(trie, way, text):
                found.append(way)
                whole.add(way.tokens)
    return [p for p in found if not any(p.tokens[:n] in whole for n in range(len(p.tokens)))]


def _all_begin(trie: KeyTree, way: KeyPrefix, text: str) -> bool:
    """Whether all keys below do; if not, the one that ends here is cut off within a character."""
    below = [KeyPrefix(key, DEAD) for key in trie.keys(way.tokens)]
    return all(written.startswith(text) for written in _decoded(trie, below))


def keys_that_begin(trie: KeyTree, text: str) -> list[tuple[int, ...]]:
    """The keys whose text ``text`` begins with, the shortest text first; as ``places_of``."""
    text = _as_read(trie, text)
    found: list[tuple[str, tuple[int, ...]]] = []
    for ended, _ in _levels(trie, lambda written: text.startswith(written.rstrip(_CUT))):
        written = _decoded(trie, ended)
        found += [(w, way.tokens) for w, way in zip(written, ended, strict=True)]
    shortest = sorted(found, key=lambda pair: (len(pair[0]), pair[1]))
    return [tokens for written, tokens in shortest if text.startswith(written)]


def _as_read(trie: KeyTree, text: str) -> str:
    ids = trie.ids(text)  # raises where there is no tokenizer
    assert trie.tokenizer is not None
    return trie.tokenizer.decode(ids) or text


def _levels(
    trie: KeyTree, goes_on: Callable[[str], bool]
) -> Iterator[tuple[list[KeyPrefix], list[tuple[KeyPrefix, str]]]]:
    """Go down level by level, from the ways of which ``goes_on`` holds for what is written.

    Yields
    ------
    list of KeyPrefix
        Keys that end here.
    list of (KeyPrefix, str)
        The ways on, and what is written there.
    """
    level = [KeyPrefix((), trie.walk(()))]
    for _ in range(trie.longest):
        if not level:
            break
        row, token, following = trie.candidates(np.array([p.state for p in level]))
        inside = token != trie.alphabet.end
        ended = [level[r] for r in row[~inside].tolist()]
        ways = [
            KeyPrefix((*level[r].tokens, t), s)
            for r, t, s in zip(*(a[inside].tolist() for a in (row, token, following)), strict=True)
        ]
        read = list(zip(ways, _decoded(trie, ways), strict=True))
        yield ended, read
        level = [way for way, written in read if goes_on(written)]


def _decoded(trie: KeyTree, ways: list[KeyPrefix]) -> list[str]:
    tokenizer = trie.tokenizer
    many = getattr(tokenizer, "decode_many", None)
    if many is not None:
        return list(many([way.tokens for way in ways]))
    return [tokenizer.decode(way.tokens) for way in ways] if tokenizer is not None else []
