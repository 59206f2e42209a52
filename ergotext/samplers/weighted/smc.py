"""Sequential Monte Carlo with resampling, in islands.

Only rows that are still open are resampled, and only among themselves. They are all of one length,
so their weights can be compared; a closed row has met its soft terms, which for an open one are not
known yet, so it keeps its place and its weight. Otherwise a constant in the energy would decide who
survives: Z would stay unbiased, and nearly every run of it would be far off.

Rows are resampled before they draw their next token, by weights that know what they can draw, so
copies of a row part at once; or, by ``distinct`` resampling, together with it (``children``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ergotext.errors import InputError
from ergotext.lm.batch import TokenBatch
from ergotext.lm.protocols import NextTokenScorer
from ergotext.samplers.draws import Draws
from ergotext.samplers.progress import Growth, Watch
from ergotext.samplers.target import EnergyError, Target
from ergotext.samplers.weighted.children import descend
from ergotext.samplers.weighted.choices import NEVER_WRITTEN
from ergotext.samplers.weighted.lost import check_met
from ergotext.samplers.weighted.particles import Particles
from ergotext.samplers.weighted.proposals import TokenProposal, masked
from ergotext.samplers.weighted.resampling import OfRows, Scheme, ancestors, lifted
from ergotext.samplers.weighted.rescoring import rescored, thinned
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
    watch: Watch | None = None,
    proposer: NextTokenScorer | None = None,
    finals: int | None = None,
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
    resampling : "multinomial", "stratified", "systematic" or "distinct"
        How particles are copied; or ``distinct``: at every token, of all that the particles of an
        island could become, as many different beginnings are kept as there are places
        (``children``). For sharp targets, of which copies would go on alike.
    threshold : float
        In [0, 1]: resample where the effective sample size of the open particles of an island falls
        below this share of their places. 0 is importance sampling; at 1 all but equal weights are
        resampled. For ``distinct`` only whether it is 0 counts.
    islands : int
    watch : callable, optional
        Called after each token; the merit of a text is its log p a token (``progress.Watch``).
    proposer : NextTokenScorer, optional
        What the particles are grown by in the place of the target's model, such as a faster copy.
        The finished texts are scored by the target's own model, and weighed for it
        (``rescoring``).
    finals : int, optional
        Of a proposer: different texts that are scored, as many of each island and at least two; by
        default all. Others than the likeliest are thinned at random, which keeps all averages
        unbiased.

    Raises
    ------
    InputError
        ``particles`` is below one, or below ``islands``; the threshold is outside [0, 1]; the
        proposal does not list the tokens that ``distinct`` compares.
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
    if finals is not None and finals < 2:
        raise InputError(f"at least 2 texts must be scored (finals), got {finals}")
    island = islands_of(particles, islands)
    grown_by = target if proposer is None else replace(target, scorer=proposer)
    rows, root, resampled = grow_islands(
        grown_by,
        draws,
        island,
        proposal=proposal,
        resampling=resampling,
        threshold=threshold,
        watch=watch,
    )
    check_met(target, rows)
    if grown_by.scorer is not target.scorer:
        if finals is not None:
            scheme: OfRows = "systematic" if resampling == "distinct" else resampling
            rows, stands = thinned(draws, rows, island, max(2, -(-finals // islands)), scheme)
            root = root[stands]
        rows = rescored(target, rows)
    found = Particles.grown(rows, root, island, islands, resampled)
    if grown_by.scorer is not target.scorer:
        found = replace(found, proposed_in=getattr(proposer, "precision", "another model"))
    return found.warned()


def islands_of(particles: int, islands: int) -> Tensor:
    """int64 [particles]: the island of each particle, as many on each as can be.

    Raises
    ------
    InputError
        There are more islands than particles, or none.
    """
    if not 1 <= islands <= max(1, particles):
        raise InputError(f"islands must be from 1 to the {particles} particles, got {islands}")
    return torch.arange(particles) * islands // max(1, particles)


def grow_islands(
    target: Target,
    draws: Draws,
    island: Tensor,
    *,
    proposal: TokenProposal,
    resampling: Scheme,
    threshold: float,
    kept: Kept | None = None,
    watch: Watch | None = None,
) -> tuple[GrownRows, Tensor, int]:
    """Independent runs side by side: the rows, their first particles, and how often one resampled.

    Parameters
    ----------
    island : int64 [N]
        That of each particle, 0, 1, … in ascending order.
    kept : Kept, optional
        Texts that are held fixed (``Kept``).
    """
    rows, root = GrownRows.start(target, len(island)), torch.arange(len(island))
    resampled, given = 0, None
    members = torch.bincount(island).tolist()
    while bool(rows.open.any()):
        was, (rows, ahead) = rows, look(target, proposal, rows)
        if kept is not None:
            kept.check(was, rows)
            given = kept.tokens(rows, target.automaton.end)
        chosen = torch.arange(len(island))
        pools = [Pool.of(rows, places) for places in chosen.clone().split(members)]
        if resampling != "distinct":
            for pool in pools:
                if pool.ess < threshold * len(pool.places) * (1 - 1e-9):
                    held = 0 if kept is None else kept.among(pool.places)
                    chosen[pool.places] = pool.chosen(draws, resampling, held)
                    rows = pool.levelled(rows)
                    resampled += 1
            rows = rows.select(chosen)
        elif threshold > 0:
            step = descend(draws, rows, ahead, [pool.places for pool in pools])
            rows, chosen, given = step.rows, step.parent, step.token
            resampled += step.chosen
        root = root[chosen]
        rows = extend(draws, target, rows, ahead, chosen, given)
        if watch is not None:
            rate = rows.log_prob / (rows.batch.length + 1)
            dead = rows.log_weight == -torch.inf
            merit = rate.masked_fill(dead, -torch.inf)
            watch(Growth(rows.batch, merit, rows.open, chosen, rows.log_weight))
    return rows, root, resampled


@dataclass(frozen=True, eq=False)
class Kept:
    """Texts that some particles write whatever the others do: conditional SMC.

    A kept particle takes the tokens of its text, and where its island is resampled it descends from
    itself. This is the law of a run of SMC given that it wrote the text in that place if resampling
    is multinomial. For a particle's weight w_k times the probability of its descent loses all
    weights on the way: where M particles are resampled, one of weight w is the parent with some
    probability q and hands on the weight w/(qM), so that the factor is 1/M, whichever it was. What
    is left is p̃(x) times a law of the others, in which they are drawn as ever, be they resampled at
    every step or by a threshold on their weights, and whether the kept text is still open or has
    been closed, and then keeps its place.

    Parameters
    ----------
    place : int64 [K]
        Of each, the first of its island.
    batch : TokenBatch
        [K]: texts that the target allows.

    References
    ----------
    Andrieu, Doucet and Holenstein 2010, "Particle Markov chain Monte Carlo methods", section 4.3.
    """

    place: Tensor
    batch: TokenBatch

    def tokens(self, rows: GrownRows, end: int) -> Tensor:
        """int64 [N]: the next token of each kept row that is open, and -1 for all others."""
        written = rows.batch.length[self.place]
        wide = self.batch.padded(max(self.batch.longest, int(written.max())) + 1)
        token = wide.ids.gather(1, written[:, None])[:, 0]
        token = torch.where(written < self.batch.length, token, end)
        given = torch.full((len(rows.open),), -1)
        given[self.place] = torch.where(rows.open[self.place], token, -1)
        return given

    def among(self, places: Tensor) -> int:
        """How many of the places that are resampled hold a kept text: 1, the first of them, or 0.

        Of a text that is closed, the place is not among them.
        """
        return int(torch.isin(places[:1], self.place).sum())

    def check(self, before: GrownRows, after: GrownRows) -> None:
        """Raise EnergyError if a kept row died."""
        if bool((before.open & ~after.open)[self.place].any()):
            raise EnergyError(NEVER_WRITTEN)


@dataclass(frozen=True, eq=False)
class Pool:
    """The places that are resampled together: those of open rows, and of rows of weight zero."""

    places: Tensor
    """int64 [M]"""
    log_weight: Tensor
    """float64 [M], nats: what rows are resampled by; -inf for a dead row"""
    lift: Tensor
    """float64 [M], nats: how much that is above the weight, of rows that weigh next to nothing"""

    @classmethod
    def of(cls, rows: GrownRows, island: Tensor) -> Pool:
        """Of the rows of an island."""
        open_ = rows.open | (rows.log_weight == -torch.inf)
        places = island[open_[island]]
        log_weight = rows.log_weight[places]
        lift = lifted(log_weight)
        return cls(places, log_weight + lift, lift)

    @property
    def ess(self) -> float:
        """Effective sample size; +inf where nothing is open."""
        if not bool((self.log_weight > -torch.inf).any()):
            return torch.inf
        return float(1 / self.log_weight.softmax(0).square().sum())

    def chosen(self, draws: Draws, resampling: OfRows, held: int = 0) -> Tensor:
        """int64 [M]: the row to copy to each of the places; the first ``held`` stay as they are."""
        weight, count = self.log_weight.softmax(0), len(self.places) - held
        drawn = self.places[ancestors(draws, weight, count, resampling)]
        return torch.cat([self.places[:held], drawn])

    def levelled(self, rows: GrownRows) -> GrownRows:
        """The rows, those of the pool all of its mean weight, less their lift: Z is what it was."""
        log_weight = rows.log_weight.clone()
        log_weight[self.places] = log_mean_exp(self.log_weight) - self.lift
        return replace(rows, log_weight=log_weight)
