"""Twist of any automaton: when a text may end, and what its length is worth."""

from __future__ import annotations

import numpy as np

from ergotext.lm.automaton_base import check_known
from ergotext.lm.protocols import Automaton
from ergotext.lm.twist.backward import FLOOR, Rest, summed
from ergotext.lm.twist.hazards import Hazards
from ergotext.support.arrays import Floats, Ints


class LengthTwist:
    """ψ by the tokens left alone, where the automaton can still end (``protocols.Twist``).

    Parameters
    ----------
    automaton : Automaton
    hazards : Hazards
    log_length : float64 [L + 1]
        Nats for a text of each length.
    """

    def __init__(self, automaton: Automaton, hazards: Hazards, log_length: Floats) -> None:
        self.automaton, self._stops = automaton, hazards.stops.numpy()
        rest = Rest(
            [],
            hazards.ends,
            hazards.stopping,
            hazards.goes_on,
            hazards.ends_stopped,
            hazards.goes_on_stopped,
            np.ones(1),
        )
        sums = summed(rest, log_length, hazards.power)
        self._inside = np.maximum(sums.inside[:, 0], FLOOR)
        self._stopped = np.maximum(sums.stopped[:, 0], FLOOR)
        self._over = sums.over

    def psi(self, states: Ints, left: int, size: int) -> Floats:
        """float64 [B, size]: of each next token, with ``left`` tokens to follow it."""
        # Texts in one state are looked at once; without a constraint that is all of them.
        each, of = np.unique(states, return_inverse=True)
        return self._psi(each, left, size)[of]

    def _psi(self, states: Ints, left: int, size: int) -> Floats:
        psi = np.zeros((len(states), size))
        row, token, after = self.automaton.candidates(states)
        check_known(token, size)
        distinct, which = np.unique(after, return_inverse=True)
        room = (self.automaton.least(distinct) <= left)[which]
        stops = np.pad(self._stops, (0, max(0, int(token.max(initial=0)) + 1 - len(self._stops))))
        value = np.where(stops[token], self._stopped[left], self._inside[left])
        value = np.where(token == self.automaton.end, self._over[left], value) * room
        psi[row, token] = value
        return psi
