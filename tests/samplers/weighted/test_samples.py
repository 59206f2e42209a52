"""What weighted samples say of themselves, and what is refused."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from ergotext.errors import InputError
from ergotext.lm.batch import TokenBatch
from ergotext.lm.causal import CausalLM
from ergotext.lm.tokenizers.characters import Alphabet
from ergotext.lm.trie import build
from ergotext.samplers.draws import SeededDraws
from ergotext.samplers.target import EnergyError, Target
from ergotext.samplers.weighted.importance import importance
from ergotext.samplers.weighted.pareto import k_hat
from ergotext.samplers.weighted.rejection import BoundError, rejection
from ergotext.samplers.weighted.samples import (
    HeavyWeightsWarning,
    WeightedSamples,
    WeightError,
    ZeroWeightError,
)
from ergotext.samplers.weighted.smc import smc
from ergotext.testing.tables import FEW, LOOP, NOTHING, target
from tests.samplers.weighted.test_exactness import twisted

SAMPLERS = [importance, smc, lambda *a: rejection(*a, log_bound=0.4, max_tries=50)]


def of(*log_weight: float) -> WeightedSamples:
    rows = [(k % 4 + 1,) for k in range(len(log_weight))]
    return WeightedSamples.of(TokenBatch.of(rows), torch.tensor(log_weight, dtype=torch.float64))


def test_figures_by_hand() -> None:
    samples = of(math.log(3), -math.inf, math.log(1), -math.inf)
    assert len(samples) == 2 and samples.tries == 4 and samples.root.tolist() == [0, 2]
    assert samples.weights.tolist() == pytest.approx([0.75, 0.25])
    assert samples.ess == pytest.approx(1 / (0.75**2 + 0.25**2))
    assert samples.log_z == pytest.approx(math.log(1.0))
    spread = np.std([3, 0, 1, 0], ddof=1) / math.sqrt(4)
    assert samples.log_z_stderr == pytest.approx(spread / 1.0)
    assert of(0.0).log_z_stderr == math.inf
    one_root = replace(samples, root=torch.tensor([2, 2]))
    assert one_root.log_z_stderr == math.inf


def test_weights_far_from_one_keep_their_precision() -> None:
    samples = of(-1e5, -1e5 + math.log(3))
    assert samples.weights.tolist() == pytest.approx([0.25, 0.75])
    assert samples.log_z == pytest.approx(-1e5 + math.log(2))


def test_resampling_goes_by_weight() -> None:
    samples = of(math.log(0.5), -math.inf, math.log(0.3), math.log(0.2))
    count = samples.resample(SeededDraws(1), 10_000).ids[:, 0].bincount(minlength=5) / 10_000
    wanted = np.array([0, 0.5, 0, 0.3, 0.2])
    assert (np.abs(count.numpy() - wanted) <= 5 * np.sqrt(wanted * (1 - wanted) / 10_000)).all()
    with pytest.raises(InputError, match="at least 1"):
        samples.resample(SeededDraws(0), 0)


def test_no_weight_is_an_error_and_so_is_nan() -> None:
    with pytest.raises(ZeroWeightError, match="all 2 draws have weight zero"):
        of(-math.inf, -math.inf)
    for bad in (math.nan, math.inf):
        with pytest.raises(WeightError, match="NaN or infinite"):
            of(0.0, bad)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_an_automaton_that_accepts_nothing(sampler: Any) -> None:
    with pytest.raises(ZeroWeightError, match=r"weight zero|was accepted"):
        sampler(target(NOTHING, 4), SeededDraws(0), 20)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize(
    ("value", "message"),
    [
        (lambda b: torch.full((len(b),), torch.nan, dtype=torch.float64), "NaN or −inf"),
        (lambda b: torch.full((len(b),), -torch.inf, dtype=torch.float64), "NaN or −inf"),
        (lambda b: torch.zeros(len(b), 1, dtype=torch.float64), "one number per row"),
        (lambda b: torch.zeros(len(b)), "float32"),
    ],
)
def test_energies_that_are_none(sampler: Any, value: Any, message: str) -> None:
    with pytest.raises(EnergyError, match=message):
        sampler(replace(target(FEW, 3, seed=2), soft=value), SeededDraws(0), 50)


def test_a_broken_bound_is_told() -> None:
    with pytest.raises(BoundError, match="above log_bound = 0"):
        rejection(target(FEW, 3, seed=2), SeededDraws(0), 50, log_bound=0.0)
    with pytest.raises(InputError, match="set log_bound"):
        rejection(target(FEW, 3), SeededDraws(0), 5)


@pytest.mark.parametrize("bad", [{"n": 0}, {"max_tries": 0}, {"at_once": 0}])
def test_counts_below_one(bad: dict[str, int]) -> None:
    with pytest.raises(InputError, match="at least 1"):
        rejection(target(FEW, 3, tilted=False), SeededDraws(0), **{"n": 1, **bad})
    with pytest.raises(InputError, match="at least 1"):
        importance(target(FEW, 3), SeededDraws(0), 0)
    with pytest.raises(InputError, match="0 or more"):
        target(FEW, -1)


def test_settings_of_smc_that_cannot_be() -> None:
    with pytest.raises(InputError, match="between 0 and 1"):
        smc(target(FEW, 3), SeededDraws(0), 5, threshold=1.5)
    for bad in (math.nan, math.inf):
        with pytest.raises(EnergyError, match="twist"):
            smc(target(FEW, 3), SeededDraws(0), 5, proposal=twisted(FEW, (bad,) * 5))


def test_k_hat_is_that_of_arviz_stats() -> None:
    """Figures of arviz-stats 0.8.0, ``array_stats().psislw(-log_weight)``."""
    random = np.random.default_rng(0)
    for k, theirs in ((0.2, 0.2906415493997627), (0.5, 0.5505258672983654),
                      (0.9, 0.5270611596831045), (1.5, 1.3540395254509616)):  # fmt: skip
        weight = random.pareto(1 / k, 2000) + 1
        assert k_hat(np.log(weight), 2000) == pytest.approx(theirs, abs=1e-9)
    ties = np.log(np.repeat(np.arange(1, 41) / 40, 10))
    assert k_hat(ties, 400) == pytest.approx(-1.2238609781043848, abs=1e-9)


def test_k_hat_where_there_is_no_tail() -> None:
    assert k_hat(np.full(100, -7.0), 100) == -math.inf
    assert k_hat(np.full(100, -7.0), 10**6) == -math.inf
    assert k_hat(np.append(np.zeros(99), -1), 100) == -math.inf, "many share the greatest weight"
    assert k_hat(np.append(np.zeros(99), 3), 100) == math.inf, "one stands out"
    assert k_hat(np.arange(20.0), 20) == math.inf, "a tail of four"
    assert k_hat(np.array([0.0, -5, -9, -20]), 4) == math.inf, "too few for any tail"
    for count in range(100, 121):  # ties that bring the grid of the fit to zero
        weight = np.concatenate([np.zeros(300), np.full(60, 1.0)])
        assert not math.isnan(k_hat(weight, count * 10))


def test_heavy_weights_are_warned_of() -> None:
    with pytest.warns(HeavyWeightsWarning, match=r"k-hat is unknown: 20 draws"):
        importance(target(LOOP, 6), SeededDraws(0), 20)
    heavy = of(*np.log(np.random.default_rng(0).pareto(0.7, 500)).tolist())
    assert heavy.k_hat > 0.7
    with pytest.warns(HeavyWeightsWarning, match=r"> 0\.63: 500 draws are worth"):
        heavy.warned()


@pytest.mark.filterwarnings("ignore::ergotext.samplers.weighted.samples.HeavyWeightsWarning")
def test_a_real_model_under_a_trie(small_lm: CausalLM) -> None:
    keys = [(30, 40, 50), (30, 41), (77,), (90, 91, 92, 93)]
    trie = build([(key, None) for key in keys], Alphabet(430, 0, small_lm.end_id))
    log_z = float(small_lm.log_prob(TokenBatch.of(keys)).logsumexp(0))
    for sampler in (importance, smc):
        samples = sampler(Target(small_lm, trie, 5), SeededDraws(0), 300)
        assert set(samples.batch.rows()) <= set(keys)
        assert abs(samples.log_z - log_z) < 5 * samples.log_z_stderr + 1e-4
