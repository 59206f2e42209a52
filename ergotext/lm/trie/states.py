"""The trie as flat arrays, and its vectorised steps from states to next tokens."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ergotext.lm.automaton_base import AutomatonBase
from ergotext.lm.ragged import offsets_of, spread
from ergotext.lm.tokenizers.characters import Alphabet, TextTokenizer
from ergotext.lm.trie.distance import nearest
from ergotext.lm.trie.name_arrays import NameArrays
from ergotext.support.arrays import Ints

ROOT, DEAD = 0, -1
MOST_KEPT = 1 << 22
"""Candidates of the root that are kept for the next call (24 bytes each)."""
BLOCK = 32
"""Keys to one stored offset; the others are found by counting what closes a row."""
VALUE_END, VALUES_END = 0xFE, 0xFF
"""Close an object, and the objects of a key, in the pool: bytes that no UTF-8 text holds."""


@dataclass(frozen=True, eq=False, repr=False)
class TrieStates(AutomatonBase):
    """A set of token sequences as an automaton (``lm.protocols.Automaton``).

    Inner nodes are those that several keys pass through, numbered level by level from the root,
    so that the edges of a node are consecutive. Where only one key continues, the rest of it, end
    token included, is a run of plain tokens: its *tail*. Tails, and the pool of objects, stand in
    the sorted order of the keys, which is that of their token ids.

    A state is a plain number. With M inner nodes and T tokens in tails it is a node below M; or
    M + p: the next token is ``tail[p]``; or M + T + p: the key whose end token is ``tail[p]`` is
    complete; or -1: no key begins like this. The last two kinds are sinks: they allow padding and
    nothing else, so a finished or dead row that keeps asking is never let back in.

    Parameters
    ----------
    alphabet : Alphabet
    size, longest : int
        Number of keys; tokens of the longest one, end token included.
    first : integer [M + 1]
        Edges of node m: ``first[m]`` up to ``first[m + 1]``, by rising token.
    token, target : integer [E]
        The token of each edge, and the state that it leads to.
    tail : integer [T]
        All tails, at least an end token each.
    tail_blocks : int64 [ceil(size / 32) + 1]
        Where the tail of every 32nd key begins; after the last, T.
    pool : uint8 [P]
        The objects of each key: UTF-8, 0xFE after each object, 0xFF after each key.
    pool_blocks : int64 [ceil(size / 32) + 1]
        Where the objects of every 32nd key begin; after the last, P.
    tokenizer : TextTokenizer, optional
        What turns a text into a key.
    names : NameArrays, optional
        What finds names that a text misspells, and keys by their values (``names``).

    Notes
    -----
    What is read from the arrays is bounded before it is used as an index, every number is some
    state, and every loop has a bound: so a damaged file gives wrong answers at worst.
    """

    alphabet: Alphabet
    size: int
    longest: int
    first: NDArray[Any]
    token: NDArray[Any]
    target: NDArray[Any]
    tail: NDArray[Any]
    tail_blocks: Ints
    pool: NDArray[np.uint8]
    pool_blocks: Ints
    tokenizer: TextTokenizer | None = None
    names: NameArrays | None = None

    @cached_property
    def nodes(self) -> int:
        """M, the number of inner nodes, root included."""
        return len(self.first) - 1

    @cached_property
    def finished(self) -> int:
        """M + T: from here on a state is a complete key."""
        return self.nodes + len(self.tail)

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays, objects included."""
        return sum(array.nbytes for array in self.arrays)

    @property
    def arrays(self) -> tuple[NDArray[Any], ...]:
        """All there is of it, but for its numbers and its tokenizer."""
        keys = (self.first, self.token, self.target, self.tail, self.tail_blocks)
        return (*keys, self.pool, self.pool_blocks)

    @property
    def end(self) -> int:
        """The token that closes a key."""
        return self.alphabet.end

    def start(self, count: int) -> Ints:
        """int64 [count]: the root, once a row."""
        return np.full(count, ROOT, dtype=np.int64)

    def candidates(self, states: Ints) -> tuple[Ints, Ints, Ints]:
        """Flat int64 arrays (row, token, next state), by rising row and, in it, rising token.

        A sink gives one candidate, padding. The root of an empty trie gives none: a dead end.
        """
        if not np.any(states):
            return self._root_candidates(len(states))
        inner = self._is_node(states)
        if inner.all():
            low, high = self.edges(states)
            edge = spread(low, high - low)
            row = np.repeat(np.arange(len(states)), high - low)
            token, following = self.token.take(edge), self.target.take(edge)
            return row, token.astype(np.int64), following.astype(np.int64)
        return self._mixed_candidates(states, inner)

    def accepting(self, states: Ints) -> NDArray[np.bool_]:
        """bool [B]: whether the tokens read are a key, its end token read or yet to be."""
        end = np.full(len(states), self.alphabet.end, dtype=np.int64)
        return (states >= self.finished) | (self.advance(states, end) >= self.finished)

    def advance(self, states: Ints, tokens: Ints) -> Ints:
        """int64 [B]: each state after one token; -1 where no key continues with it."""
        after = np.full(len(states), DEAD, dtype=np.int64)
        inner = self._is_node(states)
        single = np.flatnonzero(~inner)
        token, following = self._single(states[single])
        after[single] = np.where(token == tokens[single], following, DEAD)
        rows = np.flatnonzero(inner)
        low, high = self.edges(states[rows])
        rows, low, high = (a[low < high] for a in (rows, low, high))
        wanted, stop = tokens[rows], high
        for _ in range(int((high - low).max(initial=0)).bit_length()):
            middle = np.minimum((low + high) // 2, stop - 1)
            right = (self.token[middle] < wanted) & (low < high)
            low, high = np.where(right, middle + 1, low), np.where(right, high, middle)
        edge = np.minimum(low, stop - 1)
        found = self.token[edge] == wanted
        after[rows[found]] = self.target[edge[found]]
        return after

    def least(self, states: Ints) -> Ints:
        """int64 [B]: fewest remaining tokens; exact."""
        least = np.zeros(len(states), dtype=np.int64)
        inner, tail = self._is_node(states), self.lone(states)
        least[inner] = self._nearest[states[inner]]
        least[tail] = self.tail_lengths(states[tail] - self.nodes) - 1
        return least

    @cached_property
    def _nearest(self) -> Ints:
        return nearest(self)

    def lone(self, states: Ints) -> NDArray[np.bool_]:
        """bool [B]: where only one key continues; ``rest`` gives it."""
        return (states >= self.nodes) & (states < self.finished)

    def span(self, states: Ints) -> tuple[Ints, Ints]:
        """int64 [B] each: the keys that go through a state are those from low up to high.

        Keys are numbered in sorted order, so whatever is kept by key is a range here.
        """
        low, high = self.outermost(states, last=False), self.outermost(states, last=True)
        some = (low >= self.nodes) & (high >= self.nodes)
        begin, stop = np.zeros(len(states), dtype=np.int64), np.zeros(len(states), dtype=np.int64)
        begin[some], stop[some] = self.ordinals(low[some]), self.ordinals(high[some]) + 1
        return begin, np.maximum(begin, stop)

    def ordinals(self, states: Ints) -> Ints:
        """int64 [B]: the number, in sorted order, of the one key of each tail or finished state."""
        position = self.positions(states)
        block = np.searchsorted(self.tail_blocks[:-1], position, side="right") - 1
        block = np.maximum(block, 0)
        begin = np.clip(self.tail_blocks[block], position - BLOCK * self.longest, position)
        begin = np.maximum(begin, 0)
        row = np.repeat(np.arange(len(states)), position - begin)
        closed = self.tail[spread(begin, position - begin)] == self.alphabet.end
        ordinal: Ints = block * BLOCK + np.bincount(row[closed], minlength=len(states))
        return ordinal.clip(0, self.size - 1)

    def rest(self, states: Ints) -> tuple[Ints, Ints]:
        """Flat int64 tokens and offsets [B + 1]: what is left of the one key of each tail state.

        The end token is included; rows of any other kind of state are empty.
        """
        at = np.flatnonzero(self.lone(states))
        begin = states[at] - self.nodes
        length = np.zeros(len(states), dtype=np.int64)
        length[at] = self.tail_lengths(begin)
        starts = np.zeros(len(states), dtype=np.int64)
        starts[at] = begin
        return self.tail[spread(starts, length)].astype(np.int64), offsets_of(length)

    def tail_lengths(self, begin: Ints) -> Ints:
        """int64 [B]: tokens from these positions of ``tail`` up to and with the next end token."""
        length = np.zeros(len(begin), dtype=np.int64)
        going = np.arange(len(begin))
        for step in range(self.longest):
            position = begin[going] + step
            going, position = going[position < len(self.tail)], position[position < len(self.tail)]
            if not len(going):
                break
            length[going] = step + 1
            going = going[self.tail[position] != self.alphabet.end]
        return length

    def positions(self, states: Ints) -> Ints:
        """int64 [B]: the place in ``tail`` of tail states and of finished ones."""
        position = states - np.where(states >= self.finished, self.finished, self.nodes)
        return position.clip(0, max(len(self.tail) - 1, 0))

    def outermost(self, states: Ints, last: bool) -> Ints:
        """int64 [B]: the state at the first or last leaf below each state; -1 if there is none."""
        states = states.copy()
        for _ in range(self.longest):
            at = np.flatnonzero(self._is_node(states))
            if not len(at):
                break
            low, high = self.edges(states[at])
            empty = low == high
            states[at[empty]] = DEAD
            at, edge = at[~empty], (high - 1 if last else low)[~empty]
            states[at] = self.target[edge]
        states[self._is_node(states)] = DEAD
        return states

    def edges(self, nodes: Ints) -> tuple[Ints, Ints]:
        """int64 [B] each: the first edge of each inner node, and one past its last."""
        low = np.minimum(self.first[nodes].astype(np.int64), len(self.token))
        high = np.minimum(self.first[nodes + 1].astype(np.int64), len(self.token))
        return low, np.clip(high, low, low + self.alphabet.size)

    def _is_node(self, states: Ints) -> NDArray[np.bool_]:
        return (states >= 0) & (states < self.nodes)

    def _single(self, states: Ints) -> tuple[Ints, Ints]:
        """int64 [B] each: the one token that follows a tail state or a sink, and the next state."""
        token = np.full(len(states), self.alphabet.pad, dtype=np.int64)
        following = states.copy()
        at = np.flatnonzero((states >= self.nodes) & (states < self.finished))
        token[at] = self.tail[states[at] - self.nodes]
        last = token[at] == self.alphabet.end
        following[at] += np.where(last, len(self.tail), 1)
        return token, following

    def _mixed_candidates(self, states: Ints, inner: NDArray[np.bool_]) -> tuple[Ints, Ints, Ints]:
        single = ~inner
        if not len(self.token):
            return np.flatnonzero(single), *self._single(states[single])
        width, start = np.ones(len(states), dtype=np.int64), np.zeros(len(states), dtype=np.int64)
        low, high = self.edges(states[inner])
        width[inner], start[inner] = high - low, low
        # Rows of any other kind stand in with an edge that is put right below: one pass for all.
        edge = spread(start, width)
        row = np.repeat(np.arange(len(states)), width)
        token = self.token.take(edge, mode="clip").astype(np.int64)
        following = self.target.take(edge, mode="clip").astype(np.int64)
        at = (np.cumsum(width) - width)[single]
        token[at], following[at] = self._single(states[single])
        return row, token, following

    def _root_candidates(self, count: int) -> tuple[Ints, Ints, Ints]:
        """The root is the widest node and every row's first: its rows are made once."""
        rows = self._root_rows.get(count)
        if rows is None:
            token, following = self._root
            row = np.repeat(np.arange(count), len(token))
            rows = row, np.tile(token, count), np.tile(following, count)
            for part in rows:
                part.flags.writeable = False
            self._root_rows.clear()
            if len(row) <= MOST_KEPT:
                self._root_rows[count] = rows
        return rows

    @cached_property
    def _root_rows(self) -> dict[int, tuple[Ints, Ints, Ints]]:
        """The root's candidates for the number of rows last asked for."""
        return {}

    @cached_property
    def _root(self) -> tuple[Ints, Ints]:
        root = np.zeros(1, dtype=np.int64)
        low, high = self.edges(root)
        edge = spread(low, high - low)
        return self.token[edge].astype(np.int64), self.target[edge].astype(np.int64)
