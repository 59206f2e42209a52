"""The command ``ergotext train``; the work is done in ``ergotext.tasks.training``."""

from __future__ import annotations

from functools import partial

from ergotext.commands.console import Interrupted, report
from ergotext.commands.groups import TrainingFiles, grouped
from ergotext.commands.train_options import (
    EncoderDecoderOptions,
    EvaluationOptions,
    ExampleOptions,
    LookAheadOptions,
    RunOptions,
    ShapeOptions,
    settings_of,
)
from ergotext.support.threads import use_threads


@grouped
def train(
    *,
    files: TrainingFiles,
    run: RunOptions,
    evaluation: EvaluationOptions,
    model: EncoderDecoderOptions,
    lookahead: LookAheadOptions,
    examples: ExampleOptions,
    shape: ShapeOptions,
) -> None:
    """Train a retriever for an index, by questions about it.

    Makes all that retrieve needs: the model, its look-ahead, and calibrated probabilities. Says in
    the end whether the result is better than the included model.
    """
    files.check()
    settings = settings_of(run, evaluation, model, examples, shape)
    recipe = lookahead.recipe(run, evaluation)
    # What is wrong was said before torch is imported, which takes seconds.
    from ergotext.tasks.training.retriever.train import train_part, train_retriever
    from ergotext.tasks.training.run import InterruptedRunError

    use_threads(run.threads)
    trained = train_retriever if run.only is None else partial(train_part, run.only.value)
    try:
        report(
            trained(
                files.questions, files.index, files.output, files.dev, start=run.start,
                settings=settings, recipe=recipe, templates=files.templates or (),
                synonyms=files.synonyms or (), minutes=run.minutes, device=run.device,
                resume=run.resume,
            )
        )  # fmt: skip
    except InterruptedRunError as error:
        raise Interrupted(str(error)) from error
