"""A function that is told how far a run is, in the place of a line on a terminal."""

from __future__ import annotations

from itertools import pairwise

import pytest

import ergotext as et
from ergotext.lm.causal import CausalLM
from ergotext.samplers import Stage

# A few draws are enough to see what is told.
pytestmark = pytest.mark.filterwarnings(
    "ignore::ergotext.samplers.weighted.samples.HeavyWeightsWarning"
)


@pytest.mark.parametrize(
    ("sampler", "unit", "options"),
    [("smc", "token", {"n": 8}), ("mh", "step", {"chains": 2, "steps": 7})],
)
def test_every_step_is_told(placed_lm: CausalLM, sampler: str, unit: str, options: dict) -> None:
    energy = et.fluency(placed_lm) + et.length(4)
    told: list[Stage] = []
    run = {"sampler": sampler, "seed": 2, "max_length": 8, **options}
    result = et.sample(energy, progress=told.append, **run)
    assert [one.done for one in told] == [*range(1, len(told) + 1)]
    assert all(one.unit == unit and one.done <= one.total for one in told)
    assert any(one.text for one in told) and told[-1].whole
    if sampler == "smc":
        assert told[-1].text in {one.text for one in result.all()} and len(told) > 2
        assert not told[0].whole or told[0].text == ""
    else:
        assert len(told) == told[0].total == 7
        best = min(result.energy[1:].min(1).values.tolist())
        assert told[-1].text == result.best(1)[0].text or best > result.best(1)[0].energy - 1e-9
    alone = et.sample(energy, progress=False, **run)
    assert [one.text for one in alone] == [one.text for one in result]
    assert all(b.done > a.done for a, b in pairwise(told))


@pytest.mark.parametrize("options", [{"sampler": "smc"}, {"sampler": "mh", "chains": 2}])
def test_what_it_raises_ends_the_run(placed_lm: CausalLM, options: dict) -> None:
    class EnoughError(Exception):
        pass

    calls = 0

    def tell(_: Stage) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise EnoughError

    energy = et.fluency(placed_lm) + et.length(4)
    with pytest.raises(EnoughError):
        et.sample(energy, max_length=8, progress=tell, **options)
    assert calls == 2
