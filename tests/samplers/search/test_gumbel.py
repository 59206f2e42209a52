"""Gumbel noise against the laws that it is to have, by quadrature and by enumeration."""

from __future__ import annotations

import itertools
import math
import re
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ergotext.errors import InputError
from ergotext.samplers.draws import SeededDraws
from ergotext.samplers.search.gumbel import (
    gumbel,
    gumbel_max,
    gumbel_softmax,
    gumbel_top_k,
    gumbels_below,
    straight_through,
)
from ergotext.samplers.weighted.samples import HeavyWeightsWarning
from tests.paths import ROOT
from tests.quadrature import GivenDraws, grid, points

LOG_WEIGHT = torch.tensor([0.4, -1.1, -math.inf, 1.3, -0.2], dtype=torch.float64)
MANY = 200_000


def within_5(share: Tensor, law: Tensor, count: int) -> bool:
    error = (law * (1 - law) / count).sqrt()
    return bool(((share - law).abs() <= 5 * error).all())


def plackett_luce(weight: Tensor, k: int) -> dict[tuple[int, ...], float]:
    """The probability of each order of ``k`` draws without replacement."""
    result = {}
    for order in itertools.permutations(weight.nonzero()[:, 0].tolist(), k):
        left, chance = float(weight.sum()), 1.0
        for i in order:
            chance *= float(weight[i]) / left
            left -= float(weight[i])
        result[order] = chance
    return result


def check_noise(noise_of: Callable[..., Tensor]) -> None:
    """The inverse of the distribution function, to the last digits."""
    u = torch.tensor([2.0**-54, 1e-9, 0.3, 0.5, 0.999, 1 - 2.0**-53], dtype=torch.float64)
    noise = noise_of(GivenDraws([u]), (2, 3))
    assert noise.shape == (2, 3) and noise.dtype == torch.float64
    assert torch.allclose((-(-noise).exp()).exp().view(-1), u, rtol=1e-13, atol=0)
    assert bool(torch.isfinite(noise).all())
    assert float(noise.max()) > 36, "in single precision it would end at 16.6"


def test_noise_is_the_inverse_of_its_distribution_function() -> None:
    check_noise(gumbel)


def test_one_draw_is_that_of_softmax() -> None:
    drawn = gumbel_max(SeededDraws(0), LOG_WEIGHT.expand(MANY, -1))
    share = drawn.bincount(minlength=5).double() / MANY
    assert share[2] == 0 and within_5(share, LOG_WEIGHT.softmax(0), MANY)


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_orders_are_those_of_plackett_and_luce(k: int) -> None:
    index, perturbed = gumbel_top_k(SeededDraws(k), LOG_WEIGHT.expand(MANY, -1), k)
    assert bool((perturbed.diff(dim=1) < 0).all())
    law = plackett_luce(LOG_WEIGHT.exp(), k)
    code = (index * 5 ** torch.arange(k)).sum(1).bincount(minlength=5**k).double() / MANY
    orders = torch.tensor(list(law)) @ 5 ** torch.arange(k)
    assert within_5(code[orders], torch.tensor(list(law.values())).double(), MANY)
    assert float(code[orders].sum()) == pytest.approx(1.0)
    for i in range(5):  # and so are the inclusion probabilities
        wanted = sum(p for order, p in law.items() if i in order)
        share = (index == i).any(1).double().mean()
        assert within_5(share, torch.tensor(wanted).double(), MANY)


def test_what_cannot_be_drawn_is_refused() -> None:
    row = LOG_WEIGHT[None]
    for k in (0, 5):
        with pytest.raises(InputError, match="without replacement"):
            gumbel_top_k(SeededDraws(0), row, k)
    for bad in (math.nan, math.inf):
        with pytest.raises(InputError, match="NaN or"):
            gumbel_max(SeededDraws(0), torch.tensor([[0.0, bad]], dtype=torch.float64))
    with pytest.raises(InputError, match="with -inf only"):
        gumbel_max(SeededDraws(0), torch.full((1, 3), -math.inf, dtype=torch.float64))


