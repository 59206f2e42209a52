"""Sequential Monte Carlo with resampling, in islands.

Only rows that are still open are resampled, and only among themselves. They are all of one length,
so their weights can be compared; a closed row has met its soft terms, which for an open one are not
known yet, so it keeps its place and its weight. Otherwise a constant in the energy would decide who
survives: Z would stay unbiased, and nearly every run of it would be far off.

Rows are resampled before they draw their next token, by weights that know what they can draw, so
copies of a row part at once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ergotext.errors import InputError
from ergotext.samplers.draws import Draws
from ergotext.samplers.target import Target
from ergotext.samplers.weighted.particles import Particles
from ergotext.samplers.weighted.proposals import TokenProposal, masked
from ergotext.samplers.weighted.resampling import Scheme, ancestors
from ergotext.samplers.weighted.rollout import GrownRows, extend, look
from ergotext.support.numerics import log_mean_exp


def smc(
    target: Target,
    draws: Draws,
    particles: int,
    *,
    proposal: TokenProposal = masked,
    resampling: Scheme = "systematic",
    threshold: float = 0.5,
    islands: int = 1,
) -> Particles:
    """Particles that grow by the proposal; the open ones are resampled when few carry the weight.

    After t tokens an open particle stands for p(x_1…t) · ψ, where the twist ψ of the proposal
    (``twisted.Twisted``; 1 without one) says how well things may end from there; when its sequence
    is closed, ψ gives way to exp(−soft), and its place and weight stay as they are. The places of
    dead particles go to open ones at the next resampling. Whatever ψ is, Z and all unnormalised
    averages are unbiased, also under resampling by threshold. A finite soft energy changes weights
    and no text: the particles are those of the same run without it, but for what the twist has of
    the length.

    Islands are independent runs side by side, so that the spread of their estimates of Z is a
    measure of its error. The mean of these estimates is that of all.

    Parameters
    ----------
    target : Target
    draws : Draws
    particles : int
        Of all islands together.
    proposal : TokenProposal
        One that looks ahead (``Looking``) lets rows be resampled by what they can draw.
    resampling : "multinomial", "stratified" or "systematic"
    threshold : float
        In [0, 1]: resample where the effective sample size of the open particles of an island falls
        below this share of their places. 0 is importance sampling; at 1 all but equal weights are
        resampled.
    islands : int

    Raises
    ------
    InputError
        ``particles`` is below one, or below ``islands``; the threshold is outside [0, 1].
    ZeroWeightError
        All particles died; that some do is part of the method.
    EnergyError
        The soft energy returned what is no energy, or the twist something else than a number of at
        least 0.

    Warns
    -----
    HeavyWeightsWarning
        The islands disagree, or their particles have too few ancestors.

    References
    ----------
    Del Moral, Doucet and Jasra 2006, "Sequential Monte Carlo samplers"; Whiteley, Lee and Heine
    2016, "On the role of interaction in sequential Monte Carlo algorithms", for unbiasedness where
    some of the particles are resampled, or none; Naesseth, Lindsten and Schön 2019, "Elements of
    sequential Monte Carlo", section 3, for twisting.
    """
    if not 0 <= threshold <= 1:
        raise InputError(f"the threshold must lie between 0 and 1, got {threshold}")
    if not 1 <= islands <= max(1, particles):
        raise InputError(f"islands must be from 1 to the {particles} particles, got {islands}")
    rows = GrownRows.start(target, particles)
    root = torch.arange(particles)
    island = root * islands // particles
    resampled = 0
    while bool(rows.open.any()):
        rows, ahead = look(target, proposal, rows)
        chosen = torch.arange(particles)
        for number in range(islands):
            pool = Pool.of(rows, (island == number).nonzero()[:, 0])
            if pool.ess < threshold * len(pool.places) * (1 - 1e-9):
                chosen[pool.places] = pool.chosen(draws, resampling)
                rows = pool.levelled(rows)
                resampled += 1
        rows = rows.select(chosen)
        root = root[chosen]
        rows = extend(draws, target, rows, ahead, chosen)
    return Particles.grown(rows, root, island, islands, resampled).warned()


@dataclass(frozen=True, eq=False)
class Pool:
    """The places that are resampled together: those of open rows, and of rows of weight zero."""

    places: Tensor
    """int64 [M]"""
    log_weight: Tensor
    """float64 [M], nats: -inf for a dead row"""

    @classmethod
    def of(cls, rows: GrownRows, island: Tensor) -> Pool:
        """Of the rows of an island."""
        open_ = rows.open | (rows.log_weight == -torch.inf)
        places = island[open_[island]]
        return cls(places, rows.log_weight[places])

    @property
    def ess(self) -> float:
        """Effective sample size; +inf where nothing is open."""
        if not bool((self.log_weight > -torch.inf).any()):
            return torch.inf
        return float(1 / self.log_weight.softmax(0).square().sum())

    def chosen(self, draws: Draws, resampling: Scheme) -> Tensor:
        """int64 [M]: the row to copy to each of the places."""
        weight = self.log_weight.softmax(0)
        return self.places[ancestors(draws, weight, len(self.places), resampling)]

    def levelled(self, rows: GrownRows) -> GrownRows:
        """The rows, those of the pool all of its mean weight: Z is what it was."""
        log_weight = rows.log_weight.clone()
        log_weight[self.places] = log_mean_exp(self.log_weight)
        return replace(rows, log_weight=log_weight)
