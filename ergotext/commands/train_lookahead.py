"""The command ``ergotext train-lookahead``; see ``ergotext.tasks.training.lookahead``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ergotext.commands.console import Interrupted, report
from ergotext.commands.groups import TrainingFiles, grouped
from ergotext.commands.options import Device, Threads
from ergotext.support.threads import use_threads


@grouped
def train_lookahead(
    *,
    files: TrainingFiles,
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Output folder: that of the model, or another.")
    ],
    synonyms: Annotated[
        list[Path] | None,
        typer.Option(help="File of synonyms, one tab-separated group per line; repeatable."),
    ] = None,
    start: Annotated[
        str | None, typer.Option(help="Model whose look-ahead to start from. [a new one]")
    ] = None,
    steps: Annotated[int, typer.Option(help="Number of training steps, one batch each.")] = 8000,
    batch_size: Annotated[int, typer.Option(help="Batch size.")] = 32,
    learning_rate: Annotated[float, typer.Option(help="Peak learning rate.")] = 1e-3,
    templated: Annotated[
        float, typer.Option(min=0.0, help="Share of examples made from templates.")
    ] = 0.3,
    width: Annotated[
        int, typer.Option(help="Width of the character embeddings of a new look-ahead.")
    ] = 96,
    every: Annotated[int, typer.Option(help="Steps between evaluations and checkpoints.")] = 1000,
    resume: Annotated[bool, typer.Option("--resume", help="Continue from the checkpoint.")] = False,
    device: Device = "auto",
    threads: Threads = None,
    seed: Annotated[
        int, typer.Option(help="Random seed; on one machine, the same seed gives the same weights.")
    ] = 0,
) -> None:
    """Train the look-ahead of a retriever.

    It predicts the predicate that a question asks for.
    """
    from ergotext.support.files import check_readable

    files.check()
    check_readable("synonyms", *synonyms or ())
    # What is wrong was said before torch is imported, which takes seconds.
    from ergotext.tasks.training.lookahead.learner import Recipe
    from ergotext.tasks.training.lookahead.train import train_lookahead as run
    from ergotext.tasks.training.run import InterruptedRunError

    use_threads(threads)
    recipe = Recipe(steps, batch_size, learning_rate, width=width, templated=templated, seed=seed)
    try:
        report(
            run(
                files.questions, files.dev, files.index, output, recipe,
                templates=files.templates or (), synonyms=synonyms or (), start=start, every=every,
                device=device, resume=resume,
            )
        )  # fmt: skip
    except InterruptedRunError as error:
        raise Interrupted(str(error)) from error
