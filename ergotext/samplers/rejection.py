"""Rejection sampling: exact draws of the target, and its mass from the acceptance rate."""

from __future__ import annotations

import torch
from torch import Tensor

from ergotext.lm.batch import TokenBatch
from ergotext.lm.protocols import ErgotextError, InputError
from ergotext.samplers.draws import Draws
from ergotext.samplers.growth import Rows, grown
from ergotext.samplers.next_token import Proposal, model
from ergotext.samplers.target import Target
from ergotext.samplers.weighted import WeightedSamples

ROUNDING = 1e-9
"""Nats by which a weight may pass the bound: no more than rounding does."""


class BoundError(ErgotextError, RuntimeError):
    """A draw weighs more than the stated bound: what was accepted so far is of another law."""


def rejection(
    target: Target,
    draws: Draws,
    n: int,
    *,
    proposal: Proposal = model,
    log_bound: float | None = None,
    max_tries: int = 100_000,
    at_once: int = 64,
) -> WeightedSamples:
    """Up to ``n`` exact, independent draws, each of the same weight.

    A draw x of the proposal with weight w = p̃(x)/q(x) ≤ M is accepted with probability w/M. Tries
    go on until ``n + 1`` are accepted; the last of these only ends the count and is dropped, since
    with it the rate would be biased (Haldane). So M · accepted/tries is Z on average, also where
    ``max_tries`` cuts the count short: then fewer than ``n`` may come back.

    Parameters
    ----------
    target : Target
    draws : Draws
    n : int
        Draws wanted.
    proposal : Proposal
        With ``next_token.masked`` fewer are rejected; an estimated weight is no less exact.
    log_bound : float, optional
        log M in nats. 0 where there is no soft energy. With one it must be stated: −min soft(x).
    max_tries, at_once : int
        Most tries, and how many are written side by side.

    Raises
    ------
    InputError
        A count is below one, or there is a soft energy and no bound.
    BoundError
        A draw weighs more than the bound.
    ZeroWeightError
        No try was accepted.
    EnergyError
        The soft energy returned what is no energy.

    References
    ----------
    von Neumann 1951, "Various techniques used in connection with random digits"; Haldane 1945,
    "On a method of estimating frequencies"; Girshick, Mosteller and Savage 1946, "Unbiased
    estimates for certain binomial sampling problems", for a count that is cut short.
    """
    if min(n, max_tries, at_once) < 1:
        raise InputError(
            f"n ({n}), max_tries ({max_tries}) and at_once ({at_once}) must be at least one"
        )
    if log_bound is None and target.soft is not None:
        raise InputError(
            "rejection needs a bound of the weights, and of a soft energy it knows none: state "
            "log_bound, at least −min soft(x) over the texts that may come"
        )
    bound = 0.0 if log_bound is None else log_bound
    kept: list[tuple[int, ...]] = []
    tries = 0
    while len(kept) <= n and tries < max_tries:
        rows = grown(draws, target, proposal, min(at_once, max_tries - tries))
        _check(rows, bound)
        accepted = draws.bernoulli((rows.log_weight - bound).clamp(max=0.0).exp())
        at = accepted.nonzero()[: n + 1 - len(kept), 0]
        kept += rows.batch.select(at).rows()
        tries += len(accepted) if len(kept) <= n else int(at[-1])
    batch = TokenBatch.of(kept[:n])
    return WeightedSamples(batch, _equal(bound, len(batch)), tries, torch.arange(len(batch)))


def _equal(bound: float, count: int) -> Tensor:
    return torch.full((count,), bound, dtype=torch.float64)


def _check(rows: Rows, bound: float) -> None:
    worst = int(rows.log_weight.argmax())
    if not float(rows.log_weight[worst]) <= bound + ROUNDING:
        raise BoundError(
            f"the draw {rows.batch.rows()[worst]} has the log-weight "
            f"{float(rows.log_weight[worst]):.6g}, above the stated bound {bound:.6g}: state a "
            f"log_bound that no draw can pass, and draw all anew"
        )
