"""Places of an automaton, the mass of the ways between them, and backward sums over both."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ergotext.lm.protocols import Automaton, Ending, Placed
from ergotext.support.arrays import Floats, Ints

NARROW = 64
"""Tokens up to which each is looked at by itself, where many lead to one place."""
LOOKS, SHARE = 48, 1e-4
"""Kinds of tokens of a wide place that are looked at, and the share of its mass from which on."""
PER_TOKEN = 2.0
"""Nats that a token of an ending costs, as long as nothing better is known."""
NONE = -1


@dataclass(eq=False)
class VisitedPlace:
    """What was seen where the same tokens may follow."""

    tokens: Ints
    """int64 [n]: these tokens, rising, the end token left out"""
    ends: bool
    """whether the end token may follow"""
    least: Ints | None
    """int64 [n]: of the automaton after each token, where that is the same for all of its states"""
    of: Ints
    """int64 [n]: the class of each token, ``NONE`` if it was not looked at"""
    after: list[int] = field(default_factory=list)
    """the place that the tokens of each class lead to"""
    mass: list[float] = field(default_factory=list)
    """summed, of each class"""
    end: float = 0.0
    seen: float = 0.0
    """weight of the observations"""
    looked: dict[int, int] = field(default_factory=dict)
    """the class of each kind of tokens"""


NOWHERE = VisitedPlace(np.empty(0, dtype=np.int64), False, None, np.empty(0, dtype=np.int64))


@dataclass(frozen=True, eq=False)
class PlaceSums:
    """Backward sums: log V in nats of each place, by the tokens left."""

    log_value: Floats
    """float64 [L + 1, places]"""
    over: Floats
    """float64 [L]: log of what a text is worth that ends where r tokens could follow its end"""
    level: float = 0.0
    slope: float = PER_TOKEN
    """log V of other places is ``level`` − ``slope`` · the tokens of an ending"""

    def of(self, places: Ints, far: Ints, left: int) -> Floats:
        """float64 [n]: log V of places, of which some may be newer than the sums."""
        known = (places >= 0) & (places < self.log_value.shape[1])
        value = self.unknown(far, left)
        value[known] = self.log_value[left, places[known]]
        return value

    def unknown(self, far: Ints, left: int) -> Floats:
        """float64 [n]: log V of places where nobody has stood."""
        return np.where(far <= left, self.level - self.slope * far, -np.inf)


class PlaceGraph:
    """The ways between the places of an automaton, as a model takes them.

    States of one place (``protocols.Placed``) are taken for one another: the mass of the tokens
    that lead from a place to the next is the mean over the texts that were seen there. Where an
    automaton knows nothing of places, each state is one.

    Parameters
    ----------
    automaton : Automaton
    size : int
        Tokens of the model.
    """

    def __init__(self, automaton: Automaton, size: int) -> None:
        self.automaton, self.size = automaton, size
        self.places: list[VisitedPlace | None] = []
        """None where nobody has stood"""
        self._far: list[int] = []
        self._number: dict[int, int] = {}
        self._placed = automaton if isinstance(automaton, Placed) else None
        kinds = automaton.kinds()[:size] if isinstance(automaton, Ending) else np.arange(0)
        self._kinds = np.arange(size) if len(kinds) < size else kinds

    def numbers(self, states: Ints) -> Ints:
        """int64 [B]: the place of each state, ``NONE`` for one that was never met."""
        return np.array([self._number.get(key, NONE) for key in self._keys(states)], dtype=np.int64)

    def place(self, number: int) -> VisitedPlace | None:
        """What was seen there; None where nobody has stood."""
        return None if number == NONE else self.places[number]

    def distances(self, places: Iterable[int]) -> Ints:
        """int64 [n]: tokens of an ending from each place."""
        return np.array([self._far[number] for number in places], dtype=np.int64)

    def unseen(self, place: VisitedPlace) -> NDArray[np.bool_]:
        """bool [n]: tokens of a place that lead where nobody has stood."""
        new = [self.places[number] is None for number in place.after]
        return np.array([*new, False])[place.of]

    def far(self, states: Ints) -> Ints:
        """int64 [n]: tokens that end a text from each state, as far as one knows."""
        least = self.automaton.least(states)
        if not isinstance(self.automaton, Ending):
            return least
        endings = map(self.automaton.ending, states.tolist())
        known = zip(endings, least.tolist(), strict=True)
        return np.array([n if e is None else len(e) for e, n in known], dtype=np.int64)

    def see(self, states: Ints, chance: Floats, weight: float) -> None:
        """Take in what may follow texts that stand in these states.

        Parameters
        ----------
        states : int64 [B]
        chance : float64 [B, V]
            Of each next token.
        weight : float
        """
        for state, law, number in zip(states.tolist(), chance, self._met(states), strict=True):
            place = self.places[number]
            if place is None:
                place = self.places[number] = self._made(state)
            mass = law[place.tokens]
            if self._placed is not None:
                self._look(place, state, mass)
            here = place.of != NONE
            summed = np.bincount(place.of[here], weights=mass[here], minlength=len(place.after))
            place.mass = [old + weight * new for old, new in zip(place.mass, summed, strict=True)]
            place.end += weight * float(law[self.automaton.end]) * place.ends
            place.seen += weight

    def _keys(self, states: Ints) -> list[int]:
        keys: list[int] = (states if self._placed is None else self._placed.place(states)).tolist()
        return keys

    def _met(self, states: Ints) -> list[int]:
        """The place of each state; new ones get a number."""
        keys = self._keys(states)
        new = {key: at for at, key in enumerate(keys) if key not in self._number}
        self._number.update((key, len(self.places) + n) for n, key in enumerate(new))
        self.places += [None] * len(new)
        self._far += self.far(states[list(new.values())]).tolist()
        return [self._number[key] for key in keys]

    def _made(self, state: int) -> VisitedPlace:
        _, tokens, after = self.automaton.candidates(np.array([state]))
        ends = bool((tokens == self.automaton.end).any())
        going = (tokens != self.automaton.end) & (tokens < self.size)
        tokens, after = tokens[going].astype(np.int64), after[going].astype(np.int64)
        if self._placed is not None:
            return VisitedPlace(tokens, ends, None, np.full(len(tokens), NONE))
        each, of = np.unique(after, return_inverse=True)
        nothing = [0.0] * len(each)
        return VisitedPlace(tokens, ends, self.automaton.least(after), of, self._met(each), nothing)

    def _look(self, place: VisitedPlace, state: int, mass: Floats) -> None:
        """Find where the tokens of a place lead, those that matter here and were not looked at."""
        narrow = len(place.tokens) <= NARROW
        kinds = place.tokens if narrow else self._kinds[place.tokens]
        each, which = np.unique(kinds, return_inverse=True)
        weight = np.bincount(which, weights=mass, minlength=len(each))
        wanted = np.argsort(-weight, kind="stable")
        if not narrow:
            wanted = wanted[weight[wanted] > SHARE * weight.sum()][:LOOKS]
        for one in wanted.tolist():
            if int(each[one]) in place.looked:
                continue
            alike = np.flatnonzero(which == one)
            token = place.tokens[alike[mass[alike].argmax()]]
            after = self.automaton.advance(np.array([state]), np.array([token]))
            place.looked[int(each[one])] = len(place.after)
            place.of[alike] = len(place.after)
            place.after += self._met(after)
            place.mass.append(0.0)

    def sums(self, log_length: Floats) -> PlaceSums:
        """The backward sums of what was seen.

        With r tokens left, over the classes k of a place, m their mean mass, and a text's length,

            V_r = m_end · exp(log_length) + Σ_k m_k V_{r−1}(after k).

        Parameters
        ----------
        log_length : float64 [L + 1]
            Nats for a text of each length.
        """
        most = len(log_length) - 1
        sums = PlaceSums(np.empty((most + 1, 0)), log_length[:most][::-1])
        if not self.places:
            return sums
        for _ in range(2):  # what nobody saw is valued by what was seen
            value = self._backward(log_length, sums)
            sums = PlaceSums(value, sums.over, *self._line(value[most]))
        return PlaceSums(self._backward(log_length, sums), sums.over, sums.level, sums.slope)

    def _backward(self, log_length: Floats, rest: PlaceSums) -> Floats:
        """float64 [L + 1, places]: log V."""
        most, far = len(log_length) - 1, np.array(self._far)
        places = [place or NOWHERE for place in self.places]
        source = np.repeat(np.arange(len(places)), [len(place.after) for place in places])
        target = np.array([n for place in places for n in place.after], dtype=np.int64)
        seen = np.array([place.seen for place in places])
        total = np.where(seen > 0, seen, 1.0)
        with np.errstate(divide="ignore"):
            mass = np.array([m for place in places for m in place.mass])
            log_mass = np.log(mass / total[source])
            log_end = np.log(np.array([place.end for place in places]) / total)
        first = np.flatnonzero(np.diff(source, prepend=-1))
        value = np.empty((most + 1, len(places)))
        for left in range(most + 1):
            ended = log_end + log_length[most - left]
            if left and len(source):
                ways = log_mass + value[left - 1, target]
                there = source[first]
                ended[there] = np.logaddexp(ended[there], np.logaddexp.reduceat(ways, first))
            value[left] = np.where(seen > 0, ended, rest.unknown(far, left))
        return value

    def _line(self, value: Floats) -> tuple[float, float]:
        """The line through log V of the places seen, by the tokens of an ending."""
        seen = np.array([place.seen if place else 0.0 for place in self.places])
        seen *= np.isfinite(value)
        if not seen.any():
            return 0.0, PER_TOKEN
        weight, value = np.sqrt(seen[seen > 0]), value[seen > 0]
        far = np.array(self._far, dtype=np.float64)[seen > 0]
        mean, middle = np.average(value, weights=weight), np.average(far, weights=weight)
        spread = np.average((far - middle) ** 2, weights=weight)
        together = np.average((far - middle) * (value - mean), weights=weight)
        slope = max(0.1, -together / spread) if spread > 0 else PER_TOKEN
        return float(mean + slope * middle), float(slope)
