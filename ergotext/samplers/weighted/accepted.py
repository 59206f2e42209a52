"""Accepted draws, and the target's mass from the rate at which they were accepted."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from ergotext.samplers.weighted.samples import WeightedSamples

POINTS = 200
"""Of the quadrature of ``log_z_stderr``"""
DEEP = 40.0
"""Nats below the highest density where the quadrature ends"""


@dataclass(frozen=True, eq=False, repr=False)
class Accepted(WeightedSamples):
    """Exact draws of equal weight: the K of N tries that were accepted.

    Parameters
    ----------
    log_left : float64 [N − K + 1], optional
        log of the mass that proposals were drawn from, in nats: at each try that was refused, and
        at the end. All 0 if not given: nothing was removed.
    """

    log_left: Tensor = field(
        default_factory=lambda: torch.zeros(0, dtype=torch.float64), kw_only=True
    )

    @property
    def error_known(self) -> bool:
        """Always: the number of those accepted has a known law."""
        return True

    @property
    def log_z_stderr(self) -> float:
        """Standard error of ``log_z`` in nats, above 0 also where every try was accepted.

        With all rates x at the end equally likely beforehand, the chance of what was seen is
        x^K Π(1 − x · a_J/a_j) over the J tries that were refused (``log_z_of``); this is the root
        mean square of log x, so weighted, about the estimate. Without a memory x is
        Beta(K + 1, N − K + 1). Where K = N it is √2/(N + 1): three of them hold the rule of three,
        by which the share refused is below 3/N. Where a memory has removed all that is refused it
        is wider than the errors seen: the tries alone do not tell that nothing is left to refuse.

        References
        ----------
        Gelman et al. 2013, "Bayesian Data Analysis", section 2.4; Hanley and Lippman-Hand 1983,
        "If nothing goes wrong, is everything all right?".
        """
        left = self.log_left if len(self.log_left) else torch.zeros(self.tries - len(self) + 1)
        refused = (left[-1] - left[:-1]).double().clamp(max=0.0)
        estimate = log_z_of(left.double(), len(self)) - float(left[-1])
        share, count = torch.unique(refused, return_counts=True)
        return _root_mean_square(share, count, len(self), estimate)


def log_z_of(log_left: Tensor, met: int) -> float:
    """log of an unbiased estimate of the rate K/N that tries without a memory would have, in nats.

    ``log_left`` is float64 [J + 1], nats: log a_j, the mass that proposals are drawn from after j
    refusals; ``met`` is K. A try after j refusals is accepted with probability Z/a_j, whatever
    came before, and what a refusal removes depends on the refused texts alone. So tries with K
    acceptances and J refusals have the probability

        Z^K · Π_refused p(text) · Π_i 1/a_{j(i)}   over all tries i,

    and given K and the refused texts, in their order, the K acceptances lie among the refusals
    with a law that is free of Z: those numbers k_j that come after j refusals have the weight
    Π a_j^{−k_j}. a_0 · 1[the first try was accepted] is Z on average, so its mean under that law
    is, too (Rao and Blackwell):

        h_{K−1}(1/a_0, …, 1/a_J) / h_K(1/a_0, …, 1/a_J),

    h_k being the sum of all products of k of its variables, each as often as one likes. It holds
    for a count that ends with the (K + 1)-th acceptance, which is left out, and for one that ends
    with a given number of tries. With nothing removed it is K/(K + J).

    References
    ----------
    Girshick, Mosteller and Savage 1946, "Unbiased estimates for certain binomial sampling
    problems", whose argument this is, with rates that change.
    """
    last = log_left[-1]
    if bool((log_left == last).all()):
        return float(last) + math.log(met / (met + len(log_left) - 1))
    share = (last - log_left).exp()
    products, ratio = torch.ones_like(share), torch.ones(())
    for _ in range(met):
        products = (share * products).cumsum(0)
        ratio = products[-1]
        products = products / ratio
    return float(last - ratio.log())


def _root_mean_square(log_share: Tensor, count: Tensor, met: int, about: float) -> float:
    """Root mean square of log x − about, x in (0, 1) having the density x^K Π(1 − x·share)^count.

    By Gauss's quadrature over u = log x, whose log-density is concave.
    """
    node, weight = map(torch.from_numpy, np.polynomial.legendre.leggauss(POINTS))
    low, high = about - 2 * DEEP / (met + 1) - 1.0, 0.0
    for _ in range(4):  # each time closer about what counts
        u = low + (high - low) * (node + 1) / 2
        refused = torch.log1p(-(u[:, None] + log_share).exp().clamp(max=1.0)) * count
        log_density = (met + 1) * u + refused.sum(1)
        near = u[log_density > log_density.max() - DEEP]
        margin = 4 * (high - low) / POINTS
        low, high = float(near[0]) - margin, min(0.0, float(near[-1]) + margin)
    share = weight * (log_density - log_density.max()).exp()
    return float((share @ (u - about).square() / share.sum()).sqrt())
