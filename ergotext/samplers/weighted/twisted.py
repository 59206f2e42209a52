"""The twisted proposal: the model's next token, by how well the text may end after it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from weakref import finalize, proxy

import torch
from torch import Tensor

from ergotext.errors import InputError
from ergotext.lm.protocols import Automaton, NextTokenScorer, Twist
from ergotext.lm.twist import Hazards, compile_twist
from ergotext.samplers.draws import Draws, SeededDraws
from ergotext.samplers.feasible import FeasibleAutomaton
from ergotext.samplers.target import EnergyError, Target
from ergotext.samplers.weighted.proposals import Choice, Step, drawn, pinned
from ergotext.support.arrays import Ints

HAZARDS_SEED = 20161
"""Seed of the draws that hazards are averaged over; one for all, so that a twist is a function of
the model alone."""
FAINT = 1e-150
"""Sum of a row's weights from which they are taken in logs: denormal numbers would be near."""
_KNOWN: dict[int, dict[float, Hazards]] = {}
"""By the identity of the model, as long as it lives."""


def hazards_of(scorer: NextTokenScorer, power: float = 1.0) -> Hazards:
    """The hazards of a model, estimated once."""
    if id(scorer) not in _KNOWN:
        _KNOWN[id(scorer)] = {}
        finalize(scorer, _KNOWN.pop, id(scorer), None)
    known = _KNOWN[id(scorer)]
    if power not in known:
        draws = SeededDraws(HAZARDS_SEED)
        # What is kept must not keep the model.
        known[power] = Hazards.estimate(proxy(scorer), draws.categorical, power=power)
    return known[power]


def twist_of(target: Target) -> Twist:
    """The twist of a target, compiled from its automaton, its length terms and its model."""
    return compile_twist(
        target.automaton,
        target.scorer,
        target.max_length,
        hazards_of(target.scorer, target.power),
        by_length=target.by_length,
    )


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
        psi = torch.from_numpy(self.twist.psi(states, left, log_prob.shape[1]))
        if psi.shape != log_prob.shape or psi.dtype != torch.float64:
            raise EnergyError(
                f"the twist must be float64 {list(log_prob.shape)}, one number for each state and "
                f"token, got {psi.dtype} {list(psi.shape)}"
            )
        least, most = psi.aminmax()  # NaN, if there is one
        if not (least >= 0 and most < torch.inf):
            raise EnergyError("the twist must be 0 or more and finite for every state and token")
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
        """float64 [B, V] and [B]: pψ of each row over a factor, and the factor's log"""
        scale = self.log_prob.amax(1)
        weight = (self.log_prob - scale[:, None]).exp_().mul_(self.psi)
        # What may follow can be far less probable than what may not.
        low = (weight.sum(1) < FAINT).nonzero()[:, 0]
        if len(low):
            log_weight = self.log_prob[low] + self.psi[low].log()
            scale[low] = log_weight.amax(1).clamp(min=torch.finfo(torch.float64).min)
            weight[low] = (log_weight - scale[low, None]).exp_()
        return weight, scale

    @cached_property
    def _total(self) -> Tensor:
        return self._weight[0].sum(1)

    @cached_property
    def log_mass(self) -> Tensor:
        return self._total.log() + self._weight[1]

    def draw(self, draws: Draws, rows: Tensor, given: Tensor | None = None) -> Step:
        law = self._weight[0][rows].div_(self._total[rows, None])
        if given is not None:
            possible = (self.psi[rows] > 0) & (self.log_prob[rows] > -torch.inf)
            law = pinned(law, possible & (torch.arange(law.shape[1]) == given[:, None]), given)
        token = draws.categorical(law)
        state = self.automaton.advance(self.states[rows.numpy()], token.numpy())
        owed = self.psi[rows, token].log()
        return Step(token, state, torch.zeros(len(rows), dtype=torch.float64), owed)