def check_family(below: Callable[..., Tensor]) -> None:
    """Two children below a parent are independent Gumbel variables, by quadrature to 1e-9.

    With λ = exp(φ), exp(−G) is to be exponential with rate λ, so E[exp(−a e^(−G₁) − b e^(−G₂))] is
    to be λ₁/(λ₁+a) · λ₂/(λ₂+b). The square of the two children's noise is cut along the line where
    both come out equal, and in each half the coordinate below that line is stretched to (0, 1).
    """
    rate = torch.tensor([0.3, 1.1], dtype=torch.float64)
    (root, high, share), weight = grid(36, 36, 36)
    got = torch.zeros(3, dtype=torch.float64)
    for winner in (0, 1):
        power = rate[1 - winner] / rate[winner]
        noise = torch.stack([high, share * high**power], dim=1)
        noise = noise if winner == 0 else noise.flip(1)
        count = len(weight)
        top = rate.sum().log() + gumbel(GivenDraws([root]), (count,))
        family = np.repeat(np.arange(count), 2)
        draws = GivenDraws([noise.reshape(-1)])
        value = below(draws, rate.log().repeat(count), family, top).view(-1, 2)
        assert torch.equal(value[:, winner], top), "the highest is the parent's, to the last bit"
        assert bool((value[:, 1 - winner] <= top).all())
        seen = (-value).exp()
        for n, (a, b) in enumerate([(1.0, 0.0), (0.0, 2.0), (0.7, 1.9)]):
            got[n] += (weight * high**power * (-a * seen[:, 0] - b * seen[:, 1]).exp()).sum()
    one, two = (lambda a: rate[0] / (rate[0] + a)), (lambda b: rate[1] / (rate[1] + b))
    wanted = torch.stack([one(1.0), two(2.0), one(0.7) * two(1.9)])
    assert float((got - wanted).abs().max()) < 1e-9


def test_noise_from_the_top_down_is_that_of_the_leaves() -> None:
    check_family(gumbels_below)


def test_noise_from_the_top_down_stays_finite_and_in_order() -> None:
    log_weight = torch.tensor([-900.0, -1000.0, 0.0, -1e-9, -40.0, -700.0], dtype=torch.float64)
    family = np.array([0, 0, 1, 1, 1, 2])
    top = torch.tensor([-893.0, 30.0, -1200.0], dtype=torch.float64)
    for seed in range(200):
        value = gumbels_below(SeededDraws(seed), log_weight, family, top)
        assert bool(torch.isfinite(value).all())
        assert torch.stack([value[:2].max(), value[2:5].max(), value[5]]).equal(top)
        assert len(value.unique()) == 6


TEMPERATURES = [0.3, 1.0, 2.5]
GAP = 0.8


def curve(soft: Tensor) -> Tensor:
    """Something that is not linear, of rows [N, 2]."""
    return (2.0 * soft[:, 0] - 0.5 * soft[:, 1]).square() + 0.4 * soft[:, 0]


def slope(soft: Tensor) -> Tensor:
    """Its derivative by the first entry, the second being one less it."""
    return 5.0 * (2.5 * soft[:, 0] - 0.5) + 0.4


def relaxed(temperature: float) -> tuple[Tensor, Tensor, Tensor]:
    """Rows, the logistic noise behind them, and weights: y = σ((gap + L) / τ)."""
    u, weight = points(400)
    noise = torch.logit(u)
    first = torch.sigmoid((GAP + noise) / temperature)
    return torch.stack([first, 1 - first], dim=1), noise, weight


