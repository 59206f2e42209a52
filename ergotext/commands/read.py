"""The command ``ergotext read``; the work is done in ``ergotext.tasks.read``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ergotext.commands.console import Output, standard_input
from ergotext.commands.options import FLOAT32, AsJson, Device, Dtype, OutFile, Threads
from ergotext.commands.texts import check_model
from ergotext.support.bars import busy
from ergotext.support.threads import use_threads


def read(
    passage: Annotated[Path, typer.Argument(help="A text file, or - for standard input.")],
    question: Annotated[str, typer.Argument(help="The question to answer.")],
    count: Annotated[int, typer.Option("-k", min=1, help="Number of answers to show.")] = 3,
    beams: Annotated[int, typer.Option(min=1, help="Beam width.")] = 10,
    max_length: Annotated[
        int, typer.Option(min=1, help="Maximum length of an answer in tokens.")
    ] = 64,
    prompt: Annotated[
        str | None,
        typer.Option(help="Prompt template with {passage} and {question}."),
    ] = None,
    model: Annotated[
        str, typer.Option(help="Model: smollm2, gemma3-270m, a folder, a .gguf file or a hub id.")
    ] = "smollm2",
    dtype: Dtype = FLOAT32,
    device: Device = "auto",
    threads: Threads = None,
    as_json: AsJson = False,
    output: OutFile = None,
) -> None:
    """Answer a question with spans quoted from a passage."""
    emit = Output(output, passage)
    from ergotext.tasks.given import check_question, passage_at

    text = standard_input() if str(passage) == "-" else passage_at(passage)
    check_question(text, question, count, beams)
    check_model(model, device)
    # What is wrong was said before torch is imported, which takes seconds.
    with busy("starting"):
        from ergotext.lm.loading import load
        from ergotext.tasks import read as task

    use_threads(threads)
    reader = task.SpanReader(load(model, device=device, dtype=dtype.value), prompt=prompt)
    reading = reader.read(text, question, k=count, beams=beams, max_length=max_length)
    with emit:
        if as_json and reading.answers:
            emit(task.as_json(reading, question, emit.ascii_only))
        elif not as_json:
            emit(task.as_text(reading))
    if as_json:
        typer.echo(task.how(reading), err=True)
