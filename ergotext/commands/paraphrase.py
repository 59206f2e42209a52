"""The command ``ergotext paraphrase``; the work is done in ``ergotext.tasks.paraphrase``."""

from __future__ import annotations

from typing import Annotated

import typer

from ergotext.commands.console import Output
from ergotext.commands.options import (
    FLOAT32,
    AsJson,
    Chains,
    Count,
    Device,
    Dtype,
    Model,
    OutFile,
    Seconds,
    Seed,
    Steps,
    Threads,
)
from ergotext.commands.texts import load, show


def paraphrase(
    text: Annotated[str, typer.Argument(help="The text to paraphrase.")],
    count: Count = 3,
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
    model: Model = "smollm2",
    dtype: Dtype = FLOAT32,
    device: Device = "auto",
    threads: Threads = None,
    seed: Seed = 0,
    as_json: AsJson = False,
    output: OutFile = None,
) -> None:
    """Say a text in other words.

    Paraphrases are fluent, close in meaning and worded differently.
    """
    emit = Output(output)
    from ergotext.tasks import paraphrase as task
    from ergotext.tasks.budget import Budget

    budget = Budget("annealing", None, chains, steps, max_seconds, seed)
    encoder = task.encoder_for(text, similarity)
    loaded = load(model, device, dtype.value, threads)
    result = task.paraphrase(text, loaded, budget, encoder=encoder)
    found = task.others(result, text.strip(), count)
    with emit:
        show(emit, result, found, dtype, task.as_json(found, text, emit.ascii_only), as_json)
