"""The command ``ergotext paraphrase``; the work is done in ``ergotext.tasks.paraphrase``."""

from __future__ import annotations

from typing import Annotated

import typer

from ergotext.commands.console import Output
from ergotext.commands.groups import ModelOptions, OutputOptions, grouped
from ergotext.commands.options import Chains, Seconds, Seed, Steps
from ergotext.commands.texts import show


@grouped
def paraphrase(
    text: Annotated[str, typer.Argument(help="The text to paraphrase.")],
    chains: Chains = 8,
    steps: Steps = 300,
    similarity: Annotated[
        str,
        typer.Option(
            help="Measure of similarity: minilm, a folder or hub id of a sentence encoder, or "
            "words (word overlap). auto: minilm where it is installed and the text suits it."
        ),
    ] = "auto",
    max_seconds: Seconds = None,
    seed: Seed = 0,
    *,
    lm: ModelOptions,
    shown: OutputOptions,
) -> None:
    """Say a text in other words.

    Paraphrases are fluent, close in meaning and worded differently.
    """
    emit = Output(shown.output)
    from ergotext.tasks import paraphrase as task
    from ergotext.tasks.budget import Budget

    budget = Budget("annealing", None, chains, steps, max_seconds, seed)
    encoder = task.encoder_for(text, similarity)
    result = task.paraphrase(text, lm.load(), budget, encoder=encoder)
    found = task.others(result, text.strip(), shown.count)
    with emit:
        records = task.as_json(found, text, emit.ascii_only)
        show(emit, result, found, lm.dtype, records, shown.as_json)
