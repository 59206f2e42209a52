"""Warnings point at the line of the user who called, however deep inside they were given."""

from __future__ import annotations

import warnings
from pathlib import Path

import ergotext as et
from ergotext.support.warned import warn


def test_the_line_is_that_of_the_caller() -> None:
    lm = et.load("tiny-causal")
    energy = et.fluency(lm) + et.keywords(["a"])
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        et.sample(energy, "smc", n=2, max_length=4, progress=False)
    assert found, "two particles are too few to be trusted"
    assert {Path(one.filename).name for one in found} == {Path(__file__).name}


def test_from_outside_it_is_the_line_itself() -> None:
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        warn("said", UserWarning)
    (one,) = found
    assert Path(one.filename).name == Path(__file__).name
    assert 'warn("said", UserWarning)' in Path(__file__).read_text().splitlines()[one.lineno - 1]
