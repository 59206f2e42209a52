"""The command ``ergotext calibrate``; the work is done in ``ergotext.tasks.evaluation``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ergotext.commands.options import FLOAT32, Device, Dtype, Threads
from ergotext.commands.retrieve import AUTO, LOOKAHEAD, RETRIEVER, LookAheadName
from ergotext.commands.texts import check_model


def calibrate(
    data: Annotated[
        Path,
        typer.Argument(
            metavar="QUESTIONS",
            help="Questions about the base as JSON lines with id, question and answer: subject ||| "
            "predicate ||| object, or an empty text if the base does not hold it.",
        ),
    ],
    index: Annotated[Path, typer.Option("-i", "--index", help="Index of the knowledge base.")],
    model: Annotated[
        str, typer.Option(help="Model: a folder, bundled name, .gguf file or hub id.")
    ] = RETRIEVER,
    lookahead: Annotated[LookAheadName, typer.Option(help=LOOKAHEAD)] = AUTO,
    none: Annotated[
        float,
        typer.Option(
            min=0.001,
            max=0.9,
            help="Share of questions that the base does not answer, where fewer than 10 of the "
            "file are such.",
        ),
    ] = 0.1,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Read only the first N questions.")
    ] = None,
    device: Device = "auto",
    dtype: Dtype = FLOAT32,
    threads: Threads = None,
) -> None:
    """Calibrate probabilities on questions about your own base.

    Fits the temperature and the share of "none of these", and writes them beside the index, where
    retrieve and evaluate find them. Keep the questions apart from those that you score.
    """
    from ergotext.tasks.evaluation.checks import check_calibration

    check_model(model, device)
    questions = check_calibration(data, index, lookahead.value, limit)
    from ergotext.tasks.evaluation.calibrate import calibrated_index

    done, path = calibrated_index(
        questions,
        index,
        model=model,
        lookahead=lookahead.value,
        none=none,
        device=device,
        dtype=dtype.value,
        threads=threads,
    )
    typer.echo(done.text())
    typer.echo(f"written to {path}")
