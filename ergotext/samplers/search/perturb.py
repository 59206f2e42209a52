"""Perturb-and-maximise: distribution of the highest perturbed score, by kind of noise."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ergotext.errors import InputError
from ergotext.samplers.draws import Draws
from ergotext.samplers.search.gumbel import check_finite
from ergotext.support.numerics import gumbel_cdf, gumbel_quantile

Curve = Callable[[Tensor], Tensor]

_STEP = 0.04
_AT = torch.arange(-90, 91, dtype=torch.float64) * _STEP
_INNER = math.pi / 2 * _AT.sinh()
POINT = torch.sigmoid(2 * _INNER)
SHARE = _STEP * math.pi / 4 * _AT.cosh() / _INNER.cosh().square()
"""Tanh-sinh quadrature over [0, 1] (Takahasi and Mori 1974): points, and the weight of each."""


@dataclass(frozen=True)
class Noise:
    """A continuous law of noise, by its distribution function and that one's inverse.

    Parameters
    ----------
    quantile : function
        From (0, 1), float64 tensors of any shape.
    cdf : function
        Its inverse.
    corners : tuple of float
        Where ``cdf`` is not smooth.
    """

    quantile: Curve
    cdf: Curve
    corners: tuple[float, ...] = ()


def _laplace_quantile(u: Tensor) -> Tensor:
    return torch.where(u < 0.5, (2 * u).log(), -(2 - 2 * u).log())


def _laplace_cdf(x: Tensor) -> Tensor:
    tail = (-x.abs()).exp() / 2
    return torch.where(x < 0, tail, 1 - tail)


NOISES = {
    "gumbel": Noise(gumbel_quantile, gumbel_cdf),
    "exponential": Noise(lambda u: -(-u).log1p(), lambda x: -torch.expm1(-x.clamp(min=0.0)), (0,)),
    "logistic": Noise(torch.logit, torch.sigmoid),
    "laplace": Noise(_laplace_quantile, _laplace_cdf, (0,)),
    "normal": Noise(torch.special.ndtri, torch.special.ndtr),
    "uniform": Noise(lambda u: u, lambda x: x.clamp(0.0, 1.0), (0, 1)),
}
"""Standard laws by name. What ``argmax`` of scores with each of them is a draw from: softmax
(gumbel); the law of permute-and-flip (exponential); multinomial probit (normal). The others have
no name: ``law_of_maximum`` computes them."""


def perturb_and_max(draws: Draws, score: Tensor, noise: str = "gumbel") -> Tensor:
    """int64 [B]: where ``score`` [B, N] with independent noise is highest.

    Only Gumbel noise makes this a draw from softmax(score); ``law_of_maximum`` tells what the
    others give.

    Parameters
    ----------
    draws : Draws
    score : float64 [B, N]
        -inf for what must not come.
    noise : str
        One of ``NOISES``.

    Raises
    ------
    InputError
        No such noise; or a row without a finite score, or with NaN or +inf.

    References
    ----------
    Papandreou and Yuille 2011, "Perturb-and-MAP random fields"; McKenna and Sheldon 2020,
    "Permute-and-flip", with Ding et al. 2021 for exponential noise.
    """
    law = _named(noise)
    check_finite(score)
    return (score + law.quantile(draws.uniform(score.numel())).view(score.shape)).argmax(1)


def law_of_maximum(score: Tensor, noise: str = "gumbel") -> Tensor:
    """float64 [B, N]: the probability of each entry to be the highest under such noise.

    P(i) = ∫₀¹ Π_{j≠i} F(Q(u) + s_i − s_j) du, with F and Q the noise's distribution function and
    its inverse. The integral is cut where a factor has a corner and done by tanh-sinh quadrature:
    exact to about 1e-10. It takes N² evaluations of 181 points each: for small N.

    Raises
    ------
    InputError
        As ``perturb_and_max``.
    """
    law = _named(noise)
    check_finite(score)
    return torch.stack([_row_law(row, law) for row in score])


def _row_law(score: Tensor, noise: Noise) -> Tensor:
    result = torch.zeros_like(score)
    possible = (score > -torch.inf).nonzero()[:, 0]
    for i in possible:
        gap = score[i] - score[possible[possible != i]]
        corners = [noise.cdf(c - gap) for c in noise.corners]
        corners += [noise.cdf(torch.tensor([float(c)], dtype=torch.float64)) for c in noise.corners]
        edge = torch.cat([torch.tensor([0.0, 1.0], dtype=torch.float64), *corners]).unique()
        width = edge.diff()[:, None]
        u = (edge[:-1, None] + width * POINT).clamp(2.0**-54, 1 - 2.0**-53)
        factors = noise.cdf(noise.quantile(u)[:, :, None] + gap)
        result[i] = (width * SHARE * factors.prod(2)).sum()
    return result


def _named(noise: str) -> Noise:
    if noise not in NOISES:
        raise InputError(f"no noise {noise!r}; choose one of {', '.join(sorted(NOISES))}")
    return NOISES[noise]
