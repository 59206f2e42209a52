"""The command ``ergotext infill``; the work is done in ``ergotext.tasks.infill``."""

from __future__ import annotations

from typing import Annotated

import typer

from ergotext.commands.console import Output, standard_input
from ergotext.commands.options import (
    FLOAT32,
    SMC,
    AsJson,
    Context,
    Count,
    Device,
    Dtype,
    Model,
    OutFile,
    Particles,
    Seconds,
    Seed,
    Threads,
    Writer,
)
from ergotext.commands.texts import load, show


def infill(
    text: Annotated[
        str,
        typer.Argument(
            help="Text with blanks: ___ is one or more words, ___{2} two, ___{1,3} one to three. "
            "Or - to read such texts from standard input, one per line."
        ),
    ],
    count: Count = 3,
    sampler: Writer = SMC,
    particles: Particles = None,
    chains: Annotated[
        int | None, typer.Option(min=1, help="Chains of annealing and mh (8), run in parallel.")
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Steps per chain of annealing and mh (150).")
    ] = None,
    context: Context = None,
    max_seconds: Seconds = None,
    model: Model = "smollm2",
    dtype: Dtype = FLOAT32,
    device: Device = "auto",
    threads: Threads = None,
    seed: Seed = 0,
    as_json: AsJson = False,
    output: OutFile = None,
) -> None:
    """Fill the blanks of a text.

    The rest is kept word for word.
    """
    emit = Output(output)
    from ergotext.tasks import infill as task
    from ergotext.tasks.budget import Budget
    from ergotext.tasks.selection import chosen

    texts = task.lines(standard_input()) if text == "-" else [text]
    task.check_texts(texts)
    budget = Budget(sampler.value, particles, chains, steps, max_seconds, seed)
    loaded = load(model, device, dtype.value, threads)
    results = task.infill_all(texts, loaded, budget, context=context)
    with emit:
        for one, result in zip(texts, results, strict=True):
            best = chosen(result, count)
            show(emit, result, best, dtype, task.as_json(best, one, emit.ascii_only), as_json)
