"""Helpers for arrays."""

from __future__ import annotations

import numpy as np
import pytest

from ergotext.support.arrays import distinct


@pytest.mark.parametrize("shape", [(0,), (1,), (5,), (40,), (6, 7)])
def test_distinct_values_rise(shape: tuple[int, ...]) -> None:
    values = np.random.default_rng(0).integers(-3, 9, shape)
    found = distinct(values)
    assert found.tolist() == sorted(set(values.ravel().tolist()))
    assert found.dtype == values.dtype
