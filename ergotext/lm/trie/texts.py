"""The keys of a trie by the beginning of their text, whatever the tokenizer makes of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ergotext.lm.characters import CharacterTokenizer
from ergotext.lm.fast_tokenizer import FastTokenizer
from ergotext.lm.protocols import InputError
from ergotext.lm.trie.states import DEAD, ROOT
from ergotext.lm.trie.tree import TokenTrie

_CUT = "\ufffd"
"""What the first bytes of a character decode to."""


@dataclass(frozen=True)
class Place:
    """A state of a trie, and the tokens that lead to it."""

    tokens: tuple[int, ...]
    state: int


def places_of(trie: TokenTrie, text: str) -> list[Place]:
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
    if tokenizer is None:
        raise InputError(f"This trie has no tokenizer to read {text!r} with: load it with one.")
    if isinstance(tokenizer, CharacterTokenizer) or not text:
        ids = tokenizer.encode(text) if text else []
        state = trie.walk(ids)
        return [] if state == DEAD else [Place(tuple(ids), state)]
    return list(_search(trie, tokenizer.decode(tokenizer.encode(text)) or text))


def _search(trie: TokenTrie, text: str) -> Iterator[Place]:
    """Go down level by level, where what is written so far and ``text`` do not differ."""
    level = [Place((), ROOT)]
    for _ in range(trie.longest):
        if not level:
            break
        row, token, following = trie.candidates(np.array([p.state for p in level]))
        inside = token != trie.alphabet.end
        ways = [
            Place((*level[r].tokens, t), s)
            for r, t, s in zip(*(a[inside].tolist() for a in (row, token, following)), strict=True)
        ]
        level = []
        for way, written in zip(ways, _decoded(trie, ways), strict=True):
            if written.startswith(text):
                yield way
            elif text.startswith(written.rstrip(_CUT)):
                level.append(way)


def _decoded(trie: TokenTrie, ways: list[Place]) -> list[str]:
    tokenizer = trie.tokenizer
    if isinstance(tokenizer, FastTokenizer):
        return tokenizer.decode_many([way.tokens for way in ways])
    return [tokenizer.decode(way.tokens) for way in ways] if tokenizer is not None else []
