"""Iterate over the keys and objects of a trie in order, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ergotext.lm.ragged import offsets_of, spread
from ergotext.lm.trie.header import IndexFileError
from ergotext.lm.trie.states import BLOCK, VALUES_END, TrieStates
from ergotext.support.arrays import Ints


def key_blocks(trie: TrieStates, state: int, limit: int) -> Iterator[tuple[Ints, Ints]]:
    """The remaining tokens, end token included, of the keys below a state, in order.

    Yields
    ------
    ids : int64 [T]
        Keys one after the other.
    offsets : int64 [n + 1]
        Where each begins; n is at most ``limit``.
    """
    if not 0 <= state < trie.nodes:
        ids, offsets = trie.rest(np.array([state]))
        if len(ids):
            yield ids, offsets
        return
    left = trie.size
    todo = [_Edges.below(trie, state, ())]
    while todo and left > 0:
        edges = todo.pop()
        if int(edges.count.sum()) <= limit:
            ids, offsets = edges.keys(trie)
            offsets = offsets[: left + 1]  # a damaged file cannot make it continue for ever
            left -= len(offsets) - 1
            yield ids[: offsets[-1]], offsets
        elif len(edges.prefix) >= trie.longest:
            continue  # damage has made a circle
        elif len(edges.token) == 1:
            todo.append(_Edges.below(trie, int(edges.target[0]), (*edges.prefix, edges.token[0])))
        else:
            cut = int(np.searchsorted(np.cumsum(edges.count), limit, side="right"))
            todo.append(edges.part(slice(max(cut, 1), None)))
            todo.append(edges.part(slice(0, max(cut, 1))))


def keys_through(trie: TrieStates, states: Ints) -> tuple[Ints, Ints, Ints]:
    """The remaining tokens of all keys through any of these states, in order.

    None of the states may be reached from another one, and none be a sink.

    Returns
    -------
    ordinals : int64 [n]
        The numbers of the keys, rising.
    ids : int64 [T]
        Their tokens after the states, end tokens included.
    offsets : int64 [n + 1]
    """
    if not len(states):
        none = np.zeros(1, dtype=np.int64)
        return none[:0], none[:0], none
    low, high = trie.span(states)
    edges = _Edges((), np.zeros_like(states), states, high - low)
    ids, offsets = edges.keys(trie)
    lengths = np.diff(offsets) - 1  # without the token that stands for the way to each state
    order = np.argsort(low)
    ordinals = spread(low[order], (high - low)[order])[: len(lengths)]
    return ordinals, ids[spread(offsets[:-1] + 1, lengths)], offsets_of(lengths)


def object_rows(trie: TrieStates, low: int, high: int) -> tuple[NDArray[np.uint8], Ints]:
    """Flat bytes and offsets [high - low + 1]: the objects of these keys, each followed by 0xFE."""
    block = low // BLOCK
    begin, stop = trie.pool_blocks[[block, -(-high // BLOCK)]].clip(0, len(trie.pool)).tolist()
    pool = trie.pool[begin:stop]
    ends = np.flatnonzero(pool == VALUES_END)
    starts = np.append(0, ends[:-1] + 1)
    rows = slice(low - block * BLOCK, high - block * BLOCK)
    lengths = ends[rows] - starts[rows]
    if len(lengths) < high - low:
        raise IndexFileError(
            "the index that this trie was loaded from is damaged (objects of some keys are "
            "missing): verify it, and build it again"
        )
    return pool[spread(starts[rows], lengths)], offsets_of(lengths)


class _Edges:
    """Some edges of one node: the tokens before them, and how many keys go through each."""

    def __init__(self, prefix: tuple[Any, ...], token: Ints, target: Ints, count: Ints) -> None:
        self.prefix, self.token, self.target, self.count = prefix, token, target, count

    @classmethod
    def below(cls, trie: TrieStates, node: int, prefix: tuple[Any, ...]) -> _Edges:
        _, token, target = trie.candidates(np.array([node]))
        low, high = trie.span(target)
        return cls(prefix, token, target, high - low)

    def part(self, which: slice) -> _Edges:
        return _Edges(self.prefix, self.token[which], self.target[which], self.count[which])

    def keys(self, trie: TrieStates) -> tuple[Ints, Ints]:
        """Walk down level by level, then write each key from its leaf back up."""
        tokens, parents, states = [self.token], [np.zeros_like(self.token)], [self.target]
        for _ in range(1, trie.longest):
            row, token, following = _children(trie, states[-1])
            if not len(row):
                break
            tokens.append(token)
            parents.append(row)
            states.append(following)
        at = [np.flatnonzero(level >= trie.nodes) for level in states]
        depth = np.repeat(np.arange(len(at)), [len(rows) for rows in at])
        row = np.concatenate(at)
        leaf = np.concatenate([level[rows] for level, rows in zip(states, at, strict=True)])
        position = trie.positions(leaf)
        order = np.argsort(position)
        depth, row, leaf, position = (a[order] for a in (depth, row, leaf, position))

        length = np.where(leaf >= trie.finished, 0, trie.tail_lengths(position))
        offsets = offsets_of(len(self.prefix) + 1 + depth + length)
        ids = np.empty(offsets[-1], dtype=np.int64)
        for place, token in enumerate(self.prefix):
            ids[offsets[:-1] + place] = token
        path = offsets[:-1] + len(self.prefix)
        for level in range(len(at) - 1, -1, -1):
            deep = np.flatnonzero(depth >= level)
            ids[path[deep] + level] = tokens[level][row[deep]]
            row[deep] = parents[level][row[deep]]
        ids[spread(path + depth + 1, length)] = trie.tail[spread(position, length)]
        return ids, offsets


def _children(trie: TrieStates, states: Ints) -> tuple[Ints, Ints, Ints]:
    inner = np.flatnonzero((states >= 0) & (states < trie.nodes))
    row, token, following = trie.candidates(states[inner])
    most = trie.size  # no level of a sound trie is wider
    return inner[row][:most], token[:most], following[:most]
