"""List the sequences of an automaton best first, with certain bounds for all that is not listed."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush

import numpy as np
import torch

from ergotext.errors import InputError
from ergotext.lm.automaton_base import check_known
from ergotext.lm.protocols import Automaton, Decoding
from ergotext.samplers.feasible import fits
from ergotext.samplers.search.tails import numbers
from ergotext.support.arrays import Floats, Ints

ROWS = 64
"""Most beginnings in one pass of the network."""
BAND = 2.0
"""Nats that the beginnings in one pass differ by at most, so that likely ones do not wait."""

Tokens = tuple[int, ...]


def total(log_prob: Iterable[float]) -> float:
    """log Σ exp of some numbers; -inf for none."""
    return float(np.logaddexp.reduce(np.array([-np.inf, *log_prob])))


@dataclass(frozen=True)
class Enumeration:
    """Sequences that were listed, and the beginnings behind which all others lie.

    A beginning is at least as probable as all that follows it together. So bounds for the
    probability of any set of sequences are sums over these tables. They hold up to the rounding
    of the network.

    Parameters
    ----------
    found : dict of tokens to float
        log p(sequence, end | input) in nats; without its end where none is scored.
    open : dict of tokens to float
        log p(beginning | input) in nats, of beginnings that were not followed.
    rest : float
        log of the probability of further beginnings together, which are not told apart.
    """

    found: dict[Tokens, float] = field(default_factory=dict)
    open: dict[Tokens, float] = field(default_factory=dict)
    rest: float = -np.inf

    @property
    def complete(self) -> bool:
        """Whether there are no other sequences, so that all sums are exact."""
        return not self.open and self.rest == -np.inf

    @property
    def low(self) -> float:
        """log of the probability of all that was found."""
        return total(self.found.values())

    @property
    def left(self) -> float:
        """log of the most that everything else can have."""
        return total([self.rest, *self.open.values()])

    @property
    def high(self) -> float:
        """log of the most that all sequences together can have."""
        return total([self.low, self.left])


def best_first(
    decoding: Decoding,
    automaton: Automaton,
    *,
    prefixes: int,
    row: int = 0,
    settled: float = 0.0,
    least: int = 1,
    look: int | None = None,
    max_length: int = 512,
    ended: bool = True,
) -> Enumeration:
    """The sequences of an automaton, likeliest beginnings first, until enough is known.

    Parameters
    ----------
    decoding : Decoding
        Nothing is written yet.
    automaton : Automaton
        Its sequences are listed in every tokenisation that it allows.
    prefixes : int
        Beginnings that are followed at most.
    row : int
        Which input.
    settled : float
        Stop where what is not listed has at most this share of everything.
    least : int
        But not before so many sequences were found.
    look : int, optional
        Stop after so many beginnings if less than half of the probability has been listed by
        then: of some constraints never anything but a small part is.
    max_length : int
        Maximum number of tokens, the end token not counted; longer sequences are left out, and so
        are those beyond the model's positions.
    ended : bool
        Whether a sequence counts with its end token. Otherwise it counts where the automaton first
        accepts it, whatever the model would write next.

    Raises
    ------
    InputError
        The automaton was built for another model.
    ModelError
        The model gives NaN.
    """
    if automaton.end != decoding.end:
        raise InputError(
            f"the automaton's end token is {automaton.end}, but the model's is {decoding.end}: "
            "build it with the model's tokenizer"
        )
    search = _Search(automaton, max_length, ended, prefixes)
    search.expand(decoding, np.array([row]), automaton.start(1), np.zeros(1), [()])
    while search.heap and search.budget:
        left = search.share_left()
        if left <= settled and len(search.found) >= least:
            break
        if look is not None and prefixes - search.budget >= look and left > 0.5:
            break
        search.follow()
    return search.listing()


@dataclass(frozen=True, eq=False)
class _Beginnings:
    """Beginnings that are not followed yet, likeliest first: each a token after a row."""

    decoding: Decoding
    row: Ints
    token: Ints
    state: Ints
    log_prob: Floats
    written: list[Tokens]
    """what was written in each row of the decoding"""

    def part(self, low: int, high: int) -> _Beginnings:
        """Some of them, one after the other."""
        row, token, state = self.row[low:high], self.token[low:high], self.state[low:high]
        return replace(self, row=row, token=token, state=state, log_prob=self.log_prob[low:high])

    @property
    def tokens(self) -> list[Tokens]:
        """What each of them is."""
        both = zip(self.row.tolist(), self.token.tolist(), strict=True)
        return [(*self.written[row], token) for row, token in both]


class _Search:
    """The beginnings that are open, and what was found."""

    def __init__(self, automaton: Automaton, max_length: int, ended: bool, budget: int) -> None:
        self.automaton, self.max_length, self.ended = automaton, max_length, ended
        self.budget = budget - 1
        """beginnings that may still be followed"""
        self.heap: list[tuple[float, int, _Beginnings]] = []
        self.found: dict[Tokens, float] = {}
        self.rest = -np.inf
        self._count = itertools.count()

    def share_left(self) -> float:
        """The most that everything not found can have, as a share of all."""
        left = total([self.rest, *(total(some.log_prob) for _, _, some in self.heap)])
        return float(np.exp(left - total([left, *self.found.values()])))

    def listing(self) -> Enumeration:
        """What is known now."""
        left = {
            tokens: log_prob
            for _, _, some in self.heap
            for tokens, log_prob in zip(some.tokens, some.log_prob.tolist(), strict=True)
        }
        return Enumeration(self.found, left, self.rest)

    def follow(self) -> None:
        """Follow the likeliest beginnings, as many as one pass of the network may hold."""
        some = heappop(self.heap)[2]
        most = min(ROWS, self.budget)
        count = int((some.log_prob[:most] >= some.log_prob[0] - BAND).sum())
        self._push(some.part(count, len(some.row)))
        some = some.part(0, count)
        self.budget -= count
        rows, tokens = torch.tensor(some.row), torch.tensor(some.token)
        decoding = some.decoding.advance(rows, tokens)
        self.expand(decoding, np.arange(count), some.state, some.log_prob, some.tokens)

    def expand(
        self, decoding: Decoding, rows: Ints, states: Ints, reached: Floats, written: list[Tokens]
    ) -> None:
        """Find the sequences that end, and the beginnings one token longer, after some rows."""
        at, token, state = map(np.array, self.automaton.candidates(states))
        check_known(token, decoding.size)
        row = torch.tensor(rows[at])
        step = decoding.logits(row, torch.tensor(token)) - decoding.log_z()[row]
        log_prob = reached[at] + numbers(step)
        end, possible = token == self.automaton.end, log_prob > -np.inf
        length = np.array([len(one) for one in written])[at]
        over = end if self.ended else self.automaton.accepting(state) & ~end
        possible &= end | (length < self.max_length)
        for k in np.flatnonzero(over & possible).tolist():
            last = () if self.ended else (int(token[k]),)
            self.found[(*written[at[k]], *last)] = float(log_prob[k])
        left = np.minimum(self.max_length - length, decoding.room.numpy()[rows[at]] - 1) - 1
        on = np.flatnonzero(~end & ~over & possible & (left >= 0))
        on = on[fits(self.automaton, state[on], left[on])]
        on = on[np.argsort(-log_prob[on], kind="stable")]
        # No more can be followed; those that cannot are not told apart.
        self.rest = total([self.rest, *log_prob[on[self.budget :]]])
        on = on[: self.budget]
        by_row: list[Tokens] = [()] * len(decoding)
        for place, one in zip(rows.tolist(), written, strict=True):
            by_row[place] = one
        self._push(_Beginnings(decoding, rows[at[on]], token[on], state[on], log_prob[on], by_row))

    def _push(self, some: _Beginnings) -> None:
        if len(some.row):
            heappush(self.heap, (-float(some.log_prob[0]), next(self._count), some))
