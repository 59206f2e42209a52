"""Runs of SMC for all chains at once, each chain on islands of its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import KW_ONLY, dataclass
from typing import ClassVar, get_args

import torch
from torch import Tensor

from ergotext.errors import InputError
from ergotext.lm.batch import TokenBatch
from ergotext.lm.protocols import Energy, Twist
from ergotext.samplers.base import Need, State
from ergotext.samplers.catalog import Kind
from ergotext.samplers.chains.initial import check_chains, start
from ergotext.samplers.demanded import shortfall
from ergotext.samplers.draws import Draws
from ergotext.samplers.options import check_counts
from ergotext.samplers.registry import check_fit
from ergotext.samplers.weighted.proposals import Looking
from ergotext.samplers.weighted.registered import SMC, SMCProposal
from ergotext.samplers.weighted.resampling import OfRows
from ergotext.samplers.weighted.samples import ZeroWeightError
from ergotext.samplers.weighted.smc import Kept, grow_islands, islands_of
from ergotext.support.numerics import log_mean_exp

BEGINNINGS = 8
"""Runs in which a chain must find a first text."""
REWRITE = 0


@dataclass(frozen=True, eq=False)
class Picked:
    """A text of each chain's run, picked by its weight, and the run's estimate of Z."""

    batch: TokenBatch
    energy: Tensor
    """float64 [B]: +inf where all particles died; then the text is none"""
    log_z: Tensor
    """float64 [B]: log Ẑ, -inf where all particles died"""
    place: Tensor
    """int64 [B]: of the particle within its run"""

    def where(self, mask: Tensor, other: Picked) -> Picked:
        """These where ``mask`` (bool [B]) holds, those of ``other`` elsewhere."""
        return Picked(
            self.batch.where(mask, other.batch),
            torch.where(mask, self.energy, other.energy),
            torch.where(mask, self.log_z, other.log_z),
            torch.where(mask, self.place, other.place),
        )


@dataclass(eq=False, repr=False)
class ParticleChains(ABC):
    """What chains over runs of SMC share: their options, the runs, and where a chain begins."""

    kind: ClassVar[Kind] = "invariant"
    needs: ClassVar[frozenset[Need]] = frozenset({"next-token"})
    moves: ClassVar[tuple[str, ...]] = ("rewrite", "stay")

    energy: Energy
    max_length: int = 40
    particles: int = 16
    proposal: SMCProposal | None = None
    _: KW_ONLY
    threshold: float = 0.5
    twist: Twist | None = None
    ramp: int = 0

    def __post_init__(self) -> None:
        validated = check_fit(type(self), self.energy)
        resampling, islands = self.resampled_by()
        check_counts(particles=self.particles, islands=islands)
        if resampling not in get_args(OfRows):
            raise InputError(
                f"no resampling {resampling!r:.60} of particle chains; choose one of "
                f"{', '.join(get_args(OfRows))}"
            )
        self.smc = SMC(
            self.energy,
            self.max_length,
            self.proposal,
            resampling,
            self.threshold,
            self.twist,
            islands,
            self.ramp,
        )
        self.energy = validated
        if not isinstance(self.smc.proposal, Looking):
            raise InputError(
                f"{self.proposal!r:.60} cannot be conditioned on a text, as these chains need; use "
                "the proposal twisted, masked, finishing or adaptive"
            )
        self.island = islands_of(self.particles, islands)
        """int64 [N]: that of each particle of a chain"""

    @abstractmethod
    def resampled_by(self) -> tuple[OfRows, int]:
        """The scheme by which particles are resampled, and on how many islands."""

    def begin(self, draws: Draws, chains: int, initial: TokenBatch | None) -> tuple[State, Tensor]:
        """First states, and log Ẑ (float64 [B]) of a run in which each was written.

        Given texts get that of a conditional run. So a chain that begins at a draw from π is in
        equilibrium from the start.

        Raises
        ------
        InputError
            No chain, or a text that it cannot stand on.
        ZeroWeightError
            All particles of a chain died, in every one of several runs.
        """
        if initial is not None:
            target = self.smc.target
            allowed, most = target.scorer.allowed, target.max_length
            state = start(self.energy, allowed, chains, initial, most, held=False)
            return state, self.run(draws, chains, state.batch).log_z
        check_chains(chains)
        found = self.run(draws, chains)
        for _ in range(BEGINNINGS - 1):
            alive = found.log_z > -torch.inf
            if bool(alive.all()):
                break
            found = found.where(alive, self.run(draws, chains))
        dead = found.log_z == -torch.inf
        if lost := int(dead.sum()):
            lack = shortfall(self.smc.target.automaton, found.batch.select(dead))
            raise ZeroWeightError(
                f"no first text for {lost} of {chains} chains: in {BEGINNINGS} runs all "
                f"{self.particles} particles died; of the last of each, {lack}; use more "
                "particles, allow more tokens (max_length), or give texts to start from (initial)"
            )
        return State(found.batch, found.energy), found.log_z

    def run(self, draws: Draws, chains: int, kept: TokenBatch | None = None) -> Picked:
        """A run for each chain, of which one text is picked.

        Ẑ is the mean weight of all particles, which is the mean of the islands' Ẑ; to pick a
        particle by its weight is to pick an island by its Ẑ and then a particle of it.

        Parameters
        ----------
        draws : Draws
        chains : int
        kept : TokenBatch, optional
            [B]: texts that the first particle of each chain writes (``Kept``).
        """
        first = torch.arange(chains) * self.particles
        each = int(self.island[-1]) + 1
        rows, _, _ = grow_islands(
            self.smc.target,
            draws,
            (torch.arange(chains)[:, None] * each + self.island).flatten(),
            proposal=self.smc.proposal,
            resampling=self.smc.resampling,
            threshold=self.smc.threshold,
            kept=None if kept is None else Kept(first, kept),
        )
        log_weight = rows.log_weight.view(chains, -1)
        log_z = log_mean_exp(log_weight)
        alive = log_z > -torch.inf
        law = log_weight.softmax(1)
        law[~alive] = torch.eye(1, self.particles, dtype=torch.float64)  # there is none to pick
        place = draws.categorical(law)
        batch = rows.batch.select(first + place)
        batch = TokenBatch(batch.ids, batch.length, self.energy.locked(batch))
        energy = torch.full((chains,), torch.inf, dtype=torch.float64)
        if bool(alive.any()):
            energy[alive] = self.energy(batch.select(alive))
        return Picked(batch, energy, log_z, place)
