"""Sums, means and differences of numbers that are kept as logarithms, without overflow or NaN.

Tensors keep their precision, float32 or float64. A weight of zero is -inf, and so is a sum or mean
of nothing but zeros.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def logsumexp_bounds(x: Tensor, dim: int = -1) -> tuple[Tensor, Tensor]:
    """Lower and upper bound of ``x.logsumexp(dim)``: max x ≤ log Σ exp x ≤ max x + log n.

    The lower one is met where a single entry counts, the upper one where all are equal. Both are
    -inf for rows without an entry.
    """
    n = x.shape[dim]
    if not n:
        nothing = x.logsumexp(dim)
        return nothing, nothing
    highest = x.amax(dim)
    return highest, highest + math.log(n)


def log_mean_exp(x: Tensor, dim: int = -1, count: int | None = None) -> Tensor:
    """log of the mean of exp(x); -inf, never NaN, for rows that are empty or -inf throughout.

    Parameters
    ----------
    x : float [..., n, ...]
    dim : int
    count : int, optional
        What the sum is divided by, if not n: entries of weight zero need not be kept.
    """
    return x.logsumexp(dim) - math.log(max(x.shape[dim] if count is None else count, 1))


def log1mexp(a: Tensor) -> Tensor:
    """log(1 − exp(a)) for a ≤ 0, precise at both ends.

    References
    ----------
    Mächler 2012, "Accurately computing log(1 − exp(−|a|))".
    """
    return torch.where(a > -0.6931, (-torch.expm1(a)).log(), torch.log1p(-a.exp()))


def gumbel_quantile(u: Tensor) -> Tensor:
    """−log(−log u): standard Gumbel noise from uniform noise; ±inf at the ends 0 and 1.

    The largest float32 below 1 gives 16.6, the largest float64 36.7: draw in float64.
    """
    return -(-u.log()).log()


def gumbel_cdf(x: Tensor) -> Tensor:
    """exp(−exp(−x)): the chance of standard Gumbel noise to be at most x."""
    return (-(-x).exp()).exp()


def gumbel_log_survival(x: Tensor) -> Tensor:
    """log(1 − exp(−exp(−x))): the chance, in nats, of standard Gumbel noise to be above x."""
    # For large x this is −x − exp(−x)/2; exp(−x) itself would underflow.
    return torch.where(x < 30.0, log1mexp(-(-x).exp()), -x - (-x).exp() / 2)
