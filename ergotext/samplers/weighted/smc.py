"""Sequential Monte Carlo with resampling.

Only rows that are still open are resampled, and only among themselves. They are all of one length,
so their weights can be compared; a closed row has met its soft terms, which for an open one are not
known yet, so it keeps its place and its weight. Otherwise a constant in the energy would decide who
survives: Z would stay unbiased, and nearly every run of it would be far off.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ergotext.errors import InputError
from ergotext.lm.protocols import LookAhead
from ergotext.samplers.draws import Draws
from ergotext.samplers.target import EnergyError, Target
from ergotext.samplers.weighted.proposals import TokenProposal, masked
from ergotext.samplers.weighted.resampling import Scheme, ancestors
from ergotext.samplers.weighted.rollout import GrownRows, grow
from ergotext.samplers.weighted.samples import WeightedSamples
from ergotext.samplers.weighted.trust import Judged, by_root
from ergotext.support.numerics import log_mean_exp


def smc(
    target: Target,
    draws: Draws,
    particles: int,
    *,
    proposal: TokenProposal = masked,
    resampling: Scheme = "systematic",
    threshold: float = 0.5,
    twist: LookAhead | None = None,
) -> WeightedSamples:
    """Particles that grow by the proposal; the open ones are resampled when few carry the weight.

    After t tokens an open particle stands for p(x_1…t) · ψ(state), where the twist ψ says how well
    things may end from there; when its sequence is closed, ψ gives way to exp(−soft), and its place
    and weight stay as they are. The places of dead particles go to open ones at the next
    resampling. Whatever ψ is, Z and all unnormalised averages are unbiased, also under resampling
    by threshold. A finite soft energy changes weights and no text: the particles are those of the
    same run without it. A term of the length alone is a constant among rows of one length, so it
    needs no ψ.

    Parameters
    ----------
    target : Target
    draws : Draws
    particles : int
    proposal : Proposal
    resampling : "multinomial", "stratified" or "systematic"
    threshold : float
        In [0, 1]: resample where the effective sample size of the open particles falls below this
        share of their places. 0 is importance sampling; at 1 all but equal weights are resampled.
    twist : LookAhead, optional
        log ψ in nats, of the automaton's states (its inputs are all 0); finite wherever an
        accepted sequence continues.

    Raises
    ------
    InputError
        ``particles`` is below one, or the threshold outside [0, 1].
    ZeroWeightError
        All particles died; that some do is part of the method.
    EnergyError
        The soft energy returned what is no energy, or the twist NaN or +inf.

    Warns
    -----
    HeavyWeightsWarning
        k-hat of the last weights, or of those before a resampling, is too high for so many
        particles; they were worth less than ten before one; or all descend from one particle.

    References
    ----------
    Del Moral, Doucet and Jasra 2006, "Sequential Monte Carlo samplers"; Whiteley, Lee and Heine
    2016, "On the role of interaction in sequential Monte Carlo algorithms", for unbiasedness where
    some of the particles are resampled, or none; Naesseth, Lindsten and Schön 2019, "Elements of
    sequential Monte Carlo", section 3, for twisting.
    """
    if not 0 <= threshold <= 1:
        raise InputError(f"the threshold must lie between 0 and 1, got {threshold}")
    rows = GrownRows.start(target, particles)
    root = torch.arange(particles)
    potential = torch.zeros(particles, dtype=torch.float64)
    pools: list[Pool] = []
    while bool(rows.open.any()):
        rows = grow(draws, target, proposal, rows)
        after = _potential(twist, rows)
        log_weight = rows.log_weight + after - potential
        rows = replace(rows, log_weight=log_weight, open=rows.open & (log_weight > -torch.inf))
        potential = after.where(rows.open, 0.0)
        if not bool(rows.open.any()):
            break
        pool = Pool.of(rows, root)
        if pool.ess < threshold * len(pool.places) * (1 - 1e-9):
            pools.append(pool)
            chosen = pool.chosen(draws, resampling)
            rows = pool.gone_on(rows, chosen)
            root, potential = root[chosen], potential[chosen]
    samples = WeightedSamples.of(rows.batch, rows.log_weight, root, doubted=rows.doubted)
    before = tuple(pool.judged(rows.log_weight) for pool in pools)
    return replace(samples, before=before).warned()


@dataclass(frozen=True, eq=False)
class Pool:
    """The places that are resampled together: those of open rows, and of rows of weight zero."""

    places: Tensor
    """int64 [M], of N particles"""
    log_weight: Tensor
    """float64 [M], nats: -inf for a dead row"""
    root: Tensor
    """int64 [N]: from which first particle the row at each place descends"""

    @classmethod
    def of(cls, rows: GrownRows, root: Tensor) -> Pool:
        """At least one row is open."""
        places = (rows.open | (rows.log_weight == -torch.inf)).nonzero()[:, 0]
        return cls(places, rows.log_weight[places], root)

    @property
    def ess(self) -> float:
        return float(1 / self.log_weight.softmax(0).square().sum())

    def chosen(self, draws: Draws, resampling: Scheme) -> Tensor:
        """int64 [N]: the row copied to each place; the others stay."""
        index = torch.arange(len(self.root))
        weight = self.log_weight.softmax(0)
        index[self.places] = self.places[ancestors(draws, weight, len(self.places), resampling)]
        return index

    def gone_on(self, rows: GrownRows, chosen: Tensor) -> GrownRows:
        """The chosen rows, those of the pool all of its mean weight: Z is what it was."""
        mean = float(log_mean_exp(self.log_weight))
        log_weight = rows.log_weight.clone()
        log_weight[self.places] = mean
        return replace(rows.select(chosen), log_weight=log_weight)

    def judged(self, last: Tensor) -> Judged:
        """Diagnostics of the N weights before resampling.

        Open rows are weighed against closed ones by what came of them all in the end: what they
        weighed at the time cannot be compared.

        Parameters
        ----------
        last : float64 [N]
            The weights that came out, in nats.
        """
        log_weight = last.clone()
        came_of_them = last[self.places].logsumexp(0)
        log_weight[self.places] = self.log_weight.log_softmax(0) + came_of_them
        return Judged.of(by_root(log_weight, self.root, len(log_weight)))


def _potential(twist: LookAhead | None, rows: GrownRows) -> Tensor:
    """float64 [N]: log ψ of the open rows; 0 where a sequence is closed or the row is dead."""
    value = torch.zeros(len(rows.open), dtype=torch.float64)
    states = rows.state[rows.open.numpy()]
    if twist is None or not len(states):
        return value
    value[rows.open] = torch.tensor(np.array(twist(0 * states, states)))
    if bool((value.isnan() | (value == torch.inf)).any()):
        raise EnergyError("the twist must be below infinity and not NaN for every state")
    return value
