"""The command ``ergotext train``; the work is done in ``ergotext.tasks.training.seq2seq``."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum
from math import isnan, nan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from ergotext.commands.console import Interrupted, report
from ergotext.commands.groups import TrainingFiles, grouped
from ergotext.commands.options import Device, Threads
from ergotext.support.threads import use_threads

if TYPE_CHECKING:
    from ergotext.tasks.training.examples import Shares
    from ergotext.tasks.training.settings import Settings, Shape


class ObjectiveName(StrEnum):
    """Training objectives."""

    cross_entropy = "cross-entropy"
    listwise = "listwise"
    policy = "policy"
    zeroth_order = "zeroth-order"


CROSS_ENTROPY = ObjectiveName.cross_entropy


@dataclass(frozen=True)
class ScheduleOptions:
    """How long a run is, and its learning rate."""

    TITLE: ClassVar = "Schedule"
    steps: Annotated[int, typer.Option(help="Number of training steps, one batch each.")] = 20_000
    minutes: Annotated[float | None, typer.Option(help="Time limit in minutes.")] = None
    batch_size: Annotated[int, typer.Option(help="Batch size.")] = 32
    learning_rate: Annotated[float, typer.Option(help="Peak learning rate.")] = 1e-3
    warm_up: Annotated[float, typer.Option(help="Fraction of the steps spent on warm-up.")] = 0.02
    cool_down: Annotated[float, typer.Option(help="Fraction of the steps spent on cool-down.")] = (
        0.3
    )


@dataclass(frozen=True)
class ExampleOptions:
    """What is learned from each example, and which examples there are."""

    TITLE: ClassVar = "Examples of training"
    rivals: Annotated[
        int, typer.Option(help="Maximum number of keys to choose among (listwise).")
    ] = 16
    radius: Annotated[float, typer.Option(help="Perturbation size of zeroth-order steps.")] = 1e-3
    mix: Annotated[
        str,
        typer.Option(
            metavar="NAME=SHARE,…",
            help="Mix of training examples; kinds that are not named get a share of 0.",
        ),
    ] = "real=0.2,renamed=0.15,swapped=0.25,template=0.2,plain=0.2"

    def shares(self) -> Shares:
        """Read NAME=SHARE,…; kinds that are not named get 0."""
        from ergotext.tasks.training.examples import Shares

        known = [field.name for field in fields(Shares)]
        shares = dict.fromkeys(known, 0.0)
        for part in self.mix.split(","):
            name, _, share = (side.strip() for side in part.partition("="))
            try:
                number = float(share)
            except ValueError:
                number = nan
            if name not in shares or isnan(number):
                raise typer.BadParameter(
                    f"{part.strip()!r:.60} is not NAME=SHARE with a name of {', '.join(known)}",
                    param_hint="--mix",
                )
            shares[name] = number
        return Shares(**shares)


@dataclass(frozen=True)
class ShapeOptions:
    """The sizes of a new model."""

    TITLE: ClassVar = "New model"
    width: Annotated[int, typer.Option(help="Hidden size of a new model.")] = 256
    layers: Annotated[
        int, typer.Option(help="Layers of the encoder, and of the decoder, of a new model.")
    ] = 3
    dropout: Annotated[float, typer.Option(help="Dropout of a new model.")] = 0.0

    def shape(self) -> Shape:
        """The same for the task: four times as wide inside, a head for each 64 units."""
        from ergotext.tasks.training.settings import Shape

        return Shape(
            self.width, 2 * self.width, self.layers, max(1, self.width // 64), self.dropout
        )


@dataclass(frozen=True)
class EvaluationOptions:
    """When the dev questions are scored, and what ends a run early."""

    TITLE: ClassVar = "Evaluation"
    dev_limit: Annotated[int, typer.Option(help="Number of dev questions to evaluate.")] = 500
    every: Annotated[int, typer.Option(help="Steps between evaluations and checkpoints.")] = 500
    patience: Annotated[
        int, typer.Option(help="Early-stopping patience: evaluations without improvement.")
    ] = 10


@grouped
def train(
    *,
    files: TrainingFiles,
    output: Annotated[Path, typer.Option("-o", "--output", help="Output folder for the model.")],
    objective: Annotated[
        ObjectiveName,
        typer.Option(
            help="Training objective. listwise adds a choice among the keys of a question; policy "
            "and zeroth-order optimise the expected score directly and need a trained model "
            "(--start)."
        ),
    ] = CROSS_ENTROPY,
    start: Annotated[
        str | None, typer.Option(help="Encoder-decoder to start from. [a new model]")
    ] = None,
    schedule: ScheduleOptions,
    examples: ExampleOptions,
    shape: ShapeOptions,
    evaluation: EvaluationOptions,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue from the last checkpoint.")
    ] = False,
    device: Device = "auto",
    threads: Threads = None,
    seed: Annotated[
        int, typer.Option(help="Random seed; on one machine, the same seed gives the same model.")
    ] = 0,
) -> None:
    """Train a retriever for an index.

    The model is an encoder-decoder that answers questions with the keys of the index.
    """
    settings = _settings(objective, schedule, examples, shape, evaluation, seed)
    files.check()
    # What is wrong was said before torch is imported, which takes seconds.
    from ergotext.tasks.training.run import InterruptedRunError
    from ergotext.tasks.training.seq2seq.train import train as run

    use_threads(threads)
    try:
        report(
            run(
                files.questions, files.dev, files.index, output, settings,
                templates=files.templates or (), start=start, minutes=schedule.minutes,
                device=device, resume=resume,
            )
        )  # fmt: skip
    except InterruptedRunError as error:
        raise Interrupted(str(error)) from error


def _settings(
    objective: ObjectiveName,
    schedule: ScheduleOptions,
    examples: ExampleOptions,
    shape: ShapeOptions,
    evaluation: EvaluationOptions,
    seed: int,
) -> Settings:
    from ergotext.tasks.training.settings import Settings

    return Settings(
        schedule.steps, schedule.batch_size, schedule.learning_rate, schedule.warm_up,
        schedule.cool_down, objective.value, examples.rivals, examples.radius, seed,
        evaluation.dev_limit, evaluation.every, evaluation.patience, examples.shares(),
        shape.shape(),
    )  # fmt: skip
