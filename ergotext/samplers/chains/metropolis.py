"""Metropolis-Hastings over token sequences, all chains in one batch."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import torch
from torch import Tensor

from ergotext.errors import InputError
from ergotext.lm.batch import TokenBatch
from ergotext.lm.protocols import Energy
from ergotext.samplers.base import Info, Need, State
from ergotext.samplers.catalog import Kind
from ergotext.samplers.chains.initial import GivenStart, Starts
from ergotext.samplers.chains.moves import EditMoves
from ergotext.samplers.chains.proposal import Moves, Proposal
from ergotext.samplers.draws import Draws
from ergotext.samplers.registry import check_fit


def log_acceptance(energy: Tensor, proposed: Tensor, proposal: Proposal, beta: Tensor) -> Tensor:
    """log of Hastings' ratio π(x')q(x|x') / π(x)q(x'|x) at inverse temperatures β, float64 [B].

    Hastings 1970, eq. 9, with π ∝ exp(−βE). A proposal outside the support gives −inf.
    """
    impossible = torch.isinf(proposed) | torch.isinf(proposal.log_q_back)
    ratio = beta * (energy - proposed) + proposal.log_q_back - proposal.log_q_to
    return torch.where(impossible, -torch.inf, ratio)


def decide(
    draws: Draws,
    target: Energy,
    state: State,
    proposal: Proposal,
    temperature: Tensor,
    max_length: int | None = None,
) -> tuple[State, Info]:
    """Accept or reject each row of a proposal for exp(−E/T), T float64 [B]."""
    energy = energy_of(target, proposal.batch, max_length)
    log_ratio = log_acceptance(state.energy, energy, proposal, 1.0 / temperature)
    accepted = draws.bernoulli(log_ratio.clamp(max=0.0).exp())
    after = replace(
        state,
        batch=proposal.batch.where(accepted, state.batch),
        energy=torch.where(accepted, energy, state.energy),
        step=state.step + 1,
    )
    return after, Info(proposal.move, proposal.batch, energy, log_ratio, accepted, temperature)


def energy_of(target: Energy, batch: TokenBatch, max_length: int | None = None) -> Tensor:
    """float64 [B]: the energy, +inf where a keyword is not where the marks say.

    Marks are a function of the ids; a row whose keywords would now be found elsewhere has no
    reverse move, so it is no state that a move may reach. Nor is one longer than ``max_length``,
    which a model may have no room to read.
    """
    kept = (target.locked(batch) == batch.locked).all(-1)
    if max_length is not None:
        kept &= batch.length <= max_length
    energy = torch.full(kept.shape, torch.inf, dtype=torch.float64)
    if kept.any():
        energy[kept] = target(batch.select(kept))
    return energy


def temperatures(temperature: float | Tensor, state: State) -> Tensor:
    """float64 [B]: one temperature for all chains, or one each."""
    return torch.as_tensor(temperature, dtype=torch.float64).expand(len(state.batch))


def check_temperature(temperature: float) -> float:
    """The temperature, or InputError if it is not a positive number."""
    if isinstance(temperature, bool) or not 0 < temperature < float("inf"):
        raise InputError(f"the temperature must be a positive number, got {temperature}")
    return temperature


class MetropolisHastings(GivenStart):
    """Chains that leave π(x) ∝ exp(−E(x)/T) invariant, on rows of at most ``max_length`` tokens.

    T scales the energy of the whole sequence, not that of single tokens. The state of a chain is
    its token sequence; keywords are held in one spelling and move as wholes.

    Parameters
    ----------
    energy : Energy
        Must have a scorer (a causal language model) to inform the proposals.
    max_length : int
    temperature : float
    moves : Moves, optional
        How texts are changed; by default ``EditMoves``. Any class of your own that proposes, with
        the probability both ways, will do.

    Raises
    ------
    InputError
        The energy has no scorer, or the temperature is not positive.
    """

    kind: ClassVar[Kind] = "invariant"
    needs: ClassVar[frozenset[Need]] = frozenset({"next-token"})

    def __init__(
        self,
        energy: Energy,
        max_length: int = 40,
        temperature: float = 1.0,
        moves: Moves | None = None,
    ) -> None:
        energy = check_fit(type(self), energy)
        assert energy.scorer is not None
        self.energy = energy
        self.scorer = energy.scorer
        self.temperature = check_temperature(temperature)
        self.edits: Moves = EditMoves(max_length) if moves is None else moves
        if isinstance(self.edits, EditMoves):  # which keep to a length of their own
            max_length = min(self.edits.max_length, max_length)
            self.edits = replace(self.edits, max_length=max_length)
        self.max_length = max_length
        names = self.edits.names
        self.moves = names if "stay" in names else (*names, "stay")

    def admitted(self) -> Starts:
        """Any texts of at most ``max_length`` tokens."""
        return Starts(self.scorer.allowed, self.max_length)

    def step(
        self, draws: Draws, state: State, temperature: float | Tensor | None = None
    ) -> tuple[State, Info]:
        """One proposal and decision for every chain, at this sampler's temperature or others."""
        t = temperatures(self.temperature if temperature is None else temperature, state)
        proposal = self.edits.propose(draws, state.batch, self.scorer, t)
        return decide(draws, self.energy, state, proposal, t, self.max_length)
