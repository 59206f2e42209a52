"""Gumbel noise: draws by maxima, draws without replacement, relaxed one-hot rows.

If G_i = φ_i − log(−log u_i) with independent uniform u_i, then argmax_i G_i is a draw from
softmax(φ), and the k highest are k draws without replacement, in order. All noise is float64: in
single precision −log(−log u) ends at 16.6, and the rarest entries are never drawn.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ergotext.errors import InputError
from ergotext.samplers.draws import Draws
from ergotext.support.arrays import Ints
from ergotext.support.numerics import gumbel_quantile, log1mexp


def gumbel(draws: Draws, shape: torch.Size | tuple[int, ...]) -> Tensor:
    """float64, of that shape: independent standard Gumbel noise."""
    return gumbel_quantile(draws.uniform(int(np.prod(shape)))).view(shape)


def gumbel_max(draws: Draws, log_weight: Tensor) -> Tensor:
    """int64 [B]: one index a row, drawn from softmax(``log_weight``) of float64 [B, N].

    Raises
    ------
    InputError
        A row has no weight at all, or one that is NaN or +inf.

    References
    ----------
    Yellott 1977, "The relationship between Luce's choice axiom, Thurstone's theory of comparative
    judgment, and the double exponential distribution".
    """
    return gumbel_top_k(draws, log_weight, 1)[0][:, 0]


def gumbel_top_k(draws: Draws, log_weight: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """``k`` draws a row without replacement, in the order in which they are drawn.

    The law of the order is that of Plackett and Luce: each draw goes by the weights of what is
    left.

    Parameters
    ----------
    draws : Draws
    log_weight : float64 [B, N]
        In nats, not normalised; -inf for what is never drawn.
    k : int

    Returns
    -------
    index : int64 [B, k]
    perturbed : float64 [B, k]
        The perturbed log-weights, falling.

    Raises
    ------
    InputError
        A row has fewer than ``k`` entries of positive weight, or one that is NaN or +inf.

    References
    ----------
    Kool, van Hoof and Welling 2019, "Stochastic beams and where to find them", section 2.3.
    """
    check_finite(log_weight)
    fewest = int((log_weight > -torch.inf).sum(1).min()) if len(log_weight) else k
    if not 1 <= k <= fewest:
        raise InputError(
            f"cannot draw k = {k} entries without replacement: a row has only {fewest} of positive "
            "weight"
        )
    perturbed = (log_weight + gumbel(draws, log_weight.shape)).topk(k, dim=1)
    return perturbed.indices, perturbed.values


def gumbels_below(draws: Draws, log_weight: Tensor, parent: Ints, maximum: Tensor) -> Tensor:
    """float64 [n]: perturbed log-weights, given the maximum of each family of them.

    Where all φ are log-probabilities and the maximum of a family is Gumbel around the log of their
    sum, these are independent Gumbel around φ: so noise can be drawn from the top of a tree down.

    Parameters
    ----------
    draws : Draws
    log_weight : float64 [n]
        φ of each child, above -inf.
    parent : int64 [n]
        The family that each belongs to.
    maximum : float64 [families]
        T: what is to be the highest of each.

    References
    ----------
    Kool, van Hoof and Welling 2019, section 4.1 and appendix B.3 (the form that does not cancel);
    Maddison, Tarlow and Minka 2014, "A* sampling".
    """
    free = log_weight + gumbel(draws, log_weight.shape)
    family = torch.from_numpy(parent)
    highest = torch.full_like(maximum, -torch.inf).scatter_reduce(0, family, free, "amax")[family]
    wanted = maximum[family]
    # v is +inf or -inf nowhere but for the highest, which becomes T itself.
    v = wanted - free + log1mexp(free - highest)
    return wanted - v.clamp(min=0.0) - torch.log1p(torch.exp(-v.abs()))


def gumbel_softmax(draws: Draws, logits: Tensor, temperature: float) -> Tensor:
    """[B, N]: relaxed one-hot rows, differentiable in ``logits`` [B, N].

    At temperature 0 they would be draws from softmax(logits); above it a gradient through them is
    that of the relaxed expectation, without bias, and a biased one of the expectation over draws.

    Raises
    ------
    InputError
        The temperature is not above 0, or a row has no weight, NaN or +inf.

    References
    ----------
    Jang, Gu and Poole 2017, "Categorical reparameterization with Gumbel-softmax"; Maddison, Mnih
    and Teh 2017, "The concrete distribution".
    """
    if not 0 < temperature < np.inf:
        raise InputError(f"the temperature must be above 0 and finite, got {temperature}")
    check_finite(logits)
    noise = gumbel(draws, logits.shape).to(logits.device)
    return ((logits.double() + noise) / temperature).softmax(1).to(logits.dtype)


def straight_through(draws: Draws, logits: Tensor, temperature: float) -> Tensor:
    """[B, N]: one-hot draws from softmax(logits) with the gradient of ``gumbel_softmax``.

    The values are exact draws. The gradient is a biased one: it is right for no function but a
    constant, and for linear ones as far off as that of ``gumbel_softmax``.

    References
    ----------
    Bengio, Léonard and Courville 2013, "Estimating or propagating gradients through stochastic
    neurons"; Jang, Gu and Poole 2017, section 2.2.
    """
    soft = gumbel_softmax(draws, logits, temperature)
    hard = torch.nn.functional.one_hot(soft.argmax(1), soft.shape[1]).to(soft.dtype)
    return hard + (soft - soft.detach())  # in this order the values are exactly 0 and 1


def check_finite(log_weight: Tensor) -> None:
    """Raise InputError unless the highest number of each row of float64 [B, N] is finite."""
    highest = log_weight.detach().amax(1)
    if not bool(torch.isfinite(highest).all()):
        raise InputError("cannot draw from a row of scores with NaN or +inf, or with -inf only")
