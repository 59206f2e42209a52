"""Score keys, and normalise over all keys of an index: exactly, or with guaranteed bounds."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from heapq import heappop, heappush

import numpy as np
import torch

from ergotext.errors import InputError
from ergotext.lm.protocols import Decoding
from ergotext.lm.ragged import take_rows
from ergotext.lm.trie.tree import TokenTrie
from ergotext.samplers.search.tails import numbers
from ergotext.support.arrays import Floats, Ints
from ergotext.tasks.retrieval.answers import Mass, Tokens

ROWS = 64
"""Most prefixes of one pass of the network."""
BAND = 2.0
"""Nats that the prefixes of one pass differ by at most, so that heavy ones do not wait."""
SETTLED = 0.0005
"""Distance of the bounds of a share at which no further prefix is expanded."""


def keys_log_prob(decoding: Decoding, row: Ints, ids: Ints, offsets: Ints) -> Floats:
    """float64 [n]: log p(key, end | its row) of keys; -inf for those the model has no room for."""
    found = np.full(len(row), -np.inf)
    fits = np.flatnonzero(np.diff(offsets) <= decoding.room.numpy()[row])
    if len(fits):
        flat, bounds = take_rows(ids, offsets, fits)
        scores = decoding.rest_log_prob(*map(torch.from_numpy, (row[fits], flat, bounds)))
        found[fits] = np.add.reduceat(numbers(scores), bounds[:-1])
    return found


def exact_mass(log_weights: Floats) -> Mass:
    """From the log-weights [N] of all keys."""
    total = float(np.logaddexp.reduce(log_weights, initial=-np.inf))
    return Mass(total, total)


def bounded_mass(
    decoding: Decoding,
    trie: TokenTrie,
    known: Sequence[Mapping[Tokens, float]],
    *,
    prefixes: int,
    temperature: float,
) -> list[Mass]:
    """Bounds by best-first expansion of the trie under the model.

    What the keys below a prefix weigh together is bounded by the probability P of the prefix: for
    T ≤ 1 by P^(1/T), for T > 1 and n keys by n^(1 - 1/T) P^(1/T) (Hölder). The heaviest prefix is
    replaced by those one token longer until ``prefixes`` are expanded, or until the shares of the
    known keys are settled.

    Parameters
    ----------
    decoding : Decoding
        One row a question, nothing written yet.
    trie : TokenTrie
        All keys. Those beyond the model's room weigh nothing.
    known : sequence of mapping of tokens to float
        Keys of each question and their log p, in nats; their shares are asked for.
    prefixes : int
        Prefixes expanded at most for each question.
    temperature : float
        T: a key weighs p^(1/T).

    Raises
    ------
    ModelError
        The model gives NaN.
    """
    found = []
    for question, mine in enumerate(known):
        search = _KeySearch(trie, mine, temperature)
        search.expand(_Open.root(decoding, trie, question))
        search.run(prefixes)
        found.append(search.mass())
    return found


@dataclass(frozen=True, eq=False)
class _Open:
    """Prefixes of one question that are not expanded: each a token after a row.

    Parameters
    ----------
    decoding : Decoding
        Of the rows; ``row`` int64 [n] picks them.
    token, state : int64 [n]
        The next token, and the state after it.
    log_prob : float64 [n]
        log p of the prefix, in nats; of one with a single key, log p of its row.
    ceiling : float64 [n]
        The most that the keys below can weigh together, as a log-weight.
    lone : bool
        Whether each of them has a single key.
    """

    decoding: Decoding
    row: Ints
    token: Ints
    state: Ints
    log_prob: Floats
    ceiling: Floats
    lone: bool

    @classmethod
    def root(cls, decoding: Decoding, trie: TokenTrie, question: int) -> _Open:
        """The empty prefix of a question; its token was read by ``decoding`` already."""
        row, none = np.array([question]), np.zeros(1)
        return cls(decoding, row, trie.start(1), trie.start(1), none, none, False)

    def only(self, chosen: Ints) -> _Open:
        return replace(
            self,
            row=self.row[chosen],
            token=self.token[chosen],
            state=self.state[chosen],
            log_prob=self.log_prob[chosen],
            ceiling=self.ceiling[chosen],
        )

    def advanced(self) -> _Open:
        """The same with its tokens read: one row each."""
        rows, tokens = torch.tensor(self.row), torch.tensor(self.token)
        decoding = self.decoding.advance(rows, tokens)
        return replace(self, decoding=decoding, row=np.arange(len(self.row)))


class _KeySearch:
    """The open prefixes of one question, and the keys that were come to."""

    def __init__(self, trie: TokenTrie, known: Mapping[Tokens, float], temperature: float) -> None:
        self.trie, self.temperature = trie, temperature
        self.best = max(known.values(), default=-math.inf) / temperature
        self.known = {trie.ordinal(key): one / temperature for key, one in known.items()}
        """log-weights of known keys below open prefixes, by the number of the key"""
        self.closed = -math.inf
        """what the keys that were come to weigh together"""
        self._heap: list[tuple[float, int, _Open]] = []
        self._count = itertools.count()

    def run(self, prefixes: int) -> None:
        """Expand the heaviest prefixes until the shares of known keys are settled."""
        while self._heap and prefixes > 0 and not self._settled:
            some = heappop(self._heap)[2]
            if len(some.row) > prefixes:
                self._push(some.only(np.arange(prefixes, len(some.row))))
                some = some.only(np.arange(prefixes))
            prefixes -= len(some.row)
            if some.lone:
                self._finish(some)
            else:
                self.expand(some.advanced())

    @property
    def _settled(self) -> bool:
        least, most = self.mass().share(self.best) if self.best > -math.inf else (0.0, 0.0)
        return most - least <= SETTLED

    def mass(self) -> Mass:
        """Known keys weigh at least themselves; keys below a prefix at most its ceiling."""
        ceilings = [some.ceiling for _, _, some in self._heap]
        low = exact_mass(np.array([self.closed, *self.known.values()])).low
        high = exact_mass(np.concatenate([[self.closed], *ceilings])).high
        return Mass(low, max(low, high))

    def expand(self, some: _Open) -> None:
        """Replace prefixes that ``some.decoding`` has read by those one token longer."""
        at, token, state = self.trie.candidates(some.state)
        row = some.row[at]
        self._check(token, some.decoding)
        rows, tokens = torch.tensor(row), torch.tensor(token)
        step = some.decoding.logits(rows, tokens) - some.decoding.log_z()[rows]
        log_prob = some.log_prob[at] + numbers(step)
        end = token == self.trie.end
        self._close(state[end], log_prob[end])
        room = some.decoding.room.numpy()[row] > 1
        lone = self.trie.lone(state)
        ceiling = self._ceiling(state, log_prob)
        for alone, reached in ((True, some.log_prob[at]), (False, log_prob)):
            chosen = np.flatnonzero(~end & (lone == alone) & room & (log_prob > -np.inf))
            ways = _Open(some.decoding, row, token, state, reached, ceiling, alone)
            self._push(ways.only(chosen))

    def _push(self, some: _Open) -> None:
        """Keep prefixes of about the same weight together."""
        order = np.argsort(-some.ceiling, kind="stable")
        while len(order):
            top = some.ceiling[order[0]]
            count = int((some.ceiling[order[:ROWS]] >= top - BAND).sum())
            heappush(self._heap, (-float(top), next(self._count), some.only(order[:count])))
            order = order[count:]

    def _finish(self, some: _Open) -> None:
        """Score prefixes of one key each to the ends of their keys."""
        ids, offsets = self.trie.rest(some.state)
        self._check(ids, some.decoding)
        runs = np.insert(ids, offsets[:-1], some.token)
        rest = keys_log_prob(some.decoding, some.row, runs, offsets + np.arange(len(offsets)))
        self._close(some.state, some.log_prob + rest)

    def _close(self, states: Ints, log_prob: Floats) -> None:
        """Count keys that were come to, and no longer as known."""
        for ordinal in self.trie.ordinals(states).tolist():
            self.known.pop(ordinal, None)
        all_ = np.append(log_prob / self.temperature, self.closed)
        self.closed = float(np.logaddexp.reduce(all_))

    def _ceiling(self, state: Ints, log_prob: Floats) -> Floats:
        ceiling = log_prob / self.temperature
        if self.temperature > 1:
            low, high = self.trie.span(state)
            ceiling = ceiling + (1 - 1 / self.temperature) * np.log(np.maximum(high - low, 1))
        return ceiling

    def _check(self, token: Ints, decoding: Decoding) -> None:
        highest = int(token.max(initial=0))
        if highest >= decoding.size:
            raise InputError(
                f"the index contains token {highest}, but the model has only {decoding.size} "
                "tokens: build it with the model's tokenizer"
            )