def gradient(temperature: float, how: Callable[..., Tensor], count: int = 90) -> float:
    """E of the gradient by the first logit that autograd finds, over all noise."""
    (one, other), weight = grid(count, count)
    logits = torch.tensor([GAP, 0.0], dtype=torch.float64).repeat(len(weight), 1)
    logits.requires_grad_()
    rows = how(GivenDraws([torch.stack([one, other], dim=1).reshape(-1)]), logits, temperature)
    (weight * curve(rows)).sum().backward()
    assert logits.grad is not None
    assert float(logits.grad.sum()) == pytest.approx(0.0, abs=1e-12)
    return float(logits.grad[:, 0].sum())


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_relaxed_gradient_is_that_of_the_relaxed_expectation(temperature: float) -> None:
    """Three ways to one number: autograd over the noise, by hand, and the score function.

    The score of y by the gap is −(log f)'(L) = tanh(L/2), f being the logistic density.
    """
    rows, noise, weight = relaxed(temperature)
    by_hand = (weight * slope(rows) * rows[:, 0] * rows[:, 1] / temperature).sum()
    by_score = (weight * curve(rows) * torch.tanh(noise / 2)).sum()
    assert float(by_hand) == pytest.approx(float(by_score), abs=1e-9)
    assert gradient(temperature, gumbel_softmax) == pytest.approx(float(by_hand), abs=1e-6)


def test_relaxed_gradient_nears_that_of_the_draws_as_it_cools() -> None:
    """∇ Σ p_i f(e_i); the relaxation is biased, and less so the colder it is."""
    p = float(torch.tensor(GAP).sigmoid())
    ends = curve(torch.eye(2, dtype=torch.float64))
    exact = p * (1 - p) * float(ends[0] - ends[1])
    bias = []
    for temperature in (0.25, 0.12, 0.06, 0.03):
        rows, noise, weight = relaxed(temperature)
        bias.append(abs(float((weight * curve(rows) * torch.tanh(noise / 2)).sum()) - exact))
    assert bias == sorted(bias, reverse=True) and bias[-1] < 0.02 * exact < bias[0]


def test_straight_through_draws_exactly_and_passes_the_relaxed_gradient() -> None:
    logits = LOG_WEIGHT[[0, 1, 3, 4]].repeat(MANY, 1).requires_grad_()
    hard = straight_through(SeededDraws(3), logits, 0.7)
    assert bool(((hard == 0) | (hard == 1)).all()) and bool((hard.sum(1) == 1).all())
    assert within_5(hard.mean(0).detach(), LOG_WEIGHT[[0, 1, 3, 4]].softmax(0), MANY)
    given = torch.arange(4.0, dtype=torch.float64)
    (hard @ given).sum().backward()
    plain = logits.detach().requires_grad_()
    (gumbel_softmax(SeededDraws(3), plain, 0.7) @ given).sum().backward()
    assert logits.grad is not None and plain.grad is not None
    assert torch.allclose(logits.grad, plain.grad, atol=1e-14) and float(plain.grad.abs().max()) > 1


def test_relaxed_rows_keep_their_type_and_gradient_in_single_precision() -> None:
    logits = torch.zeros(3, 4, requires_grad=True)
    rows = gumbel_softmax(SeededDraws(0), logits, 0.5)
    assert rows.dtype == torch.float32 and rows.sum(1).tolist() == pytest.approx([1.0] * 3)
    rows[:, 0].sum().backward()
    assert logits.grad is not None and float(logits.grad.abs().sum()) > 0


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf])
def test_temperatures_that_are_none(bad: float) -> None:
    for how in (gumbel_softmax, straight_through):
        with pytest.raises(InputError, match="temperature must be above 0"):
            how(SeededDraws(0), torch.zeros(1, 2), bad)


SNIPPETS = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "gumbel.md").read_text(), re.S)


@pytest.mark.parametrize("number", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_what_the_docs_show_runs(number: int) -> None:
    assert len(SNIPPETS) == 2
    made: dict[str, Any] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HeavyWeightsWarning)  # 8 of many, as the page says
        exec(SNIPPETS[number], made)
    if number == 0:
        assert made["two"].shape == (1, 2) and float(made["law"].sum()) == pytest.approx(1.0)
    else:
        assert len(made["samples"]) == 8 and not made["samples"].exact
