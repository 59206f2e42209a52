"""The command ``ergotext evaluate``; the work is done in ``ergotext.tasks.evaluation``."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from ergotext.commands.console import place
from ergotext.commands.groups import grouped
from ergotext.commands.retrieval_options import (
    LookAheadName,
    RetrieverModel,
    ScoredProbabilities,
    ScoredSearch,
)
from ergotext.commands.work_options import WorkOptions
from ergotext.support.bars import busy

if TYPE_CHECKING:
    from ergotext.tasks.evaluation.report import Evaluation


@dataclass(frozen=True)
class ScoredFiles:
    """What is scored, and where what is found goes."""

    TITLE: ClassVar = "Files"
    index: Annotated[
        Path | None, typer.Option("-i", "--index", help="Index of the knowledge base.")
    ] = None
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="File for the predictions, JSON lines; an interrupted run continues from it.",
        ),
    ] = None
    predictions: Annotated[
        Path | None,
        typer.Option(
            help="Score these predictions (JSON lines with id and answer) instead of running a "
            "model."
        ),
    ] = None
    plot: Annotated[
        Path | None, typer.Option(help="Save a plot of reliability and abstention to this .png.")
    ] = None

    def check_scoring(self, data: Path, predictions: Path) -> None:
        """See that predictions can be scored: nothing goes beside them but a plot."""
        from ergotext.tasks.evaluation.checks import check_apart
        from ergotext.tasks.plot import check_plot

        if self.index or self.output:
            raise typer.BadParameter(
                "--predictions cannot be combined with -i or -o", param_hint="--predictions"
            )
        if self.plot is not None:
            check_plot(self.plot)
            read = {"data": data, "predictions": predictions}
            check_apart({f"the plot {self.plot}": self.plot}, read)


@grouped
def evaluate(
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA",
            help="Questions as JSON lines with id, question and answer: subject ||| predicate ||| "
            "object, or a title.",
        ),
    ],
    *,
    files: ScoredFiles,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Evaluate only the first N questions.")
    ] = None,
    search: ScoredSearch,
    probability: ScoredProbabilities,
    lm: RetrieverModel,
    work: WorkOptions,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the scores as one JSON object.")
    ] = False,
) -> None:
    """Answer a file of questions and score the answers.

    Answers come from an index. The scores are those of KgCLUE for triples, accuracy and mean
    reciprocal rank for titles (an index built with --columns key).
    """
    from ergotext.tasks.evaluation.checks import check
    from ergotext.tasks.evaluation.scoring import score

    if files.predictions is not None:
        files.check_scoring(data, files.predictions)
        _tell(score(data, files.predictions, limit), as_json, files.plot)
        return
    if files.index is None or files.output is None:
        missing = "-i" if files.index is None else "-o"
        raise typer.BadParameter(
            "missing; give an index (-i) and an output (-o), or --predictions", param_hint=missing
        )
    place(files.output)
    config = {
        "data": str(data),
        "index": str(files.index),
        "output": str(files.output),
        "limit": limit,
        "plot": None if files.plot is None else str(files.plot),
        **vars(search) | {"lookahead": search.lookahead.value},
        **vars(probability),
        **vars(lm) | {"dtype": lm.dtype.value},
        **vars(work) | {"engine": work.engine.value},
    }
    questions = check(config)
    lm.check()
    # What is wrong was said before torch is imported, which takes seconds.
    with busy("starting"):
        from ergotext.tasks.evaluation import evaluate as task
        from ergotext.tasks.retrieval.lookahead.learned import lookahead_named
        from ergotext.tasks.retrieval.lookahead.own import own_calibration

    warning = None
    known = search.lookahead is not LookAheadName.none
    joint = known and not (search.anywhere or probability.model_probability)
    if joint and (ahead := lookahead_named(search.lookahead.value, lm.model)) is not None:
        _, warning = own_calibration(files.index, lm.model, ahead)
    make = partial(task.retriever_of, config)
    done = task.evaluate(config, make, questions=questions)
    if warning is not None:  # of scores; an error stands alone
        typer.echo(warning, err=True)
    _tell(done, as_json, files.plot)


def _tell(done: Evaluation, as_json: bool, plot: Path | None) -> None:
    """Print the scores, and draw the plot where probabilities are known."""
    from ergotext.tasks.evaluation.calibration import save_diagram

    for line in done.complaints():
        typer.echo(line, err=True)
    typer.echo(done.json() if as_json else done.text())
    if plot is not None and (calibration := done.calibration()) is not None:
        save_diagram(*calibration, plot, done.graded)
