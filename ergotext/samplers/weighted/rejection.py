"""Rejection sampling: exact draws, and the mass of the target from the acceptance rate."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ergotext.errors import ErgotextError, InputError
from ergotext.lm.batch import TokenBatch
from ergotext.samplers.draws import Draws
from ergotext.samplers.target import Target
from ergotext.samplers.weighted.proposals import TokenProposal, model
from ergotext.samplers.weighted.rollout import GrownRows, grown
from ergotext.samplers.weighted.samples import WeightedSamples, ZeroWeightError

ROUNDING = 1e-9
"""Nats by which a weight may pass the bound: no more than rounding does."""


@dataclass(frozen=True, eq=False)
class Accepted(WeightedSamples):
    """Exact draws of equal weight: the K of N tries that were accepted."""

    @property
    def error_known(self) -> bool:
        """Always: the number of those accepted has a known law."""
        return True

    @property
    def log_z_stderr(self) -> float:
        """Standard error of ``log_z`` in nats, above 0 also where every try was accepted.

        With all rates equally likely beforehand the acceptance rate is Beta(K + 1, N − K + 1) of
        these tries; this is the root mean square of its log about log K/N. Where K = N it is
        √2/(N + 1): three of them hold the rule of three, by which the share refused is below 3/N.

        References
        ----------
        Gelman et al. 2013, "Bayesian Data Analysis", section 2.4; Hanley and Lippman-Hand 1983,
        "If nothing goes wrong, is everything all right?".
        """
        met, tries = torch.tensor([len(self), self.tries], dtype=torch.float64)
        variance = torch.polygamma(1, met + 1) - torch.polygamma(1, tries + 2)
        shift = torch.digamma(met + 1) - torch.digamma(tries + 2) - (met / tries).log()
        return float((variance + shift.square()).sqrt())


class BoundError(ErgotextError, RuntimeError):
    """A draw weighs more than the stated bound: what was accepted so far is of another law."""


def rejection(
    target: Target,
    draws: Draws,
    n: int,
    *,
    proposal: TokenProposal = model,
    log_bound: float | None = None,
    max_tries: int = 100_000,
    at_once: int = 64,
) -> Accepted:
    """Up to ``n`` exact, independent draws, each of the same weight.

    A draw x of the proposal with weight w = p̃(x)/q(x) ≤ M is accepted with probability w/M. Tries
    go on until ``n + 1`` are accepted; the last of these only ends the count and is dropped, since
    with it the rate would be biased (Haldane). So M · accepted/tries is Z on average, also where
    ``max_tries`` cuts the count short: then fewer than ``n`` may come back. Ctrl-C does so too,
    once one is accepted: the tries that are being written then are left out.

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
            f"n ({n}), max_tries ({max_tries}) and at_once ({at_once}) must be at least 1"
        )
    if log_bound is None and target.soft is not None:
        raise InputError(
            "rejection needs a bound of the weights, and none is known for this soft energy: set "
            "log_bound to at least −min soft(x) over all possible texts"
        )
    bound = 0.0 if log_bound is None else log_bound
    kept: list[tuple[int, ...]] = []
    tries, wanted = 0, None
    while len(kept) <= n and tries < max_tries:
        try:
            rows = grown(draws, target, proposal, min(at_once, max_tries - tries))
        except KeyboardInterrupt:
            if not kept:
                raise
            wanted = n
            break
        _check(rows, bound)
        accepted = draws.bernoulli((rows.log_weight - bound).clamp(max=0.0).exp())
        at = accepted.nonzero()[: n + 1 - len(kept), 0]
        kept += rows.batch.select(at).rows()
        tries += len(accepted) if len(kept) <= n else int(at[-1])
    if not kept:
        raise ZeroWeightError(
            f"none of {tries} tries was accepted: raise max_tries, use the proposal masked, lower "
            f"log_bound if no draw can reach {bound:g}, or check that any text is accepted at all"
        )
    batch = TokenBatch.of(kept[:n])
    equal = torch.full((len(batch),), bound, dtype=torch.float64)
    return Accepted(batch, equal, tries, torch.arange(len(batch)), wanted=wanted)


def _check(rows: GrownRows, bound: float) -> None:
    worst = int(rows.log_weight.argmax())
    if not float(rows.log_weight[worst]) <= bound + ROUNDING:
        raise BoundError(
            f"the draw {rows.batch.rows()[worst]} has the log-weight "
            f"{float(rows.log_weight[worst]):.6g}, above log_bound = {bound:.6g}: set a higher "
            "log_bound and draw again"
        )
