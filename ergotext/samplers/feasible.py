"""Restrict an automaton to states that can still finish within the remaining tokens."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ergotext.lm.automaton_base import AutomatonBase
from ergotext.lm.protocols import Automaton, Masking
from ergotext.samplers.finishing import is_far, log_trust
from ergotext.support.arrays import Ints

WIDE = 0.02
"""Share of the tokens that may follow from which on masks cost less than lists."""


def fits(automaton: Automaton, states: Ints, room: int | Ints) -> NDArray[np.bool_]:
    """bool [n]: whether ``room`` tokens may do from each state, as far as is known.

    What is left out has no sequence within the room after it, so a proposal that keeps to the
    others misses nothing of a target of bounded length, whose masses are then its weights.
    """
    # Nothing is looked up where no sequence at all is too long.
    longest = getattr(automaton, "longest", np.inf)
    if not len(states) or np.min(room) >= longest:
        return np.ones(len(states), dtype=np.bool_)
    enough: NDArray[np.bool_] = automaton.least(states) <= room
    return enough


class FeasibleAutomaton(AutomatonBase):
    """An automaton without the transitions that cannot reach an end (``protocols.Automaton``).

    Parameters
    ----------
    automaton : Automaton
    room : int
        Tokens, the end token not counted, that may be written after the next one.
    """

    def __init__(self, automaton: Automaton, room: int) -> None:
        self._automaton, self.room = automaton, room

    def trust(self, states: Ints, row: Ints, token: Ints, after: Ints, score: Tensor) -> Tensor:
        """float64 [n], nats: ``finishing.log_trust`` of candidates."""
        room = np.full(len(states), self.room)
        return log_trust(self._automaton, states, room, row, token, after, score)

    @property
    def end(self) -> int:
        return self._automaton.end

    def start(self, count: int) -> Ints:
        return self._automaton.start(count)

    def candidates(self, states: Ints) -> tuple[Ints, Ints, Ints]:
        row, token, after = self._automaton.candidates(states)
        kept = fits(self._automaton, after, self.room)
        return row[kept], token[kept], after[kept]

    def mask(self, states: Ints, size: int) -> NDArray[np.bool_]:
        if isinstance(self._automaton, Masking):
            return self._automaton.mask_within(states, size, self.room)
        return super().mask(states, size)

    def is_far(self) -> bool:
        """Whether the greatest length is so far off that no token is doubted (``trust``)."""
        return is_far(self._automaton, self.room)

    def is_wide(self, states: Ints, size: int) -> bool:
        """Whether a mask over all tokens is had for less than the tokens one by one."""
        if not isinstance(self._automaton, Masking):
            return False
        return int(self._automaton.count(states).sum()) > WIDE * size * len(states)

    def advance(self, states: Ints, tokens: Ints) -> Ints:
        after = self._automaton.advance(states, tokens)
        return np.where(fits(self._automaton, after, self.room), after, -1)

    def accepting(self, states: Ints) -> NDArray[np.bool_]:
        return self._automaton.accepting(states)

    def least(self, states: Ints) -> Ints:
        return self._automaton.least(states)

    def lone(self, states: Ints) -> NDArray[np.bool_]:
        return self._automaton.lone(states)

    def rest(self, states: Ints) -> tuple[Ints, Ints]:
        return self._automaton.rest(states)
