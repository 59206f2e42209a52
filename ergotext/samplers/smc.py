"""Sequential Monte Carlo: particles written side by side, the promising ones copied on the way."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from ergotext.lm.protocols import InputError, LookAhead
from ergotext.samplers.draws import Draws
from ergotext.samplers.growth import Rows, grow
from ergotext.samplers.next_token import Proposal, finishing
from ergotext.samplers.resampling import Scheme, ancestors
from ergotext.samplers.target import EnergyError, Target
from ergotext.samplers.trust import Judged
from ergotext.samplers.weighted import WeightedSamples


def smc(
    target: Target,
    draws: Draws,
    particles: int,
    *,
    proposal: Proposal = finishing,
    resampling: Scheme = "systematic",
    threshold: float = 0.5,
    twist: LookAhead | None = None,
) -> WeightedSamples:
    """Particles that grow by the proposal and are resampled when few carry the weight.

    After t tokens a particle stands for p(x_1…t) · ψ(state), where the twist ψ says how well things
    may end from there; when its sequence is closed, ψ gives way to exp(−soft). Whatever ψ is, Z and
    all unnormalised averages are unbiased, also under resampling by threshold.

    Parameters
    ----------
    target : Target
    draws : Draws
    particles : int
    proposal : Proposal
    resampling : "multinomial", "stratified" or "systematic"
    threshold : float
        In [0, 1]: resample where the effective sample size falls below this share of the
        particles. 0 is importance sampling; at 1 all but equal weights are resampled.
    twist : LookAhead, optional
        log ψ in nats, of the automaton's states (its inputs are all 0); finite wherever an
        accepted sequence goes on.

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
    2016, "On the role of interaction in sequential Monte Carlo algorithms", for unbiasedness under
    resampling by threshold; Naesseth, Lindsten and Schön 2019, "Elements of sequential Monte
    Carlo", section 3, for twisting.
    """
    if not 0 <= threshold <= 1:
        raise InputError(f"the threshold must lie between 0 and 1, got {threshold}")
    rows = Rows.start(target, particles)
    root = torch.arange(particles)
    potential = torch.zeros(particles, dtype=torch.float64)
    before: list[Judged] = []
    while bool(rows.open.any()):
        rows = grow(draws, target, proposal, rows)
        after = _potential(twist, rows)
        log_weight = rows.log_weight + after - potential
        rows = replace(rows, log_weight=log_weight, open=rows.open & (log_weight > -torch.inf))
        potential = after.where(rows.open, 0.0)
        if not bool(rows.open.any()):
            break
        judged = Judged.of(rows.log_weight)
        if judged.ess < threshold * particles * (1 - 1e-9):
            before.append(judged)
            chosen = ancestors(draws, rows.log_weight.softmax(0), particles, resampling)
            rows, root, potential = _go_on_from(rows, chosen), root[chosen], potential[chosen]
    samples = WeightedSamples.of(rows.batch, rows.log_weight, root, before=tuple(before))
    return samples.warned()


def _potential(twist: LookAhead | None, rows: Rows) -> Tensor:
    """float64 [N]: log ψ of the open rows; 0 where a sequence is closed or the row is dead."""
    value = torch.zeros(len(rows.open), dtype=torch.float64)
    states = rows.state[rows.open.numpy()]
    if twist is None or not len(states):
        return value
    value[rows.open] = torch.tensor(np.array(twist(0 * states, states)))
    if bool((value.isnan() | (value == torch.inf)).any()):
        raise EnergyError("the twist must be a number below infinity for every state, and is not")
    return value


def _go_on_from(rows: Rows, chosen: Tensor) -> Rows:
    """The chosen particles, all of the mean weight: Z is what it was."""
    mean = float(rows.log_weight.logsumexp(0)) - math.log(len(chosen))
    log_weight = torch.full((len(chosen),), mean, dtype=torch.float64)
    return replace(rows.select(chosen), log_weight=log_weight)
