"""TokenTrie: keys in order, by prefix, with their objects."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ergotext.errors import InputError
from ergotext.lm.trie.key_ids import Key
from ergotext.lm.trie.keys import key_blocks
from ergotext.lm.trie.mapping import Ids, Keyed
from ergotext.lm.trie.states import BLOCK, DEAD, ROOT, VALUE_END, VALUES_END, TrieStates


class TokenTrie(TrieStates, Keyed):
    """A set of token sequences with objects to each, in about 30 bytes a key.

    Built by ``builder.build``, saved and loaded by ``file``. Arrays and states are
    described in ``TrieStates``.
    """

    def __len__(self) -> int:
        return self.size

    def __contains__(self, key: Key) -> bool:
        return self.ordinal(key) is not None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TokenTrie):
            return super().__eq__(other)
        if self.alphabet != other.alphabet or self.size != other.size:
            return False
        # Equal keys and objects make equal arrays, however the trie was built.
        return all(np.array_equal(a, b) for a, b in zip(self.arrays, other.arrays, strict=True))

    __hash__ = Keyed.__hash__

    def walk(self, prefix: Key) -> int:
        """The state after a prefix; -1 if no key begins with it."""
        state = ROOT
        for token in self.ids(prefix):
            state = self._after(state, token)
            if state == DEAD:
                break
        return state

    def objects(self, key: Key) -> list[str]:
        """The objects of a key, in the order in which they were given; none for a missing key."""
        ordinal = self.ordinal(key)
        return [] if ordinal is None else self.values_at(ordinal)

    def _count(self, prefix: Ids) -> int:
        state = self.walk(prefix)
        if state >= self.finished:  # after the end token, which is no part of any key
            return 0
        low, high = self.span(np.array([state]))
        return int(high[0] - low[0])

    def _keys(self, prefix: Ids) -> Iterator[Ids]:
        for ids, offsets in key_blocks(self, self.walk(prefix), limit=BLOCK * BLOCK):
            flat = ids.tolist()
            for low, high in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
                yield (*prefix, *flat[low : high - 1])

    def ordinal(self, key: Key) -> int | None:
        """The number of a key in sorted order; None where it is not in the trie."""
        state = self._after(self.walk(key), self.alphabet.end)
        return int(self.ordinals(np.array([state]))[0]) if state >= self.finished else None

    def values_at(self, ordinal: int) -> list[str]:
        """The objects of the key with this number."""
        block, place = divmod(ordinal, BLOCK)
        low, high = self.pool_blocks[block : block + 2].clip(0, len(self.pool)).tolist()
        keys = self.pool[low:high].tobytes().split(bytes([VALUES_END]))
        objects = keys[place].split(bytes([VALUE_END]))[:-1] if place < len(keys) else []
        return [o.decode("utf-8", errors="replace") for o in objects]

    def _after(self, state: int, token: int) -> int:
        """``advance`` for one row, without the price of arrays."""
        if state < 0 or not 0 <= token < self.alphabet.size:
            return DEAD
        if state >= self.finished:
            return state if token == self.alphabet.pad else DEAD
        if state >= self.nodes:
            if int(self.tail[state - self.nodes]) != token:
                return DEAD
            return state + (len(self.tail) if token == self.alphabet.end else 1)
        low = min(int(self.first[state]), len(self.token))
        high = max(low, min(int(self.first[state + 1]), len(self.token)))
        edge = low + int(self.token[low:high].searchsorted(self.token.dtype.type(token)))
        if edge >= high or int(self.token[edge]) != token:
            return DEAD
        return int(self.target[edge])


def settled(trie: object) -> TokenTrie:
    """The trie itself; InputError if it is one with changes, or none at all."""
    if not isinstance(trie, TokenTrie):
        raise InputError(
            f"a {type(trie).__name__} has pending changes: merge them with compact() first"
        )
    return trie
