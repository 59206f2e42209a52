"""What each noise draws, by closed forms, by another quadrature and by draws."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from ergotext.errors import InputError
from ergotext.samplers.draws import SeededDraws
from ergotext.samplers.search.perturb import NOISES, law_of_maximum, perturb_and_max

SCORE = torch.tensor([0.3, -0.4, -math.inf, 0.9, 0.1], dtype=torch.float64)
DENSITY: dict[str, Callable[[Tensor], Tensor]] = {
    "gumbel": lambda z: (-z - (-z).exp()).exp(),
    "exponential": lambda z: (-z).exp() * (z > 0),
    "logistic": lambda z: 1 / (4 * (z / 2).cosh().square()),
    "laplace": lambda z: (-z.abs()).exp() / 2,
    "normal": lambda z: (-z.square() / 2).exp() / math.sqrt(2 * math.pi),
    "uniform": lambda z: ((z > 0) & (z < 1)).double(),
}


@pytest.mark.parametrize("noise", NOISES)
def test_law_is_that_of_the_textbook_densities(noise: str) -> None:
    """P(i) = ∫ f(z − s_i) Π_{j≠i} F(z − s_j) dz by midpoints, F being the running sum of f."""
    step = 1e-4
    z = torch.arange(-400_000, 400_000, dtype=torch.float64) * step + step / 2
    density = DENSITY[noise](z) * step
    cumulative = density.cumsum(0) - density / 2
    for i in range(5):
        if SCORE[i] == -torch.inf:
            assert law_of_maximum(SCORE[None], noise)[0, i] == 0
            continue
        total = density.clone()
        for j in {0, 1, 3, 4} - {i}:
            shift = round(float(SCORE[i] - SCORE[j]) / step)
            moved = cumulative.roll(-shift)
            moved[-shift:] = 1.0 if shift > 0 else moved[-shift:]
            moved[: max(0, -shift)] = 0.0
            total *= moved
        law = float(law_of_maximum(SCORE[None], noise)[0, i])
        assert law == pytest.approx(float(total.sum()), abs=2e-8)


def test_gumbel_gives_softmax() -> None:
    law = law_of_maximum(torch.stack([SCORE, 3 * SCORE.flip(0)]), "gumbel")
    wanted = torch.stack([SCORE, 3 * SCORE.flip(0)]).softmax(1)
    assert float((law - wanted).abs().max()) < 1e-12


def test_exponential_gives_permute_and_flip() -> None:
    """In a random order each is taken with probability exp(s_i − max s), until one is."""
    score = SCORE[[0, 1, 3, 4]]
    chance = (score - score.max()).exp().tolist()
    wanted = torch.zeros(4, dtype=torch.float64)
    for order in itertools.permutations(range(4)):
        left = 1 / 24
        for i in order:
            wanted[i] += left * chance[i]
            left *= 1 - chance[i]
    assert float((law_of_maximum(score[None], "exponential")[0] - wanted).abs().max()) < 1e-12


def test_normal_gives_probit_of_two() -> None:
    law = law_of_maximum(torch.tensor([[0.7, 0.0], [5.0, -3.0]], dtype=torch.float64), "normal")
    for row, gap in zip(law, (0.7, 8.0), strict=True):
        assert float(row[1]) == pytest.approx(math.erfc(gap / 2) / 2, rel=1e-6)


@pytest.mark.parametrize("noise", NOISES)
def test_draws_have_that_law(noise: str) -> None:
    many = 200_000
    drawn = perturb_and_max(SeededDraws(5), SCORE.expand(many, -1), noise)
    share = drawn.bincount(minlength=5).double() / many
    law = law_of_maximum(SCORE[None], noise)[0]
    assert float(law.sum()) == pytest.approx(1.0, abs=1e-10) and law[2] == 0
    assert bool(((share - law).abs() <= 5 * (law * (1 - law) / many).sqrt()).all())


def test_what_cannot_be_is_refused() -> None:
    for call in (lambda s, n: perturb_and_max(SeededDraws(0), s, n), law_of_maximum):
        with pytest.raises(InputError, match="no noise 'cauchy'; choose one of exponential"):
            call(SCORE[None], "cauchy")
        for bad in (math.nan, math.inf):
            with pytest.raises(InputError, match="NaN or"):
                call(torch.tensor([[0.0, bad]], dtype=torch.float64), "normal")
