"""Rows that hold a keyword in a spelling that is not marked: no chain slips across."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from ergotext.lm.batch import TokenBatch
from ergotext.samplers import SAMPLERS
from ergotext.samplers.target import Target
from ergotext.samplers.weighted.ais import AnnealedImportance
from ergotext.testing.exhaust import paths_of_step, stationary, transitions
from ergotext.testing.tables import expected, mass
from ergotext.testing.toy import SPELLING, toy_energy

ENERGY = toy_energy(["b"])
"""Tokens 3 and 4 both spell " b", and one of them is marked."""


def states(longest: int) -> TokenBatch:
    """Every row of finite energy, whether its word is marked or not."""
    rows = [row for n in range(longest + 1) for row in itertools.product(SPELLING, repeat=n)]
    batch = TokenBatch.of(rows)
    batch = TokenBatch(batch.ids, batch.length, ENERGY.locked(batch))
    return batch.select(torch.isfinite(ENERGY(batch)))


@pytest.mark.parametrize("name", ["mh", "gibbs", "suffix", "independence", "rewrite"])
def test_all_rows_of_finite_energy_keep_their_law(name: str) -> None:
    world = states(3)
    marked = (world.locked > 0).any(1)
    assert 5 < int(marked.sum()) < len(world) - 5
    value = ENERGY(world)
    few = {"tries": 1, "stretch": 1} if name == "rewrite" else {}
    matrix = transitions(paths_of_step(SAMPLERS[name](ENERGY, 3, **few), world, value), world)
    pi = stationary(value)
    assert np.abs(pi @ matrix - pi).max() < 1e-9
    assert matrix[marked][:, ~marked].max() == matrix[~marked][:, marked].max() == 0.0


@pytest.mark.filterwarnings("ignore::ergotext.samplers.weighted.samples.HeavyWeightsWarning")
@pytest.mark.parametrize("kernel", ["mh", "suffix", "independence"])
def test_annealed_importance_begins_with_such_rows(kernel: str) -> None:
    wanted = mass(Target.of(ENERGY, 2))
    sampler = AnnealedImportance(ENERGY, 2, levels=2, kernel=kernel)
    got, _ = expected(lambda _of, draws: sampler.draw(draws, 1), Target.of(ENERGY, 2))
    assert set(got) <= set(wanted)
    for row, probability in wanted.items():
        assert got.get(row, 0.0) == pytest.approx(probability, abs=1e-9)
