"""Averages and quantiles over weighted draws."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ergotext.errors import InputError


@dataclass(frozen=True)
class Average:
    """A weighted mean and its standard error; +inf if it is unknown."""

    mean: float
    stderr: float


def values_of(values: Sequence[float] | Tensor, count: int) -> Tensor:
    """float64 [count]: one finite number a draw.

    Raises
    ------
    InputError
        There are more or fewer, or one is not finite.
    """
    found = torch.as_tensor(values, dtype=torch.float64)
    if found.shape != (count,) or not bool(torch.isfinite(found).all()):
        raise InputError(
            f"one finite number is needed for each of {count} draws, got shape "
            f"{list(found.shape)}, {int((~torch.isfinite(found)).sum())} of them not finite"
        )
    return found


def spread(part: Tensor, root: Tensor) -> float:
    """Standard error of a ratio of weighted sums, from what each draw adds to it.

    Draws of one root hang together: they count as one.

    Parameters
    ----------
    part : float64 [K]
        W_k (f_k − mean).
    root : int64 [K]
        From which first particle each descends.

    References
    ----------
    Owen 2013, "Monte Carlo theory, methods and examples", equation 9.9; Lee and Whiteley 2018,
    "Variance estimation in the particle filter", for roots.
    """
    names, at = root.unique(return_inverse=True)
    if len(names) < 2:
        return math.inf
    total = torch.zeros(len(names), dtype=torch.float64).index_add(0, at, part)
    return math.sqrt(float(total.square().sum()) * len(names) / (len(names) - 1))


def weighted_quantile(weights: Tensor, values: Tensor, share: float) -> float:
    """The lowest value that draws of at least this share of the weight do not exceed.

    Raises
    ------
    InputError
        The share is not in [0, 1].
    """
    if not 0 <= share <= 1:
        raise InputError(f"share must be between 0 and 1, got {share}")
    order = values.argsort(stable=True)
    below = weights[order].cumsum(0)
    at = int(torch.searchsorted(below, share * float(below[-1]) - 1e-12))
    return float(values[order[min(at, len(order) - 1)]])
