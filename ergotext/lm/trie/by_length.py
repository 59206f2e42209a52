"""Find the best keys of a given length under independent token distributions (masked models)."""

from __future__ import annotations

import heapq
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ergotext.errors import InputError
from ergotext.lm.trie.states import ROOT
from ergotext.lm.trie.tree import TokenTrie, settled
from ergotext.support.arrays import Floats, Ints

Scored = tuple[float, tuple[int, ...]]

CHUNK = 4096
"""Beginnings of one length that are gone on with at a time, the most promising first."""
_LAST = 63
"""All keys of this many tokens or more are counted as of one length where nodes are left out."""


class KeysByLength:
    """Finds the keys of n tokens with the highest sum of log p_i(token i), for any laws p_1 … p_n.

    Parameters
    ----------
    trie : TokenTrie

    Raises
    ------
    InputError
        The trie has changes that are not compacted.

    Notes
    -----
    A beginning of d tokens can come to no more than its own sum and the maxima of the laws after
    it. So the trie is walked level by level, many nodes in one step, and what cannot beat the k-th
    best of the keys found so far is let go: branch and bound, so the result is exact. Where a
    level has more than ``CHUNK`` nodes left, the most promising go first, to the end, so that the
    others are mostly never opened. Nodes below which no key has the length are left out, as kept
    in a bit for each length. Where only one key continues, its rest is scored at once.

    References
    ----------
    Land and Doig 1960, "An automatic method of solving discrete programming problems", for branch
    and bound.
    """

    def __init__(self, trie: TokenTrie) -> None:
        self.trie = settled(trie)
        self.lengths: Ints = np.empty(0, dtype=np.int64)
        """int64 [n]: the lengths that keys have, in tokens without the end token, rising"""
        self._below = np.zeros(trie.nodes, dtype=np.uint64)
        """uint64 [nodes]: bit n is set where a key of n tokens goes through"""
        self._count()

    def best(self, log_prob: Floats, k: int = 1, among: Ints | None = None) -> list[Scored]:
        """The ``k`` best keys of as many tokens as there are laws.

        Parameters
        ----------
        log_prob : float64 [n, V]
            log p of each token at each place, in nats; -inf where it may not stand. V is the size
            of the trie's alphabet, or more.
        k : int
        among : int64 [n], optional
            The numbers, rising, of the keys that are considered; all keys if not given.

        Returns
        -------
        list of (float, tuple of int)
            The sum and the tokens, without the end token, of at most ``k`` keys that are possible,
            best first; of keys with equal sums any.

        Raises
        ------
        InputError
            The laws are of another shape, or NaN or +inf; or ``k`` is below one.
        """
        law = np.asarray(log_prob, dtype=np.float64)
        self._check(law, k)
        found: list[Scored] = []
        behind = np.append(np.cumsum(law.max(axis=1)[::-1])[::-1], 0.0)
        todo = [_Level(np.array([ROOT]), np.zeros(1), np.empty((1, 0), dtype=np.int64))]
        while todo:
            level = todo.pop()
            threshold = found[0][0] if len(found) == k else -np.inf
            level = level.only(level.score + behind[level.depth] > threshold)
            if len(level) > CHUNK:
                order = np.argsort(-level.score, kind="stable")
                todo.append(level.only(order[CHUNK:]))
                level = level.only(order[:CHUNK])
            if len(level):
                todo.append(self._step(level, law, found, k, among))
        return sorted(found, reverse=True)

    def _step(
        self, level: _Level, law: Floats, found: list[Scored], k: int, among: Ints | None
    ) -> _Level:
        """Read one token more; keys that are complete are taken in, inner nodes are returned."""
        trie, depth, length = self.trie, level.depth, len(law)
        row, token, state = trie.candidates(level.state)
        on = self._leading_to(among, state, np.flatnonzero(token != trie.end))
        row, token, state = row[on], token[on], state[on]
        score = level.score[row] + law[depth, token]
        possible = score > -np.inf
        inner = possible & (state < trie.nodes)
        inner[inner] = self._below[state[inner]] >> np.uint64(min(length, _LAST)) & np.uint64(1) > 0
        alone = np.flatnonzero(possible & (state >= trie.nodes))
        rest, whole = self._rests(state[alone], length - depth - 1)
        alone, rest = alone[whole], rest[whole]
        places = np.arange(depth + 1, length)
        total = score[alone] + law[places, rest].sum(axis=1)
        ways = [level.written[row[alone]], token[alone, None], rest]
        _take(found, total, np.concatenate(ways, axis=1), k)
        deeper = _Level(
            state[inner],
            score[inner],
            np.column_stack([level.written[row[inner]], token[inner]]),
        )
        if depth + 1 < length:
            return deeper
        ended = np.flatnonzero(trie.accepting(deeper.state))
        closed = trie.advance(deeper.state[ended], np.full(len(ended), trie.end))
        ended = ended[self._leading_to(among, closed, np.arange(len(ended)))]
        _take(found, deeper.score[ended], deeper.written[ended], k)
        return deeper.only(np.zeros(len(deeper), dtype=bool))

    def _leading_to(self, among: Ints | None, state: Ints, which: Ints) -> Ints:
        """Those of ``which`` [m] whose states lead to a key among these; all if there are none."""
        if among is None:
            return which
        low, high = self.trie.span(state[which])
        return which[np.searchsorted(among, low) < np.searchsorted(among, high)]

    def _rests(self, state: Ints, size: int) -> tuple[Ints, NDArray[np.bool_]]:
        """The next ``size`` tokens of each tail [m, size], and whether it ends after them."""
        tail, end = self.trie.tail, self.trie.end
        at = (state - self.trie.nodes)[:, None] + np.arange(size + 1)
        run = tail[np.minimum(at, len(tail) - 1)].astype(np.int64)
        whole = (run[:, -1] == end) & (run[:, :-1] != end).all(axis=1) & (at[:, -1] < len(tail))
        return run[:, :-1], whole

    def _count(self) -> None:
        """Set the bits of all nodes, the deepest first."""
        trie, levels = self.trie, [(0, 1)]
        while levels[-1][0] < levels[-1][1]:
            low, high = levels[-1]
            below = trie.target[int(trie.first[low]) : int(trie.first[high])]
            levels.append((high, high + int((below < trie.nodes).sum())))
        seen: set[int] = set()
        for depth, (low, high) in reversed(list(enumerate(levels[:-1]))):
            begin, stop = int(trie.first[low]), int(trie.first[high])
            if begin == stop:
                continue  # the root of an empty trie
            target = trie.target[begin:stop].astype(np.int64)
            leaf = target >= trie.nodes
            tails = np.where(target < trie.finished, trie.tail_lengths(trie.positions(target)), 0)
            length = depth + tails
            seen.update(np.unique(length[leaf]).tolist())
            bits = np.uint64(1) << np.minimum(length, _LAST).astype(np.uint64)
            bits[~leaf] = self._below[target[~leaf]]
            starts = trie.first[low:high].astype(np.int64) - begin
            self._below[low:high] = np.bitwise_or.reduceat(bits, starts)
        self.lengths = np.array(sorted(seen), dtype=np.int64)

    def _check(self, law: Floats, k: int) -> None:
        size = self.trie.alphabet.size
        if law.ndim != 2 or not len(law) or law.shape[1] < size:
            raise InputError(
                f"log_prob must be [n, V] with n at least 1 and V at least the {size} tokens of "
                f"the trie, got {law.shape}: use the tokenizer that the trie was built with"
            )
        if np.isnan(law).any() or np.isposinf(law).any():
            raise InputError("a log-probability is NaN or +inf: check the model's weights")
        if k < 1:
            raise InputError(f"k must be at least 1, got {k}")


class _Level:
    """Nodes at one depth: their states, the sums so far, and the tokens read [m, depth]."""

    def __init__(self, state: Ints, score: Floats, written: Ints) -> None:
        self.state, self.score, self.written = state, score, written

    def __len__(self) -> int:
        return len(self.state)

    @property
    def depth(self) -> int:
        return int(self.written.shape[1])

    def only(self, which: NDArray[Any]) -> _Level:
        return _Level(self.state[which], self.score[which], self.written[which])


def _take(found: list[Scored], score: Floats, written: Ints, k: int) -> None:
    """Put the best of these keys into a heap of the ``k`` best."""
    possible = np.flatnonzero(score > -np.inf)
    if len(possible) > k:
        possible = possible[np.argpartition(-score[possible], k - 1)[:k]]
    for place in possible.tolist():
        one = float(score[place]), tuple(written[place].tolist())
        if len(found) < k:
            heapq.heappush(found, one)
        else:
            heapq.heappushpop(found, one)
