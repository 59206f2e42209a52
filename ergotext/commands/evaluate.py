"""The command ``ergotext evaluate``; the work is done in ``ergotext.tasks.evaluation``."""

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
    ModelProbability,
    Temperature,
)
from ergotext.commands.texts import check_model

if TYPE_CHECKING:
    from ergotext.tasks.evaluation.report import Evaluation


class EngineName(StrEnum):
    """Engines of ``evaluate``."""

    local = "local"
    ray = "ray"


LOCAL = EngineName.local


def evaluate(
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA",
            help="Questions as JSON lines with id, question and answer: subject ||| predicate ||| "
            "object, or a title.",
        ),
    ],
    index: Annotated[
        Path | None, typer.Option("-i", "--index", help="Index of the knowledge base.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="File for the predictions, JSON lines; an interrupted run continues from it.",
        ),
    ] = None,
    predictions: Annotated[
        Path | None,
        typer.Option(
            help="Score these predictions (JSON lines with id and answer) instead of running a "
            "model."
        ),
    ] = None,
    model: Annotated[
        str, typer.Option(help="Model: a folder, bundled name, .gguf file or hub id.")
    ] = RETRIEVER,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Evaluate only the first N questions.")
    ] = None,
    beams: Annotated[int, typer.Option(min=1, help="Beam width.")] = 10,
    lookahead: Annotated[LookAheadName, typer.Option(help=LOOKAHEAD)] = AUTO,
    anywhere: Annotated[
        bool,
        typer.Option(
            "--anywhere",
            help="Search all entries, without look-ahead, not only those whose subject occurs in "
            "the question.",
        ),
    ] = False,
    prompt: Annotated[str | None, typer.Option(help="Prompt template with {question}.")] = None,
    prefixes: Annotated[int, typer.Option(min=0, help=PREFIXES)] = 0,
    model_probability: ModelProbability = False,
    temperature: Temperature = None,
    engine: Annotated[
        EngineName,
        typer.Option(
            help="Run in this process (local) or in Ray actors (ray; needs the extra ray)."
        ),
    ] = LOCAL,
    workers: Annotated[int, typer.Option(min=1, help="Number of Ray actors.")] = 2,
    device: Device = "auto",
    dtype: Dtype = FLOAT32,
    threads: Threads = None,
    plot: Annotated[
        Path | None, typer.Option(help="Save a plot of reliability and abstention to this .png.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the scores as one JSON object.")
    ] = False,
) -> None:
    """Answer a file of questions and score the answers.

    Answers come from an index. The scores are those of KgCLUE for triples, accuracy and mean
    reciprocal rank for titles (an index built with --columns key).
    """
    from ergotext.tasks.evaluation.checks import check, check_apart
    from ergotext.tasks.evaluation.scoring import score
    from ergotext.tasks.plot import check_plot

    if predictions is not None:
        if index or output:
            raise typer.BadParameter(
                "--predictions cannot be combined with -i or -o", param_hint="--predictions"
            )
        if plot is not None:
            check_plot(plot)
            check_apart({f"the plot {plot}": plot}, {"data": data, "predictions": predictions})
        _tell(score(data, predictions, limit), as_json, plot)
        return
    if index is None or output is None:
        missing = "-i" if index is None else "-o"
        raise typer.BadParameter(
            "missing; give an index (-i) and an output (-o), or --predictions", param_hint=missing
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
        "temperature": temperature,
        "model_probability": model_probability,
        "engine": engine.value,
        "workers": workers,
        "device": device,
        "dtype": dtype.value,
        "threads": threads,
        "plot": None if plot is None else str(plot),
    }
    questions = check(config)
    check_model(model, device)
    # What is wrong was said before torch is imported, which takes seconds.
    from ergotext.tasks.evaluation import evaluate as task
    from ergotext.tasks.retrieval.lookahead.learned import lookahead_named
    from ergotext.tasks.retrieval.lookahead.own import own_calibration

    warning = None
    joint = not (anywhere or model_probability or lookahead is LookAheadName.none)
    if joint and (ahead := lookahead_named(lookahead.value, model)) is not None:
        _, warning = own_calibration(index, model, ahead)
    make = partial(task.retriever_of, config)
    done = task.evaluate(config, make, questions=questions)
    if warning is not None:  # of scores; an error stands alone
        typer.echo(warning, err=True)
    _tell(done, as_json, plot)


def _tell(done: Evaluation, as_json: bool, plot: Path | None) -> None:
    """Print the scores, and draw the plot where probabilities are known."""
    from ergotext.tasks.evaluation.calibration import save_diagram

    for line in done.complaints():
        typer.echo(line, err=True)
    typer.echo(done.json() if as_json else done.text())
    if plot is not None and (calibration := done.calibration()) is not None:
        save_diagram(*calibration, plot, done.graded)
