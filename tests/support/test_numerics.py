"""Log-domain functions against mpmath at 60 digits, in float32 and float64."""

from __future__ import annotations

import math

import mpmath
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ergotext.support import numerics

mpmath.mp.dps = 60
TYPES = [torch.float32, torch.float64]
TINY = 1e-30


def points(dtype: torch.dtype, values: list[float]) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64).to(dtype)


def check(found: torch.Tensor, exact: list[mpmath.mpf], ulps: float = 8) -> None:
    """Within so many units in the last place of each exact value."""
    eps = torch.finfo(found.dtype).eps
    for value, true in zip(found.tolist(), exact, strict=True):
        error = abs(mpmath.mpf(value) - true)
        assert error <= ulps * eps * abs(true) + torch.finfo(found.dtype).tiny, (value, true)


def exact_lse(row: list[float]) -> mpmath.mpf:
    return mpmath.log(sum(mpmath.exp(mpmath.mpf(v)) for v in row))


@pytest.mark.parametrize("dtype", TYPES)
def test_log1mexp(dtype) -> None:
    ends = [-(10.0**-k) for k in range(1, 30, 4)] + [-0.5, -0.6931, -0.6932, -0.7, -1.0, -5.0]
    a = points(dtype, [*ends, -15.0, -30.0, -80.0])
    check(numerics.log1mexp(a), [mpmath.log(-mpmath.expm1(mpmath.mpf(v))) for v in a.tolist()])
    edge = numerics.log1mexp(points(dtype, [0.0, -math.inf]))
    assert edge.tolist() == [-math.inf, 0.0]


@pytest.mark.parametrize("dtype", TYPES)
def test_gumbel_quantile_near_0_and_1(dtype) -> None:
    eps = torch.finfo(dtype).eps
    u = points(dtype, [TINY, 1e-8, 1e-3, 0.2, 0.5, 0.9, 1 - 1e-3, 1 - 64 * eps, 1 - eps / 2])
    assert float(u[-1]) < 1
    found = numerics.gumbel_quantile(u)
    check(found, [-mpmath.log(-mpmath.log(mpmath.mpf(v))) for v in u.tolist()])
    assert numerics.gumbel_quantile(points(dtype, [0.0, 1.0])).tolist() == [-math.inf, math.inf]
    assert float(found[-1]) == pytest.approx(16.635532 if dtype == torch.float32 else 36.736801)


@pytest.mark.parametrize("dtype", TYPES)
def test_gumbel_cdf_and_survival(dtype) -> None:
    x = points(dtype, [-3.0, -1.0, -0.1, 0.0, 0.3, 0.4, 1.0, 8.0, 20.0, 29.99, 30.0, 50.0, 500.0])
    at = [mpmath.exp(-mpmath.mpf(v)) for v in x.tolist()]
    check(numerics.gumbel_cdf(x), [mpmath.exp(-v) for v in at], ulps=32)
    # exp(−x) is off by an ulp, and exp of it by exp(−x) times as much.
    check(numerics.gumbel_log_survival(x), [mpmath.log(-mpmath.expm1(-v)) for v in at], ulps=64)
    ends = numerics.gumbel_log_survival(points(dtype, [-math.inf, math.inf]))
    assert ends.tolist() == [0.0, -math.inf]


@pytest.mark.parametrize("dtype", TYPES)
@given(row=st.lists(st.floats(-300, 300, width=32), min_size=1, max_size=40))
def test_logsumexp_lies_within_its_bounds(dtype, row: list[float]) -> None:
    x = points(dtype, row)
    low, high = numerics.logsumexp_bounds(x)
    true = exact_lse(x.tolist())
    slack = 4 * torch.finfo(dtype).eps * (1 + abs(true))
    assert float(low) <= true + slack and true <= mpmath.mpf(float(high)) + slack
    assert abs(mpmath.mpf(float(x.logsumexp(0))) - true) <= slack


@pytest.mark.parametrize("dtype", TYPES)
def test_bounds_are_met(dtype) -> None:
    single = points(dtype, [3.0, -math.inf, -math.inf])
    assert numerics.logsumexp_bounds(single)[0] == single.logsumexp(0)
    low, high = numerics.logsumexp_bounds(torch.zeros(4, 8, dtype=dtype), 0)
    assert low.tolist() == [0.0] * 8
    torch.testing.assert_close(high, torch.full((8,), math.log(4), dtype=dtype))
    assert all(float(b) == -math.inf for b in numerics.logsumexp_bounds(torch.zeros(0)))


@pytest.mark.parametrize("dtype", TYPES)
def test_log_mean_exp(dtype) -> None:
    x = points(dtype, [[-1000.0, -1001.0, -math.inf], [700.0, 700.0, 700.0], [-math.inf] * 3])
    found = numerics.log_mean_exp(x)
    check(found[:2], [exact_lse([-1000.0, -1001.0]) - mpmath.log(3), mpmath.mpf(700)])
    assert float(found[2]) == -math.inf
    assert float(numerics.log_mean_exp(torch.zeros(0, dtype=dtype))) == -math.inf
    assert numerics.log_mean_exp(torch.zeros(2, 0, dtype=dtype)).tolist() == [-math.inf] * 2


def test_log_mean_exp_counts_entries_that_were_left_out() -> None:
    kept = torch.tensor([0.5, 1.5], dtype=torch.float64)
    whole = torch.tensor([0.5, -math.inf, 1.5, -math.inf], dtype=torch.float64)
    assert numerics.log_mean_exp(kept, count=4) == numerics.log_mean_exp(whole)
