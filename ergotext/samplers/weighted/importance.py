"""Importance sampling: independent weighted draws from a proposal."""

from __future__ import annotations

import torch

from ergotext.errors import InputError
from ergotext.lm.batch import TokenBatch
from ergotext.samplers.draws import Draws
from ergotext.samplers.target import Target
from ergotext.samplers.weighted.lost import check_met
from ergotext.samplers.weighted.proposals import TokenProposal, masked
from ergotext.samplers.weighted.rollout import GrownRows, grown
from ergotext.samplers.weighted.samples import WeightedSamples


def importance(
    target: Target, draws: Draws, n: int, *, proposal: TokenProposal = masked, at_once: int = 64
) -> WeightedSamples:
    """``n`` independent draws with weights p̃(x)/q(x).

    They are written in batches. Ctrl-C after the first keeps those that are whole: none of a
    batch that is being written, where the short ones are ready first.

    Parameters
    ----------
    target : Target
    draws : Draws
    n : int
    proposal : Proposal
        ``proposals.masked`` (the weight is the product of the allowed masses of all steps),
        ``proposals.finishing`` (as that, and near ``max_length`` it keeps to known endings),
        ``proposals.model``, or ``adaptive.AdaptiveRejection()`` (the same product, estimated).
    at_once : int
        How many are written side by side.

    Raises
    ------
    InputError
        ``n`` or ``at_once`` is below one.
    ZeroWeightError
        All weights are zero.
    EnergyError
        The soft energy returned what is no energy.

    Warns
    -----
    HeavyWeightsWarning
        k-hat is too high for so many draws, or there are too few draws to know.

    References
    ----------
    Owen 2013, "Monte Carlo theory, methods and examples", chapter 9 (equation 9.3 for Z).
    """
    if min(n, at_once) < 1:
        raise InputError(f"n ({n}) and at_once ({at_once}) must be at least 1")
    done: list[GrownRows] = []
    tries, wanted = 0, None
    while tries < n:
        try:
            done.append(grown(draws, target, proposal, min(at_once, n - tries)))
        except KeyboardInterrupt:
            if not tries:
                raise
            wanted = n
            break
        tries += len(done[-1].open)
    batch = TokenBatch.of([row for rows in done for row in rows.batch.rows()])
    log_weight = torch.cat([rows.log_weight for rows in done])
    if not bool((log_weight > -torch.inf).any()):
        check_met(target, done[-1], tries)
    doubted = any(rows.doubted for rows in done)
    return WeightedSamples.of(batch, log_weight, wanted=wanted, doubted=doubted).warned()
