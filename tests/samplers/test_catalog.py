"""The list of samplers that is read before any of them is imported says what their classes say."""

from __future__ import annotations

from types import ModuleType

import pytest

from ergotext.cli import main
from ergotext.errors import InputError
from ergotext.samplers import SAMPLERS, catalog
from ergotext.samplers.registry import check_name, kind_of, register
from tests.faulty import load_with_fault


def check_catalog(catalog: ModuleType) -> None:
    assert set(catalog.NAMES) == {*catalog.CATALOG, *catalog.ALIASES}
    for name, entry in catalog.CATALOG.items():
        sampler = SAMPLERS[name]
        assert entry.kind == sampler.kind, name
        assert entry.home.rpartition(":")[2] == sampler.__name__
        assert entry.use and not entry.use.endswith(".") and len(entry.use) <= 80
    for alias, name in catalog.ALIASES.items():
        assert SAMPLERS[alias] is SAMPLERS[name]
    assert set(catalog.PROMISES) == {entry.kind for entry in catalog.CATALOG.values()}


def test_kinds_are_those_of_the_classes() -> None:
    check_catalog(catalog)


def test_another_kind_is_caught() -> None:
    place = '"chains.annealing:SimulatedAnnealing", '
    right, wrong = f'{place}"optimiser"', f'{place}"weighted"'
    faulty = load_with_fault("samplers.catalog", (right, wrong))
    with pytest.raises(AssertionError, match="annealing"):
        check_catalog(faulty)


def test_names() -> None:
    assert kind_of("simulated-annealing") == "optimiser" and kind_of("ais") == "weighted"
    check_name("some.py:Class")
    with pytest.raises(InputError, match=r"no sampler 'metropolis'; choose one of ais, .*file.py"):
        check_name("metropolis")
    with pytest.raises(InputError, match="did you mean 'importance'"):
        kind_of("importence")
    for name in ("mh", "metropolis-hastings"):
        with pytest.raises(ValueError, match="already registered"):
            register(name)(object)


def test_the_command_has_a_line_for_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["samplers"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for name, entry in catalog.CATALOG.items():
        (line,) = [line for line in lines if line.split()[:1] == [name]]
        above = [one for one in lines[: lines.index(line)] if one and not one.startswith(" ")][-1]
        assert entry.use in line and entry.alias in line and above.startswith(entry.kind)
