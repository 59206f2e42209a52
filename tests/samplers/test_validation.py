"""An energy that gives what is no energy: every chain says so, however it was made."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from ergotext.lm.batch import TokenBatch
from ergotext.samplers import SAMPLERS, SeededDraws
from ergotext.samplers.target import EnergyError
from ergotext.testing.toy import ToyFluency, ToyMasked, ToyScorer


class Wrong(ToyFluency):
    """An energy that is right where chains begin, and nowhere else."""

    def __init__(self, wrong: Callable[[Tensor], object], first: int) -> None:
        super().__init__(ToyScorer())
        self.wrong, self.left = wrong, first

    @property
    def masked(self) -> ToyMasked:
        return ToyMasked()

    def __call__(self, batch: TokenBatch) -> object:
        self.left -= 1
        value = super().__call__(batch)
        return value if self.left >= 0 else self.wrong(value)


def walked(sampler, begin: TokenBatch, steps: int) -> None:
    draws = SeededDraws(0)
    state = sampler.init(draws, 2, begin)
    for _ in range(steps):
        state, _ = sampler.step(draws, state)


@pytest.mark.parametrize("name", sorted(n for n, s in SAMPLERS.items() if s.kind != "weighted"))
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda value: value * torch.nan, "is NaN or −inf"),
        (lambda value: value.float(), r"got torch.float32 \[\d+\]"),
        (lambda value: value[:, None], r"got torch.float64 \[\d+, 1\]"),
        (lambda value: value.tolist(), r"one number per row, got \["),
    ],
)
def test_what_is_no_energy_is_named_by_the_classes_too(name: str, wrong, message: str) -> None:
    begin = TokenBatch.of([(1, 2, 3)])
    for first in (0, 1):  # at the start, and on the way
        sampler = SAMPLERS[name](Wrong(wrong, first), max_length=5)
        with pytest.raises(EnergyError, match=message):
            walked(sampler, begin, 40)
