"""The command ``ergotext write``; the work is done in ``ergotext.tasks.write``."""

from __future__ import annotations

from typing import Annotated

import typer

from ergotext.commands.console import Output, standard_input
from ergotext.commands.options import (
    ANNEALING,
    FLOAT32,
    AsJson,
    Chains,
    Context,
    Count,
    Device,
    Dtype,
    Model,
    OutFile,
    Sampler,
    Seconds,
    Seed,
    Steps,
    Threads,
)
from ergotext.commands.texts import load, show


def write(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="KEYWORD...",
            help="Words that must occur verbatim, or - to read keyword sets from standard input, "
            "one JSON list of strings per line.",
        ),
    ],
    count: Count = 3,
    chains: Chains = 8,
    steps: Steps = 300,
    sampler: Sampler = ANNEALING,
    length: Annotated[int, typer.Option(min=1, help="Mean length in tokens.")] = 14,
    context: Context = None,
    max_length: Annotated[int, typer.Option(min=1, help="Maximum length in tokens.")] = 40,
    max_seconds: Seconds = None,
    any_order: Annotated[
        bool, typer.Option("--any-order", help="Allow the keywords in any order.")
    ] = False,
    model: Model = "smollm2",
    dtype: Dtype = FLOAT32,
    device: Device = "auto",
    threads: Threads = None,
    seed: Seed = 0,
    as_json: AsJson = False,
    output: OutFile = None,
) -> None:
    """Write fluent sentences that contain every keyword."""
    emit = Output(output)
    from ergotext.tasks import write as task

    if "-" in words and len(words) > 1:
        raise typer.BadParameter(
            "- (keyword sets from standard input) cannot be combined with other keywords",
            param_hint="KEYWORD",
        )
    sets = task.parse_keyword_sets(standard_input()) if words == ["-"] else [words]
    task.check_sets(sets)
    budget = task.Budget(sampler.value, chains, steps, max_seconds, seed)
    results = task.write_all(
        sets,
        load(model, device, dtype.value, threads),
        budget,
        context=context,
        mean_length=length,
        max_length=max_length,
        any_order=any_order,
    )
    with emit:
        for one, result in zip(sets, results, strict=True):
            best = result.best(count)
            show(emit, result, best, dtype, task.as_json(best, one, emit.ascii_only), as_json)
