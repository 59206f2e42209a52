"""Samplers that nobody registered: by their class, by a file, and of installed packages."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

import ergotext as et
from ergotext.errors import InputError
from ergotext.samplers import SAMPLERS, MetropolisHastings, State, registry, sample, sampler_named
from ergotext.testing.toy import toy_energy

FEW = {"chains": 3, "steps": 8, "max_length": 4, "progress": False}


class Mine(MetropolisHastings):
    """Another name for the same chain."""


def test_a_class_is_taken_as_it_is() -> None:
    result = sample(toy_energy(), Mine, **FEW)
    assert result.settings["sampler"] == f"{__name__}:Mine" and "Mine" in result.text()
    assert [b.rows() for b in result.trace.states] == [
        b.rows() for b in sample(toy_energy(), "mh", **FEW).trace.states
    ]
    assert sample(toy_energy(), MetropolisHastings, **FEW).settings["sampler"] == "mh"
    with pytest.raises(
        InputError, match=r":Mine has no option hotness; its options are max_length"
    ):
        sample(toy_energy(), Mine, hotness=3, **FEW)


@pytest.mark.filterwarnings("ignore::ergotext.samplers.weighted.samples.HeavyWeightsWarning")
def test_a_weighted_class() -> None:
    class Own(SAMPLERS["importance"]):
        pass

    result = sample(toy_energy(), Own, n=20, max_length=4)
    assert result.settings["sampler"].endswith("Own") and len(result.samples)
    with pytest.raises(InputError, match="Own draws n weighted texts and runs no chains"):
        sample(toy_energy(), Own, chains=2)


def test_a_run_of_a_class_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    kept = {"checkpoint": tmp_path / "kept", "every": 4, **FEW}
    sample(toy_energy(), Mine, **kept)
    more = sample(toy_energy(), Mine, resume=True, **(kept | {"steps": 12}))
    whole = sample(toy_energy(), Mine, every=4, **(FEW | {"steps": 12}))
    assert more.trace.states[-1].rows() == whole.trace.states[-1].rows()


class Empty:
    pass


class NoNeeds:
    kind = "invariant"


class NoStep:
    kind, needs = "invariant", frozenset()

    def init(self, draws: Any, chains: int, initial: Any = None) -> State: ...


class NoDraw(NoStep):
    kind = "weighted"


@pytest.mark.parametrize(
    ("sampler", "message"),
    [
        (Empty, r"Empty is no sampler: give the class a kind \(invariant, weighted"),
        (NoNeeds, "and needs, a frozenset"),
        (NoStep, "of kind invariant: give the class init and step"),
        (NoDraw, "of kind weighted: give the class draw"),
        (3, "is no sampler"),
    ],
)
def test_what_is_no_sampler_is_told(sampler: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        sample(toy_energy(), sampler, **FEW)


def point(name: str, value: str) -> metadata.EntryPoint:
    return metadata.EntryPoint(name, value, registry.GROUP)


def test_samplers_of_installed_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are looked up when a name is not ours, and loaded when they are named."""
    brought = [point("theirs", f"{__name__}:Mine"), point("broken", "no_such_package:Sampler"),
               point("empty", f"{__name__}:Empty")]  # fmt: skip
    monkeypatch.setattr(registry, "entry_points", lambda group: brought * (group == registry.GROUP))
    assert sampler_named("theirs") is Mine
    assert sample(toy_energy(), "theirs", **FEW).settings["sampler"] == "theirs"
    with pytest.raises(InputError, match=r"broken cannot be loaded from no_such.*No module named"):
        sample(toy_energy(), "broken", **FEW)
    with pytest.raises(InputError, match="Empty is no sampler"):
        sampler_named("empty")
    with pytest.raises(InputError, match=r"annealing, broken, .*theirs, .*file.py:Class"):
        sampler_named("nothere")
    monkeypatch.setattr(registry, "entry_points", None)  # our own do not wait for packages
    assert sampler_named("mh") is MetropolisHastings


def test_what_it_lacks_is_told_by_its_name() -> None:
    with pytest.raises(InputError, match="the sampler Mine needs a causal language model"):
        sample(et.length(3), Mine, **FEW)
