"""The single source of randomness of all samplers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor


class Draws(Protocol):
    """Source of randomness of a sampler; tests replace it by an exhaustive enumerator."""

    def categorical(self, probability: Tensor) -> Tensor:
        """int64 [B]: one index a row of ``probability`` (float64 [B, N], rows summing to 1)."""

    def bernoulli(self, probability: Tensor) -> Tensor:
        """bool [B]: True with ``probability`` (float64 [B])."""

    def uniform(self, count: int) -> Tensor:
        """float64 [count]: between 0 and 1, neither of them included."""


class SeededDraws:
    """Pseudo-random draws; a seed reproduces them.

    Parameters
    ----------
    seed : int
        Any integer ≥ 0.
    """

    def __init__(self, seed: int) -> None:
        self._generator = np.random.Generator(np.random.PCG64(seed))

    @property
    def state(self) -> Mapping[str, Any]:
        """State of the generator, as JSON; can be set."""
        return self._generator.bit_generator.state

    @state.setter
    def state(self, state: Mapping[str, Any]) -> None:
        self._generator.bit_generator.state = state

    def categorical(self, probability: Tensor) -> Tensor:
        """int64 [B], by inversion: an entry of probability zero is never drawn."""
        cumulative = probability.cumsum(-1)
        total = cumulative[:, -1:]
        if not bool((torch.isfinite(total) & (total > 0)).all()):
            raise ValueError("a row of probabilities sums to zero or is not finite")
        below = self._uniform(len(probability))[:, None] * total
        index = torch.searchsorted(cumulative, below, right=True)[:, 0]
        # u · total may round up to total; the last entry that can be drawn is then meant.
        over = (index == cumulative.shape[1]).nonzero()[:, 0]
        index[over] = (cumulative[over] < total[over]).sum(-1)
        return index

    def bernoulli(self, probability: Tensor) -> Tensor:
        """bool [B]."""
        return self._uniform(len(probability)) < probability

    def uniform(self, count: int) -> Tensor:
        """float64 [count], on a grid of 2⁻⁵³, with 0 replaced by half a step."""
        return self._uniform(count).clamp(min=2.0**-54)

    def _uniform(self, count: int) -> Tensor:
        """float64 [count], in [0, 1)."""
        return torch.from_numpy(self._generator.random(count))
