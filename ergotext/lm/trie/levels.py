"""Build the arrays of a trie from sorted keys, vectorised over keys."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ergotext.lm.ragged import offsets_of, spread, take_rows
from ergotext.lm.tokenizers.characters import Alphabet, TextTokenizer
from ergotext.lm.trie.sort import KeyRows
from ergotext.lm.trie.states import BLOCK, VALUES_END
from ergotext.lm.trie.tree import TokenTrie
from ergotext.support.arrays import Ints

_INNER = -1


class Levels:
    """Collects the edges of each level of the trie, the tails and the objects.

    A key that shares s tokens with its left neighbour and f with its right one is alone from
    depth max(s, f) + 1 on: it brings the edges of the depths from s + 1 to there, and the rest of
    it is its tail.
    """

    def __init__(self, alphabet: Alphabet) -> None:
        self.alphabet = alphabet
        self._token: dict[int, list[NDArray[Any]]] = defaultdict(list)
        self._link: dict[int, list[Ints]] = defaultdict(list)
        self._opens: dict[int, list[NDArray[np.bool_]]] = defaultdict(list)
        self._tails = _Blocks(token_type(alphabet))
        self._pool = _Blocks(np.dtype(np.uint8))
        self._longest = 0
        self._waiting: tuple[NDArray[Any], int] | None = None
        """the last key so far, whose right neighbour is yet to come, and what it shares"""

    def add(self, rows: KeyRows, shared: Ints) -> None:
        """Add rows in order, all of them after those of earlier calls.

        ``shared`` (int64 [n]) is what ``exact_order`` counted. Equal keys come in one call.
        """
        if not len(rows):
            return
        lengths = np.diff(rows.offsets)
        fresh = np.flatnonzero(np.append(True, shared[1:] < lengths[1:]))
        self._add_objects(rows, fresh)
        ids, offsets = take_rows(rows.ids, rows.offsets, fresh)
        shared = shared[fresh]
        self._longest = max(self._longest, int(lengths.max()))
        if self._waiting is not None:
            key, its_shared = self._waiting
            shared[0] = _common(key, ids[: offsets[1]])
            ids = np.concatenate([key, ids])
            offsets = np.concatenate([[0], offsets + len(key)])
            shared = np.insert(shared, 0, its_shared)
        self._waiting = ids[offsets[-2] :].copy(), int(shared[-1])
        self._emit(ids, offsets[:-1], shared[:-1], shared[1:])

    def finish(self, tokenizer: TextTokenizer | None) -> TokenTrie:
        """The trie of all that was added. The collector is empty afterwards."""
        if self._waiting is not None:
            key, shared = self._waiting
            here, alone = np.array([0, len(key)]), np.zeros(1, dtype=np.int64)
            self._emit(key, here, np.array([shared]), alone)
        tail, tail_blocks, size = self._tails.finish()
        pool, pool_blocks, _ = self._pool.finish()
        token = self._level_order(self._token, token_type(self.alphabet))
        opens = self._level_order(self._opens, np.dtype(bool))
        first = np.append(np.flatnonzero(opens), len(token)) if size else np.zeros(2, dtype=int)
        wide = state_type(len(first) - 1, len(tail))
        target = self._targets(len(first) - 1, len(tail), wide)
        return TokenTrie(
            self.alphabet, size, self._longest, first.astype(wide), token, target,
            tail, tail_blocks, pool, pool_blocks, tokenizer,
        )  # fmt: skip

    def _emit(self, ids: NDArray[Any], offsets: Ints, shared: Ints, following: Ints) -> None:
        """Edges and tails of the keys at ``offsets``; one more offset may follow, or the end."""
        count = len(shared)
        begin = offsets[:count]
        lengths = np.append(offsets, len(ids))[1 : count + 1] - begin
        alone = np.maximum(shared, following) + 1
        ended = alone == lengths
        # A leaf that is the end token itself has no rest; its tail is that end token again, so
        # that every key has a place of its own among the tails.
        tail_lengths = np.where(ended, 1, lengths - alone)
        where = self._tails.total + np.cumsum(tail_lengths) - tail_lengths
        self._tails.add(ids[spread(begin + lengths - tail_lengths, tail_lengths)], tail_lengths)

        edges = alone - shared
        key = np.repeat(np.arange(count), edges)
        depth = spread(shared + 1, edges)
        token = ids[begin[key] + depth - 1]
        link = np.where(depth == alone[key], 2 * where[key] + ended[key], _INNER)
        opens = depth > shared[key] + 1
        if count and not self._token:
            opens[0] = True
        narrow = depth.astype(np.uint16) if self._longest < 2**16 else depth
        by = np.argsort(narrow, kind="stable")
        bounds = np.cumsum(np.bincount(depth))
        for level in range(1, len(bounds)):
            part = by[bounds[level - 1] : bounds[level]]
            self._token[level].append(token[part])
            self._link[level].append(link[part])
            self._opens[level].append(opens[part])

    def _add_objects(self, rows: KeyRows, fresh: Ints) -> None:
        """Append the objects, and after the last row of each key what closes them."""
        last = np.append(fresh[1:], len(rows)) - 1
        lengths = np.diff(rows.object_offsets)
        lengths[last] += 1
        offsets = offsets_of(lengths)
        pool = np.full(offsets[-1], VALUES_END, dtype=np.uint8)
        text = np.ones(len(pool), dtype=bool)
        text[offsets[last + 1] - 1] = False
        pool[text] = rows.objects
        self._pool.add(pool, np.add.reduceat(lengths, fresh))

    def _targets(self, nodes: int, tails: int, wide: np.dtype[Any]) -> NDArray[Any]:
        """integer [E]: inner nodes by rising number, leaves as the states of their tails."""
        target = self._level_order(self._link, np.dtype(np.int64))
        inner = target == _INNER
        target = nodes + (target >> 1) + (target & 1) * tails
        target[inner] = np.arange(1, nodes)
        return target.astype(wide)

    @staticmethod
    def _level_order(levels: dict[int, list[Any]], kind: np.dtype[Any]) -> NDArray[Any]:
        parts = [part for level in sorted(levels) for part in levels[level]]
        levels.clear()
        return np.concatenate([np.empty(0, dtype=kind), *parts])


class _Blocks:
    """Rows written one after the other, with the place of every 32nd."""

    def __init__(self, kind: np.dtype[Any]) -> None:
        self.total = 0
        self._flat: list[NDArray[Any]] = [np.empty(0, dtype=kind)]
        self._lengths: list[NDArray[np.uint32]] = [np.empty(0, dtype=np.uint32)]

    def add(self, flat: NDArray[Any], lengths: Ints) -> None:
        self.total += len(flat)
        self._flat.append(flat)
        self._lengths.append(lengths.astype(np.uint32))

    def finish(self) -> tuple[NDArray[Any], Ints, int]:
        """All rows, the places (the last of them where all end), and the number of rows."""
        lengths = np.concatenate(self._lengths)
        starts = offsets_of(lengths)
        flat = np.concatenate(self._flat)
        self._flat, self._lengths = [], []
        return flat, np.append(starts[:-1:BLOCK], starts[-1]), len(lengths)


def state_type(nodes: int, tails: int) -> np.dtype[Any]:
    """uint32 if that can number every state: inner nodes and twice the tokens in tails."""
    return np.dtype(np.uint32 if nodes + 2 * tails < 2**32 else np.int64)


def token_type(alphabet: Alphabet) -> np.dtype[Any]:
    """uint16 where the vocabulary allows, else uint32."""
    return np.dtype(np.uint16 if alphabet.size <= 2**16 else np.uint32)


def _common(a: NDArray[Any], b: NDArray[Any]) -> int:
    """How many leading tokens two keys, neither the beginning of the other, have in common."""
    width = min(len(a), len(b))
    return int(np.argmax(a[:width] != b[:width]))
