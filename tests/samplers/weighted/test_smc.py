"""SMC under soft energies that are not known before a row closes."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace
from typing import Any

import pytest
import torch

from ergotext.lm.batch import TokenBatch
from ergotext.samplers import SAMPLERS
from ergotext.samplers.draws import SeededDraws
from ergotext.samplers.weighted.rollout import GrownRows
from ergotext.samplers.weighted.smc import smc
from ergotext.testing.tables import LOOP, soft, target
from tests.faulty import modules, modules_with_fault
from tests.samplers import letters
from tests.samplers.registry_worlds import LOOPED
from tests.samplers.weighted.test_exactness import TWIST, twisted


def check_soft_decides_nothing(smc: Any) -> None:
    """The same texts from the same draws, weighed by the energy at their ends."""
    for twist in (None, TWIST):
        how = {"threshold": 0.95, "proposal": twisted(LOOP, twist)}
        plain = smc(target(LOOP, 6, tilted=False), SeededDraws(1), 300, **how)
        assert plain.resampled > 1 and len(plain.root.unique()) < len(plain)
        for scale in (1.0, 20.0, -20.0):
            of = replace(target(LOOP, 6), soft=lambda b, s=scale: s * (1.0 + soft(b)))
            other = smc(of, SeededDraws(1), 300, **how)
            assert other.batch.rows() == plain.batch.rows()
            assert other.root.tolist() == plain.root.tolist()
            wanted = plain.log_weight - of.soft(plain.batch)
            torch.testing.assert_close(other.log_weight, wanted, rtol=0, atol=1e-9)


@pytest.mark.filterwarnings("ignore::ergotext.samplers.weighted.samples.HeavyWeightsWarning")
def test_a_soft_energy_decides_nothing_before_a_row_closes() -> None:
    check_soft_decides_nothing(smc)


@pytest.mark.filterwarnings("ignore::ergotext.samplers.weighted.samples.HeavyWeightsWarning")
def test_places_of_forbidden_texts_go_to_open_rows() -> None:
    """+inf is known when a row closes, and what weighs nothing needs no place."""

    def forbids(batch: TokenBatch) -> torch.Tensor:
        return torch.where(batch.length < 5, torch.inf, 0.0).double()

    of = replace(target(LOOP, 6), soft=forbids)
    many, few = (smc(of, SeededDraws(0), 200, threshold=t) for t in (0.9, 0.0))
    assert len(many) > 2 * len(few)


@pytest.mark.filterwarnings("ignore::ergotext.samplers.weighted.samples.HeavyWeightsWarning")
@pytest.mark.parametrize("name", sorted({s.__name__: n for n, s in SAMPLERS.items()
                                         if s.kind == "weighted"}.values()))  # fmt: skip
@pytest.mark.parametrize("value", [-20.0, 20.0])
def test_a_constant_shifts_log_z_and_nothing_else(name: str, value: float) -> None:
    """Of every weighted sampler in the registry: the same texts, their weights moved by it."""
    energy, longest = LOOPED
    moved = energy + (lambda batch: torch.full((len(batch),), value, dtype=torch.float64))
    options = {"log_bound": 1.0, "proposal": "masked"} if name == "rejection" else {}
    n = 10 if name == "rejection" else 100
    plain = SAMPLERS[name](energy, longest, **options).draw(SeededDraws(3), n)
    options |= {"log_bound": 1.0 - value} if name == "rejection" else {}
    other = SAMPLERS[name](moved, longest, **options).draw(SeededDraws(3), n)
    assert other.batch.rows() == plain.batch.rows()
    assert other.log_z == pytest.approx(plain.log_z - value, abs=1e-9)
    assert other.log_z_stderr == pytest.approx(plain.log_z_stderr, abs=1e-9)
    assert other.complaints() == plain.complaints()


def check_letters(smc: Any, name: str, seeds: int, n: int) -> None:
    """log Z against every text enumerated: within 3 stated errors, and no word against it."""
    of, log_z = letters.problem(name)
    held = 0
    for seed in range(seeds):
        samples = smc(of, SeededDraws(seed), n)
        held += abs(samples.log_z - log_z) <= 3 * samples.log_z_stderr
        if name in letters.CONSTANTS:
            assert not samples.complaints()
    assert held >= 0.97 * seeds


@pytest.mark.parametrize("name", list(letters.SOFT))
def test_log_z_over_three_letters(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error" if name in letters.CONSTANTS else "ignore")
        check_letters(smc, name, seeds=6, n=500)


@pytest.mark.filterwarnings("error::ergotext.samplers.weighted.samples.HeavyWeightsWarning")
@pytest.mark.parametrize("name", ["fluency -20", "fluency +20", "0.7 fluency", "3 fluency"])
@pytest.mark.parametrize("islands", [4, 8])
def test_two_errors_of_islands_hold(name: str, islands: int) -> None:
    """Of 200 seeds in at least 92%, as of a normal law, and no run is warned of."""
    of, log_z = letters.problem(name)
    runs = [smc(of, SeededDraws(seed), 96, islands=islands) for seed in range(200)]
    held = sum(abs(run.log_z - log_z) <= 2 * run.log_z_stderr for run in runs)
    assert held >= 0.92 * len(runs)
    assert not any(run.complaints() for run in runs)


def check_mass_is_kept(module: Any) -> None:
    """Rows 0 to 2 are open, row 3 has closed, row 4 has died."""
    log_weight = torch.tensor([0.0, -1.0, -2.0, 3.0, -torch.inf], dtype=torch.float64)
    is_open = torch.tensor([True, True, True, False, False])
    rows = replace(GrownRows.start(target(LOOP, 6), 5), log_weight=log_weight, open=is_open)
    pool = module.Pool.of(rows, torch.arange(5))
    assert pool.places.tolist() == [0, 1, 2, 4]
    assert module.Pool.of(rows, torch.tensor([1, 3, 4])).places.tolist() == [1, 4]
    after = pool.levelled(rows).log_weight
    assert after[3] == 3.0 and bool((after[pool.places] == after[0]).all())
    mass = log_weight[:3].logsumexp(0)
    torch.testing.assert_close(after[pool.places].logsumexp(0), mass, rtol=0, atol=1e-12)


def test_the_places_of_a_pool_share_its_mass(monkeypatch: pytest.MonkeyPatch) -> None:
    check_mass_is_kept(modules(["weighted.smc"]).smc)
    over_all = (
        "weighted.smc",
        "log_mean_exp(self.log_weight)",
        "log_mean_exp(self.log_weight, count=len(rows.open))",
    )
    with pytest.raises(AssertionError):
        check_mass_is_kept(modules_with_fault(["weighted.smc"], over_all, monkeypatch).smc)


def check_next_to_nothing_is_kept(module: Any) -> None:
    """Every living row has its weight on average, also where rounding would never take it."""
    log_weight = torch.tensor([0.0, -1.0, -60.0, -1e4, -torch.inf], dtype=torch.float64)
    rows = replace(GrownRows.start(target(LOOP, 6), 5), log_weight=log_weight)
    pool = module.Pool.of(rows, torch.arange(5))
    chance = pool.log_weight.softmax(0)
    assert bool((chance[:4] > 1e-9).all()) and chance[4] == 0
    handed_on = pool.levelled(rows).log_weight + chance.log() + math.log(5)
    torch.testing.assert_close(handed_on, log_weight, rtol=0, atol=1e-9)


def test_rows_that_weigh_next_to_nothing_are_resampled(monkeypatch: pytest.MonkeyPatch) -> None:
    check_next_to_nothing_is_kept(modules(["weighted.smc"]).smc)
    for fault in (
        ("weighted.resampling", "math.log(LEAST)", "-math.inf"),
        ("weighted.smc", " - self.lift", ""),
    ):
        names = ["weighted.resampling", "weighted.smc"]
        with pytest.raises(AssertionError):
            check_next_to_nothing_is_kept(modules_with_fault(names, fault, monkeypatch).smc)
