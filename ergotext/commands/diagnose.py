"""The command ``ergotext diagnose``; the work is done in ``ergotext.tasks.diagnose``."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Protocol

import typer

from ergotext.commands.console import Output, place
from ergotext.commands.options import FLOAT32, Device, Dtype, Threads
from ergotext.commands.texts import check_model
from ergotext.errors import InputError
from ergotext.support.threads import use_threads


class Check(StrEnum):
    """What can be checked."""

    argmax = "argmax"
    stopping = "stopping"
    repetition = "repetition"


class CheckReport(Protocol):
    """What a check returns."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""

    def text(self) -> str:
        """A few lines for a terminal."""


def diagnose(
    model: Annotated[
        str, typer.Argument(help="Model: a bundled name, folder, .gguf file or hub id.")
    ],
    check: Annotated[
        list[Check] | None,
        typer.Option(
            "--check", help="Check to run; repeatable. [all that fit the model]", show_default=False
        ),
    ] = None,
    minutes: Annotated[float, typer.Option(min=0, help="Time limit of the argmax check.")] = 15.0,
    checkpoint: Annotated[
        Path | None,
        typer.Option(help="Save the argmax check to this file, and resume it from there."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    report: Annotated[
        Path | None, typer.Option("--report", help="Save a readable page (Markdown) to this file.")
    ] = None,
    dtype: Dtype = FLOAT32,
    device: Device = "auto",
    threads: Threads = None,
) -> None:
    """Check a model before sampling from it.

    argmax: tokens that can never be the most probable. stopping: how many texts do not end.
    repetition: how texts repeat themselves, and why. The last two need a causal model.
    """
    page = None if report is None else Output(report)
    kept = None if checkpoint is None else place(checkpoint, "--checkpoint")
    check_model(model, device)
    from ergotext.tasks.diagnose.argmax import check as argmax

    workers = threads or 1
    argmax.check(minutes, workers)
    from ergotext.lm.loading import load

    use_threads(threads)
    lm = load(model, device=device, dtype=dtype.value)
    reports: dict[str, CheckReport] = {}
    for one in _fitting(check, lm, model):
        if one is Check.argmax:
            reports[one.value] = argmax.unargmaxable(lm, minutes, workers, kept)
        else:
            reports[one.value] = _of_texts(one, lm)
    if page is not None:
        with page:
            page(f"# {model}\n")
            for name, each in reports.items():
                page(_section(name, each))
    _print(model, reports, as_json)


def _fitting(checks: list[Check] | None, lm: object, name: str) -> list[Check]:
    """The checks to run; InputError before any of them if a model cannot have one."""
    from ergotext.lm.causal import CausalLM

    causal = isinstance(lm, CausalLM)
    found = checks or (list(Check) if causal else [Check.argmax])
    for one in found:
        if one is not Check.argmax and not causal:
            raise InputError(
                f"the check {one.value} needs a causal model, but {name} is not one: use the "
                "check argmax"
            )
    return found


def _of_texts(check: Check, lm: Any) -> CheckReport:
    """A check that lets a causal model write."""
    from ergotext.tasks.diagnose.repetition import repetition
    from ergotext.tasks.diagnose.stopping import stopping

    return stopping(lm) if check is Check.stopping else repetition(lm)


def _print(model: str, reports: dict[str, CheckReport], as_json: bool) -> None:
    if as_json:
        found = {"model": model} | {name: each.as_dict() for name, each in reports.items()}
        typer.echo(json.dumps(found))
    else:
        for each in reports.values():
            typer.echo(each.text())


def _section(name: str, report: CheckReport) -> str:
    """The section of a check on a page; as on the terminal if it has no page of its own."""
    page = getattr(report, "markdown", None)
    return str(page()) if page is not None else f"## {name}\n\n```\n{report.text()}\n```\n"
