"""The command ``ergotext calibrate``; the work is done in ``ergotext.tasks.evaluation``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ergotext.commands.groups import grouped
from ergotext.commands.retrieval_options import AUTO, LookAheadChoice, RetrieverModel


@grouped
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
    *,
    lm: RetrieverModel,
    lookahead: LookAheadChoice = AUTO,
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
) -> None:
    """Calibrate probabilities on questions about your own base.

    Fits the temperature and the share of "none of these", and writes them beside the index, where
    retrieve and evaluate find them. Keep the questions apart from those that you score.
    """
    from ergotext.tasks.evaluation.checks import check_calibration

    lm.check()
    questions = check_calibration(data, index, lookahead.value, limit)
    from ergotext.tasks.evaluation.calibrate import calibrated_index

    done, path = calibrated_index(
        questions,
        index,
        model=lm.model,
        lookahead=lookahead.value,
        none=none,
        device=lm.device,
        dtype=lm.dtype.value,
        threads=lm.threads,
    )
    typer.echo(done.text())
    typer.echo(f"written to {path}")
