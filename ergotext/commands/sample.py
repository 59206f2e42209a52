"""``ergotext sample``; what it does is in ``ergotext.tasks.sample``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ergotext.commands.console import Interrupted, Output
from ergotext.commands.model import load
from ergotext.commands.options import DtypeName, Threads

if TYPE_CHECKING:
    pass


def sample(
    config: Annotated[
        Path | None, typer.Option(help="TOML file with these options' names; flags go before it.")
    ] = None,
    sampler: Annotated[
        str | None,
        typer.Option(
            help="mh, annealing, smc, … or file.py:Class. [smc with a regex or schema, or mh]"
        ),
    ] = None,
    n: Annotated[
        int | None,
        typer.Option("-n", min=1, help="Texts; draws or particles of a weighted sampler. [64]"),
    ] = None,
    chains: Annotated[int | None, typer.Option(min=1, help="Chains side by side. [8]")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Steps of each chain. [300]")] = None,
    option: Annotated[
        list[str] | None, typer.Option("--option", help="NAME=VALUE of the sampler; repeatable.")
    ] = None,
    keyword: Annotated[
        list[str] | None, typer.Option("--keyword", help="Must occur; repeatable, in order.")
    ] = None,
    length: Annotated[float | None, typer.Option(help="Mean length in tokens.")] = None,
    regex: Annotated[str | None, typer.Option(help="What the whole text must match.")] = None,
    json_schema: Annotated[
        str | None, typer.Option(help="What the text must be JSON of: a schema, or its file.")
    ] = None,
    masked: Annotated[
        str | None,
        typer.Option(help="Masked model that mlm-gibbs and mlm-mh propose by: tiny-masked, …"),
    ] = None,
    context: Annotated[
        str | None, typer.Option(help="Text that stands before and is not shown. ['']")
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            help="Text that chains start from; gibbs and the chains of a masked model keep its "
            "number of tokens."
        ),
    ] = None,
    max_length: Annotated[
        int | None, typer.Option(min=1, help="Longest text in tokens. [40]")
    ] = None,
    max_seconds: Annotated[float | None, typer.Option(help="Time limit of chains.")] = None,
    r_hat: Annotated[
        float | None, typer.Option(help="Stop chains when they agree so far, such as 1.01.")
    ] = None,
    checkpoint: Annotated[
        str | None, typer.Option(help="Keep the run of chains in this file.")
    ] = None,
    every: Annotated[
        int | None, typer.Option(min=1, help="Steps between checkpoints. [100]")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint.")] = False,
    model: Annotated[
        str | None, typer.Option(help="Bundled name, folder, .gguf file or hub id. [smollm2]")
    ] = None,
    dtype: Annotated[DtypeName | None, typer.Option(help="[float32]")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu or cuda. [auto]")] = None,
    threads: Threads = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Same seed, same output. [0]")] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Draw energy traces and ranks of chains here (.png).")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Write here, and what the run was to …run.toml."),
    ] = None,
) -> None:
    """Sample texts, one JSON object a line: any sampler over any energy.

    The lines of chains are draws of equal weight. Those of weighted samplers (importance,
    rejection, smc, ais, stochastic-beam) are draws with a "log_weight": each stands for exp of it.
    """
    emit = Output(output)
    from ergotext.tasks import config as table
    from ergotext.tasks import sample as task
    from ergotext.tasks.default_sampler import with_sampler

    told = table.read(
        config,
        {
            "sampler": sampler,
            "n": n,
            "chains": chains,
            "steps": steps,
            "context": context,
            "start": start,
            "max_length": max_length,
            "max_seconds": max_seconds,
            "r_hat": r_hat,
            "checkpoint": checkpoint,
            "every": every,
            "model": model,
            "device": device,
            "dtype": dtype and dtype.value,
            "threads": threads,
            "seed": seed,
            "energy": table.energy(keyword, length, regex, json_schema, masked),
            "options": dict(map(table.option, option or [])),
        },
    )
    others = ["plot"] * (plot is not None) + ["resume"] * resume
    told, why = with_sampler(told, *others)
    task.check(told, resume=resume, plot=plot, others=[config, output, task.beside(output)])
    lm = load(told["model"], told["device"], told["dtype"], told.get("threads"))
    try:
        result = task.sample_by(told, lm, resume=resume)
    except KeyboardInterrupt:
        if (said := task.nothing_kept(told["sampler"])) is None:
            raise
        raise Interrupted(said) from None
    record = Output(task.beside(output))
    with emit, record:
        emit(task.as_json(task.texts_of(result, told.get("n")), emit.ascii_only))
        if record.path is not None:
            record(task.saved(told, result))
    if plot is not None:
        task.draw(result, plot)
    for line in (*why, *task.complaints(result, told["dtype"])):
        typer.echo(line, err=True)
    if task.interrupted(result):
        raise Interrupted("interrupted; what was found is kept")
