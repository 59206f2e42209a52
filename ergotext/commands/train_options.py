"""Options of ``ergotext train``, in groups."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum
from math import isnan, nan
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from ergotext.commands.options import Device, Threads

if TYPE_CHECKING:
    from ergotext.tasks.training.examples import Shares
    from ergotext.tasks.training.lookahead.recipe import Recipe
    from ergotext.tasks.training.settings import Settings, Shape


class PartName(StrEnum):
    """Parts of a retriever that can be trained alone."""

    model = "model"
    lookahead = "lookahead"


class ObjectiveName(StrEnum):
    """Training objectives."""

    cross_entropy = "cross-entropy"
    listwise = "listwise"
    policy = "policy"
    zeroth_order = "zeroth-order"


INCLUDED = "tiny-retriever"


@dataclass(frozen=True)
class RunOptions:
    """Where training starts, how long it takes, and where it runs."""

    TITLE: ClassVar = "Run"
    start: Annotated[
        str,
        typer.Option(
            help="What to start from: a retriever, another encoder-decoder (T5, mT5, BART), or "
            "new. The index must have its tokenizer, or none."
        ),
    ] = INCLUDED
    minutes: Annotated[
        float | None, typer.Option(help="Time limit in minutes, of all parts together.")
    ] = None
    resume: Annotated[bool, typer.Option("--resume", help="Continue from the last checkpoint.")] = (
        False
    )
    only: Annotated[
        PartName | None, typer.Option(help="Train only this part, and fit and compare nothing.")
    ] = None
    device: Device = "auto"
    threads: Threads = None
    seed: Annotated[
        int, typer.Option(help="Random seed; on one machine, the same seed gives the same model.")
    ] = 0


@dataclass(frozen=True)
class EncoderDecoderOptions:
    """How the encoder-decoder is trained."""

    TITLE: ClassVar = "Encoder-decoder"
    objective: Annotated[
        ObjectiveName | None,
        typer.Option(
            help="Training objective. listwise adds a choice among the keys of a question; policy "
            "and zeroth-order optimise the expected score directly and need a trained model "
            "(--start). [listwise; cross-entropy for a new model]"
        ),
    ] = None
    steps: Annotated[
        int | None,
        typer.Option(help="Number of training steps, one batch each. [400; 20000 for a new model]"),
    ] = None
    learning_rate: Annotated[
        float | None, typer.Option(help="Peak learning rate. [1e-4; 1e-3 for a new model]")
    ] = None
    warm_up: Annotated[
        float | None,
        typer.Option(help="Fraction of the steps spent on warm-up. [0.1; 0.02 for a new model]"),
    ] = None
    cool_down: Annotated[float, typer.Option(help="Fraction of the steps spent on cool-down.")] = (
        0.3
    )


@dataclass(frozen=True)
class EvaluationOptions:
    """Batches of both networks, and when they are scored."""

    TITLE: ClassVar = "Both networks"
    batch_size: Annotated[
        int | None,
        typer.Option(help="Batch size. [8 for the encoder-decoder and 32; 32 for new ones]"),
    ] = None
    every: Annotated[
        int | None,
        typer.Option(
            help="Steps between evaluations and checkpoints. [50; 500 and 1000 for new ones]"
        ),
    ] = None
    patience: Annotated[
        int | None,
        typer.Option(
            help="Early-stopping patience: evaluations without improvement. [3 and 6; 10 and none "
            "for new ones]"
        ),
    ] = None
    dev_limit: Annotated[
        int, typer.Option(help="Number of held-out questions that the encoder-decoder answers.")
    ] = 500


@dataclass(frozen=True)
class LookAheadOptions:
    """How the look-ahead is trained."""

    TITLE: ClassVar = "Look-ahead"
    lookahead_steps: Annotated[
        int | None,
        typer.Option(help="Number of training steps, one batch each. [1500; 8000 for a new one]"),
    ] = None
    lookahead_learning_rate: Annotated[
        float | None, typer.Option(help="Peak learning rate. [3e-4; 1e-3 for a new one]")
    ] = None
    templated: Annotated[
        float, typer.Option(min=0.0, help="Share of examples made from templates.")
    ] = 0.3
    lookahead_width: Annotated[
        int, typer.Option(help="Width of the character embeddings of a new look-ahead.")
    ] = 96

    def recipe(self, run: RunOptions, evaluation: EvaluationOptions) -> Recipe:
        """Settings of the look-ahead; InputError if a number is out of its range."""
        from ergotext.tasks.training.retriever.defaults import recipe_for

        return recipe_for(
            run.start, steps=self.lookahead_steps, batch_size=evaluation.batch_size,
            learning_rate=self.lookahead_learning_rate, width=self.lookahead_width,
            templated=self.templated, seed=run.seed, every=evaluation.every,
            patience=evaluation.patience,
        )  # fmt: skip


@dataclass(frozen=True)
class ExampleOptions:
    """What is learned from each example, and which examples there are."""

    TITLE: ClassVar = "Examples of training"
    rivals: Annotated[
        int | None,
        typer.Option(
            help="Maximum number of keys to choose among (listwise). [8; 16 for a new model]"
        ),
    ] = None
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


def settings_of(
    run: RunOptions,
    evaluation: EvaluationOptions,
    model: EncoderDecoderOptions,
    examples: ExampleOptions,
    shape: ShapeOptions,
) -> Settings:
    """Settings of the encoder-decoder; InputError if a number is out of its range."""
    from ergotext.tasks.training.retriever.defaults import settings_for

    return settings_for(
        run.start, steps=model.steps, batch_size=evaluation.batch_size,
        learning_rate=model.learning_rate, warm_up=model.warm_up, cool_down=model.cool_down,
        objective=None if model.objective is None else model.objective.value,
        rivals=examples.rivals, radius=examples.radius, seed=run.seed,
        dev_limit=evaluation.dev_limit, every=evaluation.every, patience=evaluation.patience,
        shares=examples.shares(), shape=shape.shape(),
    )  # fmt: skip
