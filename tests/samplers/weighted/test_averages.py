"""Means and quantiles over weighted draws, against the enumerated target."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from ergotext.errors import InputError
from ergotext.lm.batch import TokenBatch
from ergotext.samplers import SAMPLERS, SeededDraws, WeightedResult, sample
from ergotext.samplers.target import Target
from ergotext.samplers.weighted.accepted import Accepted
from ergotext.samplers.weighted.samples import WeightedSamples
from ergotext.testing.tables import EVERYTHING, LOOP, mass
from ergotext.testing.toy import flat_energy, space
from tests.samplers.registry_worlds import weighted

pytestmark = pytest.mark.filterwarnings(
    "ignore::ergotext.samplers.weighted.samples.HeavyWeightsWarning"
)


def of(*weight: float) -> WeightedSamples:
    log = torch.tensor(weight, dtype=torch.float64).log()
    return WeightedSamples.of(TokenBatch.of([(1,)] * len(weight)), log)


def test_figures_by_hand() -> None:
    samples = of(3.0, 0.0, 1.0)
    assert samples.mean([2.0, 6.0]).mean == pytest.approx(3.0)
    assert samples.mean([2.0, 6.0]).stderr == math.inf, "two draws tell no error"
    for share, wanted in ((0.0, 2.0), (0.5, 2.0), (0.75, 2.0), (0.76, 6.0), (1.0, 6.0)):
        assert samples.quantile([2.0, 6.0], share) == wanted
        assert samples.quantile([6.0, 2.0], share) == (6.0 if share > 0.25 else 2.0)
    values = np.random.default_rng(0).normal(size=100)
    equal = of(*[1.0] * 100).mean(values.tolist())
    assert equal.stderr == pytest.approx(values.std(ddof=1) / 10)
    assert of(*[1.0] * 100).quantile(values.tolist(), 0.3) == np.sort(values)[29]


@pytest.mark.parametrize("bad", [[1.0], [1.0, math.nan], [1.0, math.inf], [[1.0], [2.0]]])
def test_what_is_no_number_a_draw(bad: Any) -> None:
    with pytest.raises(InputError, match="one finite number is needed for each of 2 draws"):
        of(1.0, 2.0).mean(bad)
    with pytest.raises(InputError, match="one finite number is needed for each of 2 draws"):
        of(1.0, 2.0).quantile(bad, 0.5)


@pytest.mark.parametrize("share", [-0.1, 1.1, math.nan])
def test_shares_outside_of_one(share: float) -> None:
    with pytest.raises(InputError, match="between 0 and 1"):
        of(1.0, 2.0).quantile([1.0, 2.0], share)


def test_draws_of_one_root_count_as_one() -> None:
    values = torch.arange(400.0).repeat_interleave(4)
    rows, log = TokenBatch.of([(1,)] * 1600), torch.zeros(1600, dtype=torch.float64)
    root = torch.arange(400).repeat_interleave(4)
    copies = WeightedSamples.of(rows, log, root).mean(values)
    assert copies.stderr == pytest.approx(float(torch.arange(400.0).std()) / 20, rel=1e-6)


OPTIONS: dict[str, dict[str, Any]] = {
    "importance": {},
    "smc": {"threshold": 0.9},
    "ais": {"levels": 3, "kernel": "suffix"},
    "stochastic-beam": {},
}


@pytest.mark.parametrize("name", OPTIONS)
def test_the_error_of_a_mean_holds_its_level(name: str) -> None:
    """Two of them hold the enumerated mean length in nine of ten runs, and are no wider than it."""
    told, off, stated = 0, [], []
    for table, longest in ((LOOP, 4), (EVERYTHING, 4)):
        energy, longest = weighted(table, longest)
        masses = mass(Target.of(energy, longest))
        exact = np.average([len(row) for row in masses], weights=list(masses.values()))
        sampler = SAMPLERS[name](energy, longest, **OPTIONS[name])
        for seed in range(40):
            samples = sampler.draw(SeededDraws(seed), 100)
            told += 1
            found = samples.mean(samples.batch.length.double())
            if math.isfinite(found.stderr):
                off.append(found.mean - exact)
                stated.append(found.stderr)
    assert len(off) >= 0.4 * told
    assert np.mean(np.abs(off) <= 2 * np.array(stated) + 1e-9) >= 0.9


def test_the_error_of_exact_draws_is_that_of_their_mean() -> None:
    """Whatever share of the tries was refused."""
    length = np.random.default_rng(1).integers(1, 4, size=80)
    rows = TokenBatch.of([(1,) * n for n in length])
    for tries in (80, 5000):
        exact = Accepted(rows, torch.zeros(80).double(), tries, torch.arange(80))
        found = exact.mean(rows.length.double())
        assert found.mean == pytest.approx(length.mean())
        assert found.stderr == pytest.approx(length.std(ddof=1) / math.sqrt(80))


def test_features_of_a_result() -> None:
    energy = flat_energy()
    result = sample(energy, "importance", n=2000, max_length=2, progress=False)
    assert isinstance(result, WeightedResult)
    states = space(energy, 2)
    law = (-energy(states)).softmax(0)
    exact = float(law @ states.length.double())
    found = result.mean(lambda texts: [len(text.split()) for text in texts])
    assert abs(found.mean - exact) < 5 * found.stderr < 0.5
    own = result.mean()
    assert abs(own.mean - float(law @ energy(states))) < 5 * own.stderr
    assert result.quantile(0.0) == min(result.energy.tolist())
    assert result.quantile(0.5, lambda texts: [len(text.split()) for text in texts]) in (1.0, 2.0)
    with pytest.raises(InputError, match="a feature must give"):
        result.mean(lambda texts: [1.0])
