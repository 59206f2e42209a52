"""Twist of any automaton: backward sums over its places, as the model was seen to take them."""

from __future__ import annotations

import numpy as np

from ergotext.lm.automaton_base import check_known
from ergotext.lm.twist.backward import FLOOR
from ergotext.lm.twist.places import NARROW, PlaceGraph, PlaceSums, VisitedPlace
from ergotext.lm.twist.product import bounded
from ergotext.support.arrays import Floats, Ints

CURIOUS = 8.0
"""Factor of ways that lead where nobody has stood, when a text is written to learn from."""
ELSEWHERE = 0.1
"""Value of tokens that were not looked at, beside that of the place itself."""


class AutomatonTwist:
    """ψ for the states of any automaton (``protocols.Twist``).

    Parameters
    ----------
    graph : PlaceGraph
        Of what was seen.
    log_length : float64 [L + 1]
        Nats for a text of each length.

    Notes
    -----
    Where ``least`` is above the tokens left, ψ is 0; elsewhere it is above 0.
    """

    def __init__(self, graph: PlaceGraph, log_length: Floats) -> None:
        self.graph, self.automaton = graph, graph.automaton
        self._sums: PlaceSums = graph.sums(bounded(log_length))

    def psi(self, states: Ints, left: int, size: int) -> Floats:
        """float64 [B, size]: of each next token, with ``left`` tokens to follow it."""
        psi = np.zeros((len(states), size))
        distinct, which = np.unique(states, return_inverse=True)
        numbers = self.graph.numbers(distinct)
        scale = self._scale(left)
        over = _number(self._sums.over[left : left + 1] - scale)
        of_place: dict[int, Floats] = {}
        for at, (state, number) in enumerate(zip(distinct.tolist(), numbers.tolist(), strict=True)):
            rows = np.flatnonzero(which == at)
            place = self.graph.place(number)
            if place is None:
                tokens, value, ends = self._stranger(state, left, scale)
            else:
                if number not in of_place:
                    of_place[number] = self._values(number, place, left, scale)
                tokens, ends = place.tokens, place.ends
                value = of_place[number] * self._room(place, state, tokens, left)
            check_known(np.append(tokens, self.automaton.end) if ends else tokens, size)
            psi[np.ix_(rows, tokens)] = value
            if ends:
                psi[rows, self.automaton.end] = over
        return psi

    def curious(self, states: Ints, left: int, size: int) -> Floats:
        """float64 [B, size]: ψ that favours ways where nobody has stood."""
        psi = self.psi(states, left, size)
        for row, number in enumerate(self.graph.numbers(states).tolist()):
            place = self.graph.place(number)
            if place is not None:
                psi[row, place.tokens[self.graph.unseen(place)]] *= CURIOUS
        return psi

    def _scale(self, left: int) -> float:
        """log of the largest value; rows that are compared have as many tokens left."""
        value = self._sums.log_value[left]
        best = max(float(value.max(initial=-np.inf)), float(self._sums.over[left]))
        return best if np.isfinite(best) else 0.0

    def _values(self, number: int, place: VisitedPlace, left: int, scale: float) -> Floats:
        """float64 [n]: of the tokens of a place where somebody has stood."""
        after = np.array(place.after, dtype=np.int64)
        value = self._sums.of(after, self.graph.distances(place.after), left)
        here = self._sums.of(np.array([number]), self.graph.distances([number]), left)
        return _number(np.append(value, here + np.log(ELSEWHERE)) - scale)[place.of]

    def _room(self, place: VisitedPlace, state: int, tokens: Ints, left: int) -> Floats:
        """float64 [n]: 0 where the tokens left are known not to do, else 1."""
        if place.least is not None:
            return (place.least <= left).astype(np.float64)
        if len(tokens) > NARROW:
            return (self.automaton.least(np.array([state])) <= left + 1).astype(np.float64)
        after = self.automaton.advance(np.full(len(tokens), state), tokens)
        return (self.automaton.least(after) <= left).astype(np.float64)

    def _stranger(self, state: int, left: int, scale: float) -> tuple[Ints, Floats, bool]:
        """The tokens of a state where nobody has stood, their values, and whether it may end."""
        _, tokens, after = self.automaton.candidates(np.array([state]))
        going = tokens != self.automaton.end
        ends, tokens, after = not going.all(), tokens[going], after[going]
        room = self.automaton.least(after) <= left
        if len(tokens) > NARROW:
            far = np.maximum(self.graph.far(np.array([state])) - 1, 0).repeat(len(tokens))
            return tokens, _number(self._sums.unknown(far, left) - scale) * room, ends
        value = self._sums.of(self.graph.numbers(after), self.graph.far(after), left)
        return tokens, _number(value - scale) * room, ends


def _number(log_value: Floats) -> Floats:
    """The value, no less than what no draw would meet, and no more than a number."""
    bound = -np.log(FLOOR)
    value: Floats = np.exp(np.clip(log_value, -bound, bound))
    return value
