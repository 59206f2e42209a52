"""Faults of diagnostics, put in one at a time: each must be seen (15 of the known faults)."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest

from ergotext.samplers import diagnostics
from tests.faulty import load_with_fault
from tests.samplers.test_diagnostics import (
    SAMPLES,
    TIES,
    ar1,
    by_hand_ess,
    by_hand_r_hat,
    by_hand_tail,
    normal_scores,
    split,
)

FAULTS = {
    "15: chains that stand still count": (
        'return _awake(values) * _ess(values, "bulk")',
        'return float(_asked("ess", values, method="bulk"))',
    ),
    "15: a chain that halted counts": (
        "    return float((np.ptp(halves, axis=0) > 0).mean()) if half else 0.0",
        "    return 1.0",
    ),
    "15: R-hat of what never moves is no number": (
        "    return math.inf if math.isnan(value) else value\n",
        "    return value\n",
    ),
    "15: ties at the top pass for a tail": (
        "values < quantile if within.all() else within",
        "within",
    ),
    "a run that lies on the quantile counts as beyond it": (
        "within = values <= quantile",
        "within = values < quantile",
    ),
    "ranks left out": (
        '_asked("rhat", values, method="rank")',
        '_asked("rhat", values, method="split")',
    ),
    "halves are not compared": (
        '_asked("rhat", values, method="rank")',
        '_asked("rhat", values, method="identity")',
    ),
    "the error of independent draws": (
        'worth = _awake(values) * _ess(values, "mean")',
        "worth = _awake(values) * values.size",
    ),
    "each chain about a mean of its own": (
        "centred = values - values.mean()",
        "centred = values - values.mean(0)",
    ),
}


def check(module: ModuleType) -> None:
    for name in ("smooth", "ties", "two values", "apart", "one wide"):
        values = SAMPLES[name]
        assert module.r_hat(values) == pytest.approx(by_hand_r_hat(values), abs=1e-9)
        worth = by_hand_ess(normal_scores(split(values)))
        assert module.ess_bulk(values) == pytest.approx(worth, rel=1e-9)
        error = values.std(ddof=1) / by_hand_ess(split(values)) ** 0.5
        assert module.mcse(values) == pytest.approx(error, rel=1e-9)
    still = np.zeros((50, 4))
    assert module.ess_bulk(still) == 0 and module.r_hat(still) == np.inf
    halted = ar1(0.0, 400, 4, 7)
    halted[200:, 2] = np.median(halted)
    assert module.ess_bulk(halted) < 7 / 8 * 1600
    stuck = TIES["stuck on a quantile"]
    assert module.ess_tail(stuck) == pytest.approx(by_hand_tail(stuck), rel=1e-9)
    rare = (ar1(0.9, 800, 4, 8) > -2.2).astype(float)
    assert 0 < module.ess_tail(rare) < 1600
    assert module.autocorrelation(ar1(0.1, 500, 4, 6) * 0.1 + np.arange(4), 20)[-1] > 0.8


def test_the_code_as_it_is_passes() -> None:
    check(diagnostics)


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_caught(fault: str) -> None:
    with pytest.raises(AssertionError):
        check(load_with_fault("samplers.diagnostics", FAULTS[fault]))
