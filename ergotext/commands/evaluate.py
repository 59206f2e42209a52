"""``ergotext evaluate``; what it does is in ``ergotext.tasks.datasets.kgclue``."""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ergotext.commands.console import place
from ergotext.commands.options import FLOAT32, Device, Dtype, Threads
from ergotext.commands.retrieve import (
    AUTO,
    LOOKAHEAD,
    PREFIXES,
    RETRIEVER,
    LookAheadName,
    Posterior,
    Temperature,
)

if TYPE_CHECKING:
    from ergotext.tasks.evaluation.report import Evaluation


class EngineName(StrEnum):
    """Where questions are answered."""

    local = "local"
    ray = "ray"


LOCAL = EngineName.local


def evaluate(
    data: Annotated[
        Path, typer.Argument(metavar="DATA", help="JSON lines: id, question, answer (KgCLUE).")
    ],
    index: Annotated[
        Path | None, typer.Option("-i", "--index", help="The index of a knowledge base.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", help="Predictions, one JSON object a line; a run goes on from it."
        ),
    ] = None,
    predictions: Annotated[
        Path | None,
        typer.Option(
            help="Score these (JSON lines: id, answer) instead of asking: no index, no output."
        ),
    ] = None,
    model: Annotated[
        str, typer.Option(help="A folder, bundled name, .gguf file or hub id.")
    ] = RETRIEVER,
    limit: Annotated[int | None, typer.Option(min=1, help="Only so many questions.")] = None,
    beams: Annotated[int, typer.Option(min=1, help="Beginnings kept at a time.")] = 10,
    lookahead: Annotated[LookAheadName, typer.Option(help=LOOKAHEAD)] = AUTO,
    anywhere: Annotated[
        bool,
        typer.Option(
            "--anywhere",
            help="Search all entries, without look-ahead, not only those whose subject is in the "
            "question.",
        ),
    ] = False,
    prompt: Annotated[
        str | None, typer.Option(help="What the model reads, with {question} in it.")
    ] = None,
    prefixes: Annotated[int, typer.Option(min=0, help=PREFIXES)] = 0,
    posterior: Posterior = False,
    temperature: Temperature = None,
    engine: Annotated[EngineName, typer.Option(help="ray: actors, of the extra ray.")] = LOCAL,
    workers: Annotated[int, typer.Option(min=1, help="Actors of ray.")] = 2,
    device: Device = "auto",
    dtype: Dtype = FLOAT32,
    threads: Threads = None,
    plot: Annotated[
        Path | None, typer.Option(help="Draw reliability and abstention here (.png).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The scores as one JSON object.")] = False,
) -> None:
    """Answer the questions of a file from an index, and score the answers as KgCLUE does."""
    from ergotext.tasks.evaluation import evaluate as task
    from ergotext.tasks.plot import check_plot
    from ergotext.tasks.retrieval.lookahead.fitted import temperature_for

    if predictions is not None:
        if index or output:
            raise typer.BadParameter(
                "ready predictions are scored without -i and -o", param_hint="--predictions"
            )
        if plot is not None:
            check_plot(plot)
            task.check_apart({f"the plot {plot}": plot}, {"data": data, "predictions": predictions})
        _tell(task.score(data, predictions, limit), as_json, plot)
        return
    if index is None or output is None:
        missing = "-i" if index is None else "-o"
        raise typer.BadParameter(
            "missing: give an index and an output, or ready --predictions", param_hint=missing
        )
    place(output)
    config = {
        "data": str(data),
        "index": str(index),
        "output": str(output),
        "model": model,
        "limit": limit,
        "beams": beams,
        "lookahead": lookahead.value,
        "anywhere": anywhere,
        "prompt": prompt,
        "prefixes": prefixes,
        "temperature": temperature_for(model, temperature, posterior),
        "posterior": posterior,
        "engine": engine.value,
        "workers": workers,
        "device": device,
        "dtype": dtype.value,
        "threads": threads,
        "plot": None if plot is None else str(plot),
    }
    _tell(task.evaluate(config, partial(task.retriever_of, config)), as_json, plot)


def _tell(done: Evaluation, as_json: bool, plot: Path | None) -> None:
    """Print the scores, and draw the plot where probabilities are known."""
    from ergotext.tasks.evaluation.diagram import save_diagram

    for line in done.complaints():
        typer.echo(line, err=True)
    typer.echo(done.json() if as_json else done.text())
    if plot is not None and (calibration := done.calibration()) is not None:
        save_diagram(*calibration, plot)
