"""Particle independent Metropolis-Hastings."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from ergotext.lm.batch import TokenBatch
from ergotext.samplers.base import Info, State
from ergotext.samplers.draws import Draws
from ergotext.samplers.particle_chains.runs import REWRITE, ParticleChains
from ergotext.samplers.weighted.resampling import OfRows


@dataclass(frozen=True, eq=False, kw_only=True)
class RunState(State):
    """Texts, and the estimates of Z from the runs that wrote them."""

    log_z: Tensor
    """float64 [B]: log Ẑ of the run that was last accepted"""


@dataclass(eq=False, repr=False)
class ParticleMetropolis(ParticleChains):
    """Chains that propose a text from a run of SMC, accepted with min(1, Ẑ'/Ẑ).

    Each step runs SMC for every chain, all in one batch, and picks a particle by its weight. With
    the run's estimate Ẑ' of Z it is accepted against the Ẑ of the run that wrote the current text,
    which is part of the state. On pairs (x, Ẑ) the chain is independence sampling from q(x, Ẑ), the
    law of a run, with π(x, Ẑ) = q(x, Ẑ) Ẑ / Z, whose marginal of x is exp(−E)/Z because Ẑ is
    unbiased. So any twist and any number of particles are exact; more particles make log Ẑ vary
    less, and the acceptance rate rises to 1. A run whose particles all died has Ẑ' = 0.

    The texts are those that the energy's automaton accepts: a keyword may change its tokens. There
    is no temperature: scale the energy.

    Parameters
    ----------
    energy : Energy
    max_length : int
    particles : int
        Of the run of each chain.
    proposal : "twisted", "masked", "finishing" or a proposal that looks ahead, optional
        As of ``SMC``.
    resampling : "multinomial", "stratified" or "systematic"
    threshold : float
    twist : Twist, optional
    islands : int
        Into how many the particles of each chain are divided. Ẑ is the mean of theirs.
    ramp : int

    Raises
    ------
    InputError
        As of ``SMC``.

    References
    ----------
    Andrieu, Doucet and Holenstein 2010, "Particle Markov chain Monte Carlo methods", section 4.2.
    """

    resampling: OfRows = field(default="systematic", kw_only=True)
    islands: int = field(default=1, kw_only=True)

    def resampled_by(self) -> tuple[OfRows, int]:
        return self.resampling, self.islands

    def init(self, draws: Draws, chains: int, initial: TokenBatch | None = None) -> RunState:
        """Chains at texts of their own runs, or at ``initial``."""
        state, log_z = self.begin(draws, chains, initial)
        return RunState(state.batch, state.energy, log_z=log_z)

    def step(self, draws: Draws, state: State) -> tuple[RunState, Info]:
        """A run for every chain, accepted or rejected."""
        assert isinstance(state, RunState)
        count = len(state.batch)
        new = self.run(draws, count)
        possible = torch.isfinite(new.energy)
        log_ratio = (new.log_z - state.log_z).masked_fill(~possible, -torch.inf)
        accepted = draws.bernoulli(log_ratio.clamp(max=0.0).exp())
        proposal = new.batch.where(possible, state.batch)
        after = RunState(
            proposal.where(accepted, state.batch),
            torch.where(accepted, new.energy, state.energy),
            state.step + 1,
            log_z=torch.where(accepted, new.log_z, state.log_z),
        )
        move = torch.full((count,), REWRITE)
        one = torch.ones(count, dtype=torch.float64)
        return after, Info(move, proposal, new.energy, log_ratio, accepted, one)
