"""The twisted proposal: the model's next token, by how well the text may end after it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ergotext.errors import InputError
from ergotext.lm.protocols import Automaton, Twist
from ergotext.samplers.draws import Draws
from ergotext.samplers.feasible import FeasibleAutomaton
from ergotext.samplers.target import EnergyError
from ergotext.samplers.twists import psi_of, weighed
from ergotext.samplers.weighted.proposals import NEVER_WRITTEN, Choice, Step, drawn
from ergotext.support.arrays import Ints


@dataclass(frozen=True)
class Twisted:
    """v ~ p(v)ψ(v)/c with c = Σ p(v)ψ(v), weight c/ψ(v).

    The 1/ψ(v) is given when the next token is drawn: until then the row stands for p·ψ.

    Parameters
    ----------
    twist : Twist
        Of the same automaton as the target.

    References
    ----------
    Naesseth, Lindsten and Schön 2019, "Elements of sequential Monte Carlo", section 3; Zhao et al.
    2024, "Probabilistic inference in language models via twisted sequential Monte Carlo".
    """

    twist: Twist

    def look(self, log_prob: Tensor, automaton: Automaton, states: Ints, left: int) -> Choice:
        psi = psi_of(self.twist, states, left, log_prob.shape[1])
        return _Dense(log_prob, psi, automaton, states)

    def __call__(self, draws: Draws, log_prob: Tensor, automaton: Automaton, states: Ints) -> Step:
        if not isinstance(automaton, FeasibleAutomaton):
            raise InputError(
                "a twist must know how many tokens are left: give a FeasibleAutomaton, or use look"
            )
        return drawn(draws, self.look(log_prob, automaton, states, automaton.room))


@dataclass(frozen=True, eq=False)
class _Dense:
    """The choice among all tokens of the model."""

    log_prob: Tensor
    """float64 [B, V]"""
    psi: Tensor
    """float64 [B, V]"""
    automaton: Automaton
    states: Ints

    @cached_property
    def _weight(self) -> tuple[Tensor, Tensor]:
        return weighed(self.log_prob, self.psi)

    @cached_property
    def _total(self) -> Tensor:
        return self._weight[0].sum(1)

    @cached_property
    def log_mass(self) -> Tensor:
        return self._total.log() + self._weight[1]

    def children(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        law = self._weight[0][rows].div_(self._total[rows, None])
        return law, torch.arange(law.shape[1]).expand_as(law)

    def draw(self, draws: Draws, rows: Tensor, given: Tensor | None = None) -> Step:
        token = self._drawn(draws, rows) if given is None else self._taken(draws, rows, given)
        state = self.automaton.advance(self.states[rows.numpy()], token.numpy())
        owed = self.psi[rows, token].log()
        # A twist of one's own may be above 0 at tokens that may not follow.
        weight = torch.zeros(len(rows), dtype=torch.float64)
        weight.masked_fill_(torch.from_numpy(state < 0), -torch.inf)
        return Step(token, state, weight, owed)

    def _drawn(self, draws: Draws, rows: Tensor) -> Tensor:
        return draws.categorical(self.children(rows)[0])

    def _taken(self, draws: Draws, rows: Tensor, given: Tensor) -> Tensor:
        """The given tokens, and one that is drawn where there is none."""
        token, free = given.clone(), given < 0
        at, sure = rows[~free], given[~free]
        if not bool(((self.psi[at, sure] > 0) & (self.log_prob[at, sure] > -torch.inf)).all()):
            raise EnergyError(NEVER_WRITTEN)
        if bool(free.any()):
            token[free] = self._drawn(draws, rows[free])
        return token
