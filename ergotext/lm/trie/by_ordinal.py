"""Look up keys by their number in sorted order."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from ergotext.lm.ragged import offsets_of, spread
from ergotext.lm.trie.restricted import RestrictedKeys
from ergotext.lm.trie.states import BLOCK, ROOT, TrieStates
from ergotext.lm.trie.tree import TokenTrie
from ergotext.support.arrays import Ints


def keys_numbered(
    automaton: TokenTrie | RestrictedKeys, inputs: Ints, ordinals: Ints
) -> tuple[Ints, Ints]:
    """Flat int64 tokens, end tokens included, and offsets [n + 1] of the keys with these numbers.

    Within the paths of an input few edges leave a node, so that its keys are come by cheaply.

    Parameters
    ----------
    automaton : TokenTrie or Within
    inputs : int64 [n]
        The input that may go along each key; of no matter for a ``TokenTrie``.
    ordinals : int64 [n]
        The number of each in sorted order.
    """
    if isinstance(automaton, RestrictedKeys):
        trie, state = automaton.trie, automaton.start(automaton.inputs)[inputs]
    else:
        trie, state = automaton, automaton.start(len(inputs))
    rows, tokens = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
    at = np.arange(len(ordinals))
    while len(at):
        edge, token, after = automaton.candidates(state)
        plain = automaton.plain(after) if isinstance(automaton, RestrictedKeys) else after
        low, high = trie.span(plain)
        wanted = ordinals[at[edge]]
        edge, token, after = (a[(low <= wanted) & (wanted < high)] for a in (edge, token, after))
        rows.append(at[edge])
        tokens.append(token)
        rest, offsets = automaton.rest(after)
        rows.append(np.repeat(at[edge], np.diff(offsets)))
        tokens.append(rest)
        going = (token != trie.end) & ~automaton.lone(after)
        at, state = at[edge][going], after[going]
    row, flat = np.concatenate(rows), np.concatenate(tokens)
    order = np.argsort(row, kind="stable")
    return flat[order], offsets_of(np.bincount(row, minlength=len(ordinals)))


MOST_KEPT = 1 << 14
"""Keys that a ``KeyReader`` remembers."""


class KeyReader:
    """Reads keys by their numbers: edges are found by bisection, and no node is listed.

    Parameters
    ----------
    trie : TrieStates
    """

    def __init__(self, trie: TrieStates) -> None:
        self.trie = trie
        self._kept: dict[int, Ints] = {}
        """keys read before: questions like one another are near the same names"""

    def __call__(self, ordinals: Ints) -> tuple[Ints, Ints]:
        """Flat int64 tokens, end tokens included, and offsets [n + 1] of these keys."""
        numbers = ordinals.tolist()
        fresh = [number for number in dict.fromkeys(numbers) if number not in self._kept]
        if fresh:
            if len(self._kept) > MOST_KEPT:
                self._kept.clear()
                fresh = list(dict.fromkeys(numbers))
            flat, offsets = self._read(np.array(fresh, dtype=np.int64))
            self._kept.update(zip(fresh, np.split(flat, offsets[1:-1]), strict=True))
        keys = [self._kept[number] for number in numbers]
        lengths = np.fromiter(map(len, keys), dtype=np.int64, count=len(keys))
        return np.concatenate([np.zeros(0, dtype=np.int64), *keys]), offsets_of(lengths)

    def _read(self, ordinals: Ints) -> tuple[Ints, Ints]:
        trie, wanted = self.trie, self._tails(ordinals)
        rows, tokens = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
        at, edge = np.arange(len(ordinals)), self._root_edge(wanted)
        at, edge = at[edge >= 0], edge[edge >= 0]
        for _ in range(trie.longest):
            if not len(at):
                break
            state = trie.target[edge].astype(np.int64)
            rows.append(at)
            tokens.append(trie.token[edge].astype(np.int64))
            rest, offsets = trie.rest(state)
            rows.append(np.repeat(at, np.diff(offsets)))
            tokens.append(rest)
            inner = (state >= 0) & (state < trie.nodes)
            at = at[inner]
            low, high = trie.edges(state[inner])
            at, low, high = (part[low < high] for part in (at, low, high))
            edge = self._edge(wanted[at], low, high)
        row, flat = np.concatenate(rows), np.concatenate(tokens)
        order = np.argsort(row, kind="stable")
        return flat[order], offsets_of(np.bincount(row, minlength=len(ordinals)))

    def _edge(self, wanted: Ints, low: Ints, high: Ints) -> Ints:
        """The last edge below which no leaf stands after what is wanted."""
        for _ in range(int((high - low).max(initial=1) - 1).bit_length()):
            middle = (low + high) // 2
            right = self._leaf(middle) <= wanted
            low, high = np.where(right, middle, low), np.where(right, high, middle)
            high = np.maximum(high, low + 1)
        return low

    def _leaf(self, edge: Ints) -> Ints:
        """The place among the tails of the first key below each edge."""
        state = self.trie.target[edge].astype(np.int64)
        return self.trie.positions(self.trie.outermost(state, last=False))

    @cached_property
    def _root(self) -> tuple[Ints, Ints]:
        """The root's edges and their first keys: the widest node, and the way to every key."""
        low, high = self.trie.edges(np.array([ROOT]))
        edges = np.arange(int(low[0]), int(high[0]))
        return edges, self._leaf(edges)

    def _root_edge(self, wanted: Ints) -> Ints:
        edges, leaves = self._root
        if not len(edges):
            return np.full(len(wanted), -1)
        found: Ints = edges[np.maximum(np.searchsorted(leaves, wanted, side="right") - 1, 0)]
        return found

    def _tails(self, ordinals: Ints) -> Ints:
        """int64 [n]: where the tails of the keys with these numbers begin."""
        trie = self.trie
        block, before = ordinals // BLOCK, ordinals % BLOCK
        begin, stop = (trie.tail_blocks[block + more].clip(0, len(trie.tail)) for more in (0, 1))
        length = np.maximum(stop - begin, 0)
        row = np.repeat(np.arange(len(ordinals)), length)
        ended = trie.tail[spread(begin, length)] == trie.end
        count = np.cumsum(ended) - ended
        starts, some = offsets_of(length)[:-1], length > 0
        first = np.zeros(len(ordinals), dtype=np.int64)
        first[some] = count[starts[some]]
        passed = row[count - first[row] < before[row]]
        found: Ints = begin + np.bincount(passed, minlength=len(ordinals))
        return found
