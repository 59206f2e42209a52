"""The command ``ergotext diagnose``; the work is done in ``ergotext.tasks.diagnose``."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Protocol

import typer

from ergotext.commands.console import Output, place
from ergotext.commands.options import FLOAT32, Device, Dtype, Threads
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
        typer.Option(help="File that keeps what the argmax check has decided, to go on from."),
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
    page = Output(report) if report is not None else None
    kept = None if checkpoint is None else place(checkpoint, "--checkpoint")
    from ergotext.tasks.diagnose.argmax import check as argmax
    from ergotext.tasks.diagnose.repetition import repetition
    from ergotext.tasks.diagnose.stopping import stopping

    workers = threads or 1
    argmax.check(minutes, workers)
    from ergotext.lm.causal import CausalLM
    from ergotext.lm.loading import load

    use_threads(threads)
    lm = load(model, device=device, dtype=dtype.value)
    reports: dict[str, CheckReport] = {}
    fitting = list(Check) if isinstance(lm, CausalLM) else [Check.argmax]
    for one in check or fitting:
        if one is Check.argmax:
            reports[one.value] = argmax.unargmaxable(lm, minutes, workers, kept)
            continue
        if not isinstance(lm, CausalLM):
            raise InputError(f"the check {one.value} needs a causal model, and {model} is none")
        reports[one.value] = stopping(lm) if one is Check.stopping else repetition(lm)
    if page is not None:
        with page:
            page(f"# {model}\n")
            for name, each in reports.items():
                page(_section(name, each))
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
