"""``ergotext evaluate``; what it does is in ``ergotext.tasks.kgclue``."""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from ergotext.cli_retrieve import (
    AUTO,
    FLOAT32,
    LOOKAHEAD,
    PREFIXES,
    RETRIEVER,
    LookAheadName,
    Posterior,
    Temperature,
)
from ergotext.cli_sample import DtypeName
from ergotext.console import place


class EngineName(StrEnum):
    """Where questions are answered."""

    local = "local"
    ray = "ray"


LOCAL = EngineName.local


def evaluate(
    data: Annotated[
        Path, typer.Argument(metavar="DATA", help="JSON lines: id, question, answer (KgCLUE).")
    ],
    index: Annotated[Path, typer.Option("-i", "--index", help="The index of a knowledge base.")],
    output: Annotated[
        Path,
        typer.Option(
            "-o", "--output", help="Predictions, one JSON object a line; a run goes on from it."
        ),
    ],
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
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    dtype: Annotated[DtypeName, typer.Option(help="bfloat16 is faster, approximate.")] = FLOAT32,
    threads: Annotated[int | None, typer.Option(min=1, max=1024, help="CPU threads.")] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Draw reliability and abstention here (.png).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The scores as one JSON object.")] = False,
) -> None:
    """Answer the questions of a file from an index, and score the answers as KgCLUE does."""
    place(output)
    from ergotext.tasks.fitted import temperature_for
    from ergotext.tasks.kgclue import evaluate as task
    from ergotext.tasks.kgclue.diagram import save_diagram

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
    done = task.evaluate(config, partial(task.retriever_of, config))
    for line in done.complaints():
        typer.echo(line, err=True)
    typer.echo(done.json() if as_json else done.text())
    if plot is not None and (calibration := done.calibration()) is not None:
        save_diagram(*calibration, plot)
