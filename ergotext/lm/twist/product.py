"""Twist of a product of chains: the values of its states, for the tokens that lead to them."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from ergotext.lm.automata.keyword_states import FINISHED
from ergotext.lm.automata.product import ChainProduct
from ergotext.lm.twist.backward import FLOOR
from ergotext.lm.twist.hazards import Hazards
from ergotext.support.arrays import Floats, Ints
from ergotext.support.reprs import safe

FARTHEST = 300.0
"""Nats by which lengths are told apart: more would not be numbers any more."""


def bounded(log_length: Floats) -> Floats:
    """float64 [L + 1]: over the best length, and no less than ``FARTHEST`` where one is possible.

    A twist may be wrong about unlikely lengths, and may not be 0 where a text can end.
    """
    best = log_length.max()
    if best == -np.inf:
        return log_length
    return np.where(log_length > -np.inf, np.maximum(log_length - best, -FARTHEST), -np.inf)


class ProductTwist(ABC):
    """ψ for the states of a ``ChainProduct`` (``protocols.Twist``).

    Where the automaton's ``least`` is above the tokens left, ψ is 0; elsewhere it is above 0.

    Parameters
    ----------
    automaton : ChainProduct
    hazards : Hazards
    log_length : float64 [L + 1]
        Nats for a text of each length.
    """

    def __init__(self, automaton: ChainProduct, hazards: Hazards, log_length: Floats) -> None:
        self.automaton, self._stops = automaton, hazards.stops.numpy()
        self._log_length = log_length = bounded(log_length)
        self._kept: dict[tuple[int, int], Ints] = {}

    @safe
    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(str, self.automaton.chains))})"

    @abstractmethod
    def _of(self, states: Ints, left: int) -> tuple[Floats, Floats]:
        """float64 [n] each: of states that are neither dead nor finished.

        Inside a sentence, and after a token that stops.
        """

    def _over(self, left: int) -> float:
        """What a text is worth that ends where ``left`` tokens could follow its end token."""
        return float(np.exp(self._log_length[len(self._log_length) - 2 - left]))

    def psi(self, states: Ints, left: int, size: int) -> Floats:
        """float64 [B, size]: of each next token, with ``left`` tokens to follow it."""
        psi = np.zeros((len(states), size))
        begun, _ = self.automaton.parts(states)
        for beginning in np.unique(begun[states > FINISHED]).tolist():
            rows = np.flatnonzero((states > FINISHED) & (begun == beginning))
            # Copies of a text's state are looked at once.
            distinct, which = np.unique(states[rows], return_inverse=True)
            values = self._values(self.automaton.after(beginning, distinct), left)
            known = np.concatenate([*values, np.zeros((len(distinct), 1))], axis=1)
            there = known[which].take(self._columns(beginning, size), axis=1, mode="clip")
            if len(rows) == len(states):
                return there
            psi[rows] = there
        return psi

    def _columns(self, beginning: int, size: int) -> Ints:
        """int64 [size]: of each token its class, or that class after a stop; the last: none."""
        if (beginning, size) not in self._kept:
            ways = self.automaton.ways(beginning)
            classes, within = len(ways.begun), ways.tokens < size
            places = np.full(size, 2 * classes)
            tokens = ways.tokens[within]
            places[tokens] = ways.of[within] + classes * self._stops[tokens]
            self._kept[beginning, size] = places
        return self._kept[beginning, size]

    def _values(self, after: Ints, left: int) -> tuple[Floats, Floats]:
        """float64 [n, classes]: inside a sentence, and after a token that stops."""
        states, which = np.unique(after, return_inverse=True)
        which = which.reshape(after.shape)
        alive = states > FINISHED
        inside, stopped = np.zeros(len(states)), np.zeros(len(states))
        inside[alive], stopped[alive] = self._of(states[alive], left)
        room = self.automaton.least(states) <= left
        floor = np.where(alive & room, FLOOR, 0.0)
        ended = np.where(states == FINISHED, self._over(left), 0.0)
        one, other = (np.maximum(value * room, floor) + ended for value in (inside, stopped))
        return one[which], other[which]
