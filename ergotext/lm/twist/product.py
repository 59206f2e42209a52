"""Twist of a product of chains: the values of its states, for the tokens that lead to them."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from ergotext.lm.automata.keyword_states import FINISHED
from ergotext.lm.automata.product import ChainProduct
from ergotext.lm.twist.backward import FLOOR
from ergotext.lm.twist.hazards import Hazards
from ergotext.support.arrays import Floats, Ints


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
        self._log_length = log_length

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
        distinct, which = np.unique(states, return_inverse=True)
        begun, _ = self.automaton.parts(distinct)
        for beginning in np.unique(begun[distinct > 0]).tolist():
            rows = np.flatnonzero((distinct > 0) & (begun == beginning))
            ways = self.automaton.ways(beginning)
            after = self.automaton.after(beginning, distinct[rows])
            inside, stopped = self._values(after, left)
            within = ways.tokens < size
            tokens, of = ways.tokens[within], ways.of[within]
            stops = self._stops[tokens]
            for row, one, other in zip(rows, inside, stopped, strict=True):
                at = np.flatnonzero(which == row)
                value = np.where(stops, other[of], one[of])
                psi[at[:, None], tokens] = value
        return psi

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
