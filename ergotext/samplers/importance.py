"""Importance sampling: independent draws from a proposal, weighted to be a target's."""

from __future__ import annotations

from ergotext.samplers.draws import Draws
from ergotext.samplers.growth import grown
from ergotext.samplers.next_token import Proposal, masked
from ergotext.samplers.target import Target
from ergotext.samplers.weighted import WeightedSamples


def importance(
    target: Target, draws: Draws, n: int, *, proposal: Proposal = masked
) -> WeightedSamples:
    """``n`` independent draws with weights p̃(x)/q(x).

    Parameters
    ----------
    target : Target
    draws : Draws
    n : int
    proposal : Proposal
        ``next_token.masked`` (the weight is the product of the allowed masses of all steps),
        ``next_token.model``, or ``next_token.AdaptiveRejection()`` (the same product, estimated).

    Raises
    ------
    InputError
        ``n`` is below one.
    ZeroWeightError
        All weights are zero.
    EnergyError
        The soft energy returned what is no energy.

    Warns
    -----
    HeavyWeightsWarning
        k-hat is above 0.7, or there are too few draws to tell.

    References
    ----------
    Owen 2013, "Monte Carlo theory, methods and examples", chapter 9 (equation 9.3 for Z).
    """
    rows = grown(draws, target, proposal, n)
    return WeightedSamples.of(rows.batch, rows.log_weight).warned()
