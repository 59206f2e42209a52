"""``ergotext train``; what it does is in ``ergotext.tasks.training.seq2seq.train``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ergotext.commands.console import Interrupted, report
from ergotext.commands.options import Device, Threads


class ObjectiveName(StrEnum):
    """What training makes small."""

    cross_entropy = "cross-entropy"
    listwise = "listwise"
    policy = "policy"
    zeroth_order = "zeroth-order"


Share = Annotated[float, typer.Option(min=0.0, help="Share of the examples.")]
CROSS_ENTROPY = ObjectiveName.cross_entropy


def train(
    questions: Annotated[Path, typer.Argument(help="Training questions, JSON lines.")],
    dev: Annotated[Path, typer.Option(help="Questions that early stopping goes by.")],
    index: Annotated[Path, typer.Option("-i", "--index", help="The base, an index of triples.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the model.")],
    templates: Annotated[
        list[Path] | None,
        typer.Option(help="File of predicates and questions with {subject}; repeatable."),
    ] = None,
    objective: Annotated[
        ObjectiveName,
        typer.Option(
            help="listwise: choose among the keys of a question, too; policy, zeroth-order: the "
            "expected score itself, for a model to --start from."
        ),
    ] = CROSS_ENTROPY,
    start: Annotated[
        str | None, typer.Option(help="Encoder-decoder to go on from; by default from scratch.")
    ] = None,
    steps: Annotated[int, typer.Option(help="Batches.")] = 20_000,
    minutes: Annotated[float | None, typer.Option(help="Be over by then at the latest.")] = None,
    batch_size: Annotated[int, typer.Option(help="Questions in a batch.")] = 32,
    learning_rate: Annotated[float, typer.Option(help="Of the plateau.")] = 1e-3,
    warm_up: Annotated[float, typer.Option(help="Share of the run before it.")] = 0.02,
    cool_down: Annotated[float, typer.Option(help="Share of the run behind it.")] = 0.3,
    rivals: Annotated[int, typer.Option(help="Most keys to choose among.")] = 16,
    radius: Annotated[float, typer.Option(help="How far zeroth-order steps look.")] = 1e-3,
    real: Share = 0.2,
    renamed: Share = 0.15,
    swapped: Share = 0.25,
    templated: Share = 0.2,
    plain: Share = 0.2,
    width: Annotated[int, typer.Option(help="Of a model from scratch.")] = 256,
    layers: Annotated[int, typer.Option(help="Of its encoder and of its decoder.")] = 3,
    dropout: Annotated[float, typer.Option(help="Of a model from scratch.")] = 0.0,
    dev_limit: Annotated[int, typer.Option(help="Dev questions that are scored.")] = 500,
    every: Annotated[int, typer.Option(help="Steps between two scores and checkpoints.")] = 500,
    patience: Annotated[int, typer.Option(help="Scores without a better one to stop at.")] = 10,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from a checkpoint.")] = False,
    device: Device = "auto",
    threads: Threads = None,
    seed: Annotated[int, typer.Option(help="Same seed, same model (on one machine).")] = 0,
) -> None:
    """Train a small encoder-decoder to find the keys of an index that answer questions."""
    import torch

    from ergotext.tasks.training.examples import Shares
    from ergotext.tasks.training.run import InterruptedRunError
    from ergotext.tasks.training.seq2seq.train import train as run
    from ergotext.tasks.training.settings import Settings, Shape

    if threads is not None:
        torch.set_num_threads(threads)
    settings = Settings(
        steps, batch_size, learning_rate, warm_up, cool_down, objective.value, rivals, radius, seed,
        dev_limit, every, patience, Shares(real, renamed, swapped, templated, plain),
        Shape(width, 2 * width, layers, max(1, width // 64), dropout),
    )  # fmt: skip
    try:
        report(
            run(
                questions, dev, index, output, settings, templates=templates or (), start=start,
                minutes=minutes, device=device, resume=resume,
            )
        )  # fmt: skip
    except InterruptedRunError as error:
        raise Interrupted(str(error)) from error


def train_lookahead(
    questions: Annotated[Path, typer.Argument(help="Training questions, JSON lines.")],
    dev: Annotated[Path, typer.Option(help="Questions that are scored on the way.")],
    index: Annotated[Path, typer.Option("-i", "--index", help="The base, an index of triples.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Folder of the model, or one of its own.")
    ],
    templates: Annotated[
        list[Path] | None,
        typer.Option(help="File of predicates and questions with {subject}; repeatable."),
    ] = None,
    synonyms: Annotated[
        list[Path] | None,
        typer.Option(help="File of words that mean the same, tabs between them; repeatable."),
    ] = None,
    start: Annotated[
        str | None, typer.Option(help="Model whose look-ahead to go on from; default from scratch.")
    ] = None,
    steps: Annotated[int, typer.Option(help="Batches.")] = 8000,
    batch_size: Annotated[int, typer.Option(help="Questions in a batch.")] = 32,
    learning_rate: Annotated[float, typer.Option(help="The highest.")] = 1e-3,
    templated: Share = 0.3,
    width: Annotated[int, typer.Option(help="Of a character's embedding, from scratch.")] = 96,
    every: Annotated[int, typer.Option(help="Steps between two scores and checkpoints.")] = 1000,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint.")] = False,
    device: Device = "auto",
    threads: Threads = None,
    seed: Annotated[int, typer.Option(help="Same seed, same weights (on one machine).")] = 0,
) -> None:
    """Train the look-ahead of a retriever: what tells which predicate a question asks for."""
    import torch

    from ergotext.tasks.training.lookahead.fit import Recipe
    from ergotext.tasks.training.lookahead.train import train_lookahead as run
    from ergotext.tasks.training.run import InterruptedRunError

    if threads is not None:
        torch.set_num_threads(threads)
    recipe = Recipe(steps, batch_size, learning_rate, width=width, templated=templated, seed=seed)
    try:
        report(
            run(
                questions, dev, index, output, recipe, templates=templates or (),
                synonyms=synonyms or (), start=start, every=every, device=device, resume=resume,
            )
        )  # fmt: skip
    except InterruptedRunError as error:
        raise Interrupted(str(error)) from error
