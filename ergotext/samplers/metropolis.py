"""Metropolis-Hastings over token sequences, all chains in one batch."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from ergotext.lm.batch import TokenBatch
from ergotext.lm.protocols import Energy, InputError
from ergotext.samplers.base import Info, Kind, Need, State, check_fit, register
from ergotext.samplers.draws import Draws
from ergotext.samplers.edits import MOVES
from ergotext.samplers.proposals import EditMoves, Proposal


def log_acceptance(energy: Tensor, proposed: Tensor, proposal: Proposal, beta: float) -> Tensor:
    """log of Hastings' ratio π(x')q(x|x') / π(x)q(x'|x) at inverse temperature β, float64 [B].

    Hastings 1970, eq. 9, with π ∝ exp(−βE). A proposal outside the support gives −inf.
    """
    impossible = torch.isinf(proposed) | torch.isinf(proposal.log_q_back)
    ratio = beta * (energy - proposed) + proposal.log_q_back - proposal.log_q_to
    return torch.where(impossible, -torch.inf, ratio)


@register("mh", "metropolis-hastings")
class MetropolisHastings:
    """Chains that leave π(x) ∝ exp(−E(x)/T) invariant, on rows of at most ``max_length`` tokens.

    T scales the energy of the whole sequence, not that of single tokens. The state of a chain is
    its token sequence; keywords are held in one spelling and move as wholes.

    Parameters
    ----------
    energy : Energy
        Must have a scorer (a causal language model) to inform the proposals.
    max_length : int
    temperature : float
    moves : EditMoves, optional
        Weights of the moves and the law of new tokens.

    Raises
    ------
    InputError
        The energy has no scorer, or the temperature is not positive.
    """

    kind: ClassVar[Kind] = "invariant"
    needs: ClassVar[frozenset[Need]] = frozenset({"next-token"})
    moves: ClassVar[tuple[str, ...]] = MOVES

    def __init__(
        self,
        energy: Energy,
        max_length: int = 40,
        temperature: float = 1.0,
        moves: EditMoves | None = None,
    ) -> None:
        check_fit(type(self), energy)
        assert energy.scorer is not None
        if not 0 < temperature < float("inf"):
            raise InputError(f"the temperature must be a positive number, got {temperature}")
        self.energy = energy
        self.scorer = energy.scorer
        self.temperature = temperature
        self.edits = moves or EditMoves(max_length)

    def init(
        self,
        draws: Draws,  # noqa: ARG002 - the protocol's; these chains start without chance
        chains: int,
        initial: TokenBatch | None = None,
    ) -> State:
        """Start ``chains`` chains at ``initial`` (its rows in turn), or where the energy says."""
        if chains < 1:
            raise InputError(f"at least one chain is needed, got {chains}")
        batch = self.energy.initial(chains) if initial is None else initial
        if not len(batch):
            raise InputError("there is no initial state to start from")
        tokens = torch.cat([torch.tensor(row, dtype=torch.int64) for row in batch.rows()])
        size = len(self.scorer.allowed)
        known = (tokens >= 0) & (tokens < size)
        if not bool((known & self.scorer.allowed[tokens.clamp(0, size - 1)]).all()):
            raise InputError(
                "the text to start from holds special tokens, or ids that the model does not know; "
                "no move could ever remove them"
            )
        batch = batch.select(torch.arange(chains) % len(batch))
        batch = TokenBatch(batch.ids, batch.length, self.energy.locked(batch))
        wanted = self.energy.initial(1).locked.unique()
        if any(not torch.isin(wanted[wanted > 0], marks).all() for marks in batch.locked):
            raise InputError(
                "the text to start from does not hold every keyword in the tokenizer's own "
                "spelling; start from energy.initial(chains)"
            )
        if batch.longest > self.edits.max_length:
            raise InputError(
                f"the text to start from takes {batch.longest} tokens and the maximum length is "
                f"{self.edits.max_length}; allow a greater length"
            )
        value = self.energy(batch)
        if not torch.isfinite(value).all():
            raise InputError("the energy forbids the initial state; start from one it allows")
        return State(batch, value)

    def step(
        self, draws: Draws, state: State, temperature: float | None = None
    ) -> tuple[State, Info]:
        """One proposal and decision for every chain, at this sampler's temperature or another."""
        t = self.temperature if temperature is None else temperature
        proposal = self.edits.propose(draws, state.batch, self.scorer, t)
        energy = self._energy_of(proposal.batch)
        log_ratio = log_acceptance(state.energy, energy, proposal, 1.0 / t)
        accepted = draws.bernoulli(log_ratio.clamp(max=0.0).exp())
        after = State(
            proposal.batch.where(accepted, state.batch),
            torch.where(accepted, energy, state.energy),
            state.step + 1,
        )
        return after, Info(proposal.move, proposal.batch, energy, log_ratio, accepted, t)

    def _energy_of(self, batch: TokenBatch) -> Tensor:
        """float64 [B]: the energy, +inf where the edit has displaced a keyword.

        Marks are a function of the ids; a row whose keywords would now be found elsewhere has no
        reverse move, so it is no state that this move may reach.
        """
        kept = (self.energy.locked(batch) == batch.locked).all(-1)
        energy = torch.full(kept.shape, torch.inf, dtype=torch.float64)
        if kept.any():
            energy[kept] = self.energy(batch.select(kept))
        return energy
