"""Calibration, tested where the truth is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from ergotext.errors import InputError
from ergotext.tasks.evaluation.calibration import (
    BINS,
    HIGHEST,
    LOWEST,
    abstention,
    fit_temperature,
    reliability,
    save_diagram,
)
from tests.faulty import load_with_fault

Floats = NDArray[np.float64]


class Base:
    """Questions over a base of a few keys whose log-weights are known; the best is the hit."""

    def __init__(self, count: int, keys: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.log_weight = rng.normal(size=(count, keys)) * rng.uniform(0.2, 4, size=(count, 1))
        self.chance = rng.random(count)

    def probability(self, temperature: float) -> Floats:
        """Of the hit, normalised over all keys."""
        weight = np.exp((self.log_weight - self.log_weight.max(1, keepdims=True)) / temperature)
        return 1 / weight.sum(1)

    def right(self, temperature: float) -> NDArray[np.bool_]:
        """Where the hit is right, if this is the temperature of the truth."""
        return self.chance < self.probability(temperature)

    def information(self, temperature: float) -> float:
        """Fisher's, about log T."""
        step = 1e-5
        up, down = (self.probability(temperature * np.exp(s)) for s in (step, -step))
        p = self.probability(temperature)
        some = p < 1 - 1e-12
        slope = (up - down)[some] / (2 * step)
        return float((slope**2 / (p * (1 - p))[some]).sum())


def test_calibration_error_by_hand() -> None:
    probability = np.array([0.0, 1 / BINS, 0.9, 0.92, 1.0])
    told = reliability(probability, np.array([False, True, True, False, True]))
    assert told.count[0] == 2 and told.count[-2] == 2 and told.count[-1] == 1
    low, high = abs(0.5 - 1 / 30), abs(0.5 - 0.91)
    assert told.error == pytest.approx((2 * low + 2 * high + 0) / 5, abs=1e-12)
    assert np.isnan(told.confidence[5]) and told.count.sum() == 5


def test_error_of_what_keeps_its_word_and_what_does_not() -> None:
    p = np.random.default_rng(1).random(200_000)
    drawn = np.random.default_rng(2).random(len(p))
    honest = reliability(p, drawn < p)
    # A bin of n draws is off by sqrt(p (1 - p) / n) at most half of 1/sqrt(n), five of these.
    assert honest.error < 5 * 0.5 / np.sqrt(len(p) / BINS)
    # Where p² comes true, the distance is p − p², 1/6 on the mean.
    boastful = reliability(p, drawn < p**2)
    assert boastful.error == pytest.approx(1 / 6, abs=5 * 0.5 / np.sqrt(len(p)))


@pytest.mark.parametrize("temperature", [0.1, 0.4, 1.0, 2.5, 6.0])
def test_the_temperature_is_found(temperature: float) -> None:
    """Outcomes drawn at a known temperature: within five standard errors of it."""
    base = Base(4_000, 6, seed=3)
    found = fit_temperature(base.probability, base.right(temperature))
    error = 1 / np.sqrt(base.information(temperature))
    assert abs(np.log(found / temperature)) < 5 * error + 0.01
    assert error < 0.12


def test_it_is_the_minimum() -> None:
    """Of a loss written down in another way, by another search."""
    base = Base(300, 4, seed=5)
    right = base.right(1.7)

    def loss(log_t: float) -> float:
        share = np.exp(base.log_weight / np.exp(log_t))
        p = share.max(1) / share.sum(1)
        return float(-(np.log(p[right]).sum() + np.log1p(-p[~right]).sum()))

    best = minimize_scalar(loss, bounds=(-2, 3), method="bounded", options={"xatol": 1e-9})
    found = fit_temperature(base.probability, right, precision=1e-7)
    assert np.log(found) == pytest.approx(best.x, abs=1e-5)


def test_one_temperature_mends_the_error() -> None:
    """On questions that it was not fitted on."""
    seen, new = Base(4_000, 6, seed=8), Base(4_000, 6, seed=9)
    truth = 3.0
    found = fit_temperature(seen.probability, seen.right(truth))
    before = reliability(new.probability(1.0), new.right(truth)).error
    after = reliability(new.probability(found), new.right(truth)).error
    assert before > 0.15 and after < 0.05


def test_the_ends_of_the_scale() -> None:
    """Always right, or never: no temperature is low or high enough."""
    base = Base(50, 3, seed=10)
    assert fit_temperature(base.probability, np.ones(50, bool)) < 1.02 * LOWEST
    assert fit_temperature(base.probability, np.zeros(50, bool)) > HIGHEST / 1.02


