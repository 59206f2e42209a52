"""The command ``ergotext paraphrase``; the work is done in ``ergotext.tasks.paraphrase``."""

from __future__ import annotations

from typing import Annotated

import typer

from ergotext.commands.console import Output
from ergotext.commands.groups import ModelOptions, OutputOptions, SearchOptions, grouped
from ergotext.commands.texts import show


@grouped
def paraphrase(
    text: Annotated[str, typer.Argument(help="The text to paraphrase.")],
    similarity: Annotated[
        str,
        typer.Option(
            help="Measure of similarity: minilm, a folder or hub id of a sentence encoder, or "
            "words (word overlap). auto: minilm where it is installed and the text suits it."
        ),
    ] = "auto",
    least: Annotated[
        float | None,
        typer.Option(
            "--min-similarity", help="Least similarity, 0 to 1 (a cosine of 0.8; 0.3 of words)."
        ),
    ] = None,
    *,
    search: SearchOptions,
    lm: ModelOptions,
    shown: OutputOptions,
) -> None:
    """Say a text in other words.

    Paraphrases are fluent, close in meaning and worded differently. smc keeps names, numbers and
    quotations.
    """
    emit = Output(shown.output)
    from ergotext.tasks import paraphrase as task

    budget = search.budget(shown.count)
    encoder = task.encoder_for(text, similarity)
    result = task.paraphrase(text, lm.load(), budget, encoder=encoder, least=least)
    found = task.others(result, text.strip(), shown.count)
    with emit:
        records = task.as_json(found, text, result, emit.ascii_only)
        notes = task.notes(found, result)
        show(emit, result, found, lm.dtype, records, shown.as_json, notes)
    if not found:
        typer.echo(f"warning: {task.NOTHING_ELSE}", err=True)
