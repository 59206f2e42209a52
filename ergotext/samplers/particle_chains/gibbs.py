"""Particle Gibbs sampling."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ergotext.lm.batch import TokenBatch
from ergotext.samplers.base import Info, State
from ergotext.samplers.draws import Draws
from ergotext.samplers.options import check_whole
from ergotext.samplers.particle_chains.runs import REWRITE, ParticleChains
from ergotext.samplers.weighted.resampling import OfRows


@dataclass(eq=False, repr=False)
class ParticleGibbs(ParticleChains):
    """Chains whose next text is picked from a run of SMC that has the current one among its own.

    The current text is a particle that takes its tokens as they are and is its own ancestor
    (conditional SMC with multinomial resampling, ``Kept``); then one particle is picked by its
    weight. Nothing is rejected: what counts as accepted is a text of another particle. A chain
    cannot be stuck as that of ``pimh`` can.

    There is no ancestor sampling, so after resampling the texts to pick from have often begun with
    the words of the current one, which then change more slowly than the last ones: the more tokens,
    the more particles it takes. (To sample ancestors too would cost a pass of the model at every
    token over every particle followed by the rest of the kept text.) The lower the threshold, the
    fewer beginnings are lost.

    The texts are those that the energy's automaton accepts: a keyword may change its tokens. There
    is no temperature: scale the energy.

    Parameters
    ----------
    energy : Energy
    max_length : int
    particles : int
        Of the run of each chain, the current text included; at least 2.
    proposal : "twisted", "masked", "finishing" or a proposal that looks ahead, optional
        As of ``SMC``.
    threshold : float
    twist : Twist, optional
    ramp : int

    Raises
    ------
    InputError
        As of ``SMC``.

    References
    ----------
    Andrieu, Doucet and Holenstein 2010, "Particle Markov chain Monte Carlo methods", section 4.5;
    Lindsten, Jordan and Schön 2014, "Particle Gibbs with ancestor sampling", for what is left out.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole(2, particles=self.particles)

    def resampled_by(self) -> tuple[OfRows, int]:
        return "multinomial", 1

    def init(self, draws: Draws, chains: int, initial: TokenBatch | None = None) -> State:
        """Chains at texts of their own runs, or at ``initial``."""
        return self.begin(draws, chains, initial)[0]

    def step(self, draws: Draws, state: State) -> tuple[State, Info]:
        """A run for every chain, in which its text is kept, and another pick."""
        count = len(state.batch)
        new = self.run(draws, count, kept=state.batch)
        zero = torch.zeros(count, dtype=torch.float64)
        move = torch.full((count,), REWRITE)
        info = Info(move, new.batch, new.energy, zero, new.place > 0, zero + 1)
        return State(new.batch, new.energy, state.step + 1), info
