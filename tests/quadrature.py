"""Continuous draws laid on a grid: expectations over noise computed, not estimated."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor


def points(count: int) -> tuple[Tensor, Tensor]:
    """float64 [count] twice: points of (0, 1) and their weights, for any behaviour at the ends.

    Tanh-sinh quadrature: the trapezoidal rule behind a map that squeezes both ends.
    """
    at = torch.linspace(-3.0, 3.0, count, dtype=torch.float64)
    bent = math.pi / 2 * at.sinh()
    weight = (at[1] - at[0]) * math.pi / 4 * at.cosh() / bent.cosh().square()
    return torch.sigmoid(2 * bent), weight


def grid(*counts: int) -> tuple[list[Tensor], Tensor]:
    """Coordinates [N] of every point of a box, a tensor each, and the points' weights [N]."""
    sides = [points(count) for count in counts]
    mesh = torch.meshgrid(*(p for p, _ in sides), indexing="ij")
    weight = torch.meshgrid(*(w for _, w in sides), indexing="ij")
    return [m.reshape(-1) for m in mesh], torch.stack(weight).prod(0).reshape(-1)


class GivenDraws:
    """Noise that is told: one tensor a call, and 1/2 wherever nothing is told any more."""

    def __init__(self, noise: Iterable[Tensor]) -> None:
        self.noise = list(noise)

    def uniform(self, count: int) -> Tensor:
        if not self.noise:
            return torch.full((count,), 0.5, dtype=torch.float64)
        told = self.noise.pop(0)
        assert len(told) == count
        return told


def noise_of_two(rate: Tensor, count: int = 27) -> Iterator[tuple[float, GivenDraws]]:
    """All noise of one draw among two sequences of a token each, with its weight.

    ``rate`` float64 [2] are their probabilities. The highest sequence takes the root's noise
    whatever its own is, which so is 1/2 here and leaves its chance to be the highest as a factor;
    the noise of the other, which lies below it, is stretched to (0, 1).
    """
    (root, share), weight = grid(count, count)
    for highest in (0, 1):
        power = rate[1 - highest] / rate[highest]
        for u, t, w in zip(root, share, weight, strict=True):
            noise = torch.stack([torch.tensor(0.5).double(), t * 0.5**power])
            draws = GivenDraws([u[None], noise if highest == 0 else noise.flip(0)])
            yield float(w * rate[highest]), draws
