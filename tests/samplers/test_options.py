"""Options of a sampler that are of a wrong type or value: refused before anything is drawn."""

from __future__ import annotations

import math

import pytest

from ergotext.errors import InputError
from ergotext.samplers import sample
from ergotext.testing.toy import toy_energy

WRONG = [
    *[("rejection", "log_bound", v) for v in ("x", True, math.nan, math.inf, -math.inf)],
    *[("rejection", "max_tries", v) for v in ("x", 1.5, 0, None)],
    *[("rejection", "at_once", v) for v in ("x", 2.5, None)],
    *[("importance", "at_once", v) for v in ("x", 2.5, 0, None)],
    *[("importance", "proposal", v) for v in ("x", 3, [])],
    *[("smc", "threshold", v) for v in ("x", None, math.nan, -1, 1.5)],
    *[("smc", "resampling", v) for v in ("x", 3, None)],
    *[("smc", "twist", v) for v in ("x", 3)],
    *[("mh", "moves", v) for v in ([], {}, "x", 3)],
    *[("mh", "temperature", v) for v in (True, 0, -1.0, math.nan)],
    *[("gibbs", "block", v) for v in ("x", 1.5, 0, None)],
    *[("gibbs", "candidates", v) for v in ("x", 1.5, 0, None)],
]


@pytest.mark.parametrize(("sampler", "name", "value"), WRONG)
def test_an_option_of_a_wrong_type_or_value(sampler: str, name: str, value: object) -> None:
    given = {"log_bound": 1.0} if sampler == "rejection" else {}
    with pytest.raises(InputError, match=name.replace("resampling", "resampling scheme")):
        sample(toy_energy(), sampler, max_length=3, progress=False, **{**given, name: value})