def test_what_is_certain_and_wrong_is_charged() -> None:
    """A few such questions do not decide everything, nor make the loss infinite."""
    base, count = Base(1_000, 6, seed=11), 1_000
    right = base.right(1.0)
    sure = np.append(base.probability(1.0), 1.0)

    def at(temperature: float) -> Floats:
        return np.append(base.probability(temperature), 1.0)

    assert sure.shape == (count + 1,)
    assert fit_temperature(at, np.append(right, False)) == pytest.approx(
        fit_temperature(base.probability, right)
    )


def test_it_asks_some_twenty_times() -> None:
    base, asked = Base(100, 3, seed=12), []

    def at(temperature: float) -> Floats:
        asked.append(temperature)
        return base.probability(temperature)

    fit_temperature(at, base.right(2.0))
    assert len(asked) < 25 and min(asked) >= LOWEST and max(asked) <= HIGHEST


def test_abstention_by_hand() -> None:
    curve = abstention(np.array([0.2, 0.9, 0.5, 0.5]), np.array([0.0, 1.0, 1.0, 0.0]))
    assert curve.threshold.tolist() == [0.9, 0.5, 0.2]
    assert curve.share.tolist() == [0.25, 0.75, 1.0]
    assert curve.score == pytest.approx([1.0, 2 / 3, 0.5])


def test_abstention_is_what_thresholds_leave() -> None:
    rng = np.random.default_rng(10)
    p, score = rng.integers(0, 12, 500) / 11, rng.random(500)
    curve = abstention(p, score)
    assert len(curve.threshold) == 12
    for threshold, share, mean in zip(curve.threshold, curve.share, curve.score, strict=True):
        answered = p >= threshold
        assert share == answered.mean() and mean == pytest.approx(score[answered].mean())


def test_what_is_no_probability() -> None:
    right = np.array([True])
    for wrong in (np.array([1.5]), np.array([-0.1]), np.array([np.nan])):
        with pytest.raises(InputError, match="between 0 and 1"):
            reliability(wrong, right)
        with pytest.raises(InputError, match="between 0 and 1"):
            fit_temperature(lambda _, wrong=wrong: wrong, right)
    with pytest.raises(InputError, match="0 probabilities do not match 0"):
        reliability(np.array([]), np.array([], bool))
    with pytest.raises(InputError, match="2 probabilities do not match 1"):
        abstention(np.array([0.1, 0.2]), np.array([1.0]))
    with pytest.raises(InputError, match="1 probabilities do not match 2"):
        fit_temperature(lambda _: np.array([0.6]), np.array([True, False]))


def test_diagram(tmp_path: Path) -> None:
    p = np.array([0.1, 0.6, 0.7, 1.0])
    score = np.array([0.0, 1.0, 0.0, 1.0])
    save_diagram(reliability(p, score == 1), abstention(p, score), tmp_path / "r.png")
    assert (tmp_path / "r.png").read_bytes().startswith(b"\x89PNG")


FAULTS = {
    "bins count alike, full or not": (
        "apart @ self.count[there] / self.count.sum()", "apart.mean()"),
    "what is over and under cancels out": ("np.abs(self.accuracy - self.confidence)[there]",
                                           "(self.accuracy - self.confidence)[there]"),
    "only what came true is charged": ("np.where(right, p, 1 - p)", "np.where(right, p, 1)"),
    "the temperature upside down": ("float(np.exp(log_temperature))",
                                    "float(np.exp(-log_temperature))"),
    "the search goes the wrong way": ("minimize_scalar(loss", "minimize_scalar(lambda t: -loss(t)"),
    "questions of one probability are parted": (
        "falling[1:] != falling[:-1]", "np.ones(len(order) - 1, bool)"),
}  # fmt: skip
CHECKS = [
    test_calibration_error_by_hand,
    test_it_is_the_minimum,
    test_one_temperature_mends_the_error,
    test_abstention_by_hand,
]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_seen(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    faulty = load_with_fault("tasks.evaluation.calibration", FAULTS[fault])
    for name in ("reliability", "fit_temperature", "abstention"):
        monkeypatch.setitem(globals(), name, getattr(faulty, name))
    failed = 0
    for check in CHECKS:
        try:
            check()
        except AssertionError:
            failed += 1
    assert failed
