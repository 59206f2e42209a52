"""Groups of options: one parameter of a command, several options on the command line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import pytest
import typer

from ergotext.commands.console import run
from ergotext.commands.groups import SearchOptions, grouped
from ergotext.errors import InputError


@dataclass(frozen=True)
class Pair:
    """Two options."""

    first: Annotated[int, typer.Option(min=1, help="The first of them.")] = 3
    second: Annotated[bool, typer.Option("--other")] = False


def test_fields_of_a_group_are_options(capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[tuple[str, int, Pair]] = []
    app = typer.Typer(add_completion=False)

    @app.command()
    @grouped
    def act(name: str, more: int = 5, *, pair: Pair) -> None:
        """What it does."""
        seen.append((name, more, pair))

    assert run(app, ["a"]) == 0 and run(app, ["b", "--first", "7", "--other", "--more", "1"]) == 0
    assert seen == [("a", 5, Pair()), ("b", 1, Pair(7, True))]
    assert run(app, ["a", "--first", "0"]) == 2
    assert "--first" in capsys.readouterr().err
    assert run(app, ["--help"]) == 0
    shown = capsys.readouterr().out
    assert "What it does." in shown and "The first of them." in shown and "default: 3" in shown
    assert act.__name__ == "act"


@dataclass(frozen=True)
class Files:
    """An argument and an option that must be given, and one that need not."""

    here: Annotated[str, typer.Argument(help="From here.")]
    there: Annotated[str, typer.Option(help="To there.")]
    by: Annotated[str | None, typer.Option(help="By this.")] = None


def test_fields_without_a_default_must_be_given(capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[tuple[Files, int]] = []
    app = typer.Typer(add_completion=False)

    @app.command()
    @grouped
    def act(*, files: Files, often: int = 1) -> None:
        seen.append((files, often))

    assert run(app, ["a", "--there", "b", "--often", "2"]) == 0
    assert seen == [(Files("a", "b"), 2)]
    assert run(app, ["a"]) == 2
    assert "--there" in capsys.readouterr().err
    assert run(app, ["--there", "b"]) == 2
    assert "HERE" in capsys.readouterr().err.upper()


def test_a_search_is_a_budget() -> None:
    budget = SearchOptions(particles=8, seed=4).budget(3)
    assert (budget.sampler, budget.particles, budget.chains, budget.seed) == ("smc", 8, None, 4)
    finals = [SearchOptions().budget(count).finals for count in (1, 3, 20)]
    assert finals == [8, 12, 80], "all that is shown, and more"
    with pytest.raises(InputError, match="steps goes with the sampler annealing or mh"):
        SearchOptions(steps=3).budget(3)
