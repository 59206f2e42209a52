"""Settings that check their own types and ranges."""

from __future__ import annotations

import math
from dataclasses import FrozenInstanceError, asdict, replace
from typing import Any, Literal

import numpy as np
import pytest

from ergotext.errors import InputError
from ergotext.support.records import Count, Positive, Share, record


@record
class Settings:
    """Settings of a test."""

    steps: Count = 3
    rate: Positive = 1.0
    share: Share = 0.5
    how: Literal["fast", "well"] = "fast"
    table: dict[str, int] | None = None

    def __post_init__(self) -> None:
        if self.steps == 7:
            raise InputError("not seven")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"steps": True}, "steps must be an integer, got True"),
        ({"steps": "3"}, "steps must be an integer, got '3'"),
        ({"steps": 2.5}, "steps must be an integer, got 2.5"),
        ({"rate": 0}, "rate must be above 0, got 0"),
        ({"rate": math.inf}, "rate must be a finite number, got inf"),
        ({"share": math.nan}, "share must be a finite number, got nan"),
        ({"how": "slowly"}, "how must be one of 'fast' or 'well', got 'slowly'"),
        ({"table": [1]}, "table must be a table, got [1]"),
        (
            {"stepz": 1},
            "unknown name 'stepz'; the known ones are steps, rate, share, how, table; did you mean "
            "'steps'?",
        ),
        ({"xyz": 1}, "unknown name 'xyz'; the known ones are steps, rate, share, how, table"),
        ({"steps": 7}, "not seven"),
    ],
)
def test_what_does_not_fit_is_named(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as error:
        Settings(**given)
    assert str(error.value) == message


def test_integers_of_numpy_are_integers() -> None:
    one = Settings(steps=np.int64(4))
    assert one.steps == 4 and type(one.steps) is int


def test_positions_have_names_too() -> None:
    with pytest.raises(InputError, match=r"rate must be above 0, got -1"):
        Settings(3, -1)


def test_a_record_is_a_frozen_dataclass() -> None:
    one = Settings(rate=2)
    assert asdict(one) == {"steps": 3, "rate": 2.0, "share": 0.5, "how": "fast", "table": None}
    assert replace(one, steps=4) == Settings(steps=4, rate=2.0)
    with pytest.raises(InputError, match="steps"):
        replace(one, steps=-1)
    with pytest.raises(FrozenInstanceError):
        one.steps = 4
