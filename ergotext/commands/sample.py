"""The command ``ergotext sample``; the work is done in ``ergotext.tasks.sample``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ergotext.commands.console import Interrupted, Output
from ergotext.commands.options import DtypeName, Threads
from ergotext.commands.texts import load

if TYPE_CHECKING:
    pass


def sample(
    config: Annotated[
        Path | None, typer.Option(help="TOML file of options; flags override it.")
    ] = None,
    sampler: Annotated[
        str | None,
        typer.Option(
            help="Sampler: ais, annealing, gibbs, importance, independence, mh, mlm-gibbs, mlm-mh, "
            "particle-gibbs, pimh, rejection, rewrite, smc, stochastic-beam, suffix, tempering; or "
            "your own, file.py:Class. [smc with keywords, a regex or a schema, else mh]"
        ),
    ] = None,
    n: Annotated[
        int | None,
        typer.Option(
            "-n", min=1, help="Number of texts; for a weighted sampler, of draws or particles. [64]"
        ),
    ] = None,
    chains: Annotated[
        int | None, typer.Option(min=1, help="Number of chains, run in parallel. [8]")
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Steps per chain. [300]")] = None,
    option: Annotated[
        list[str] | None,
        typer.Option("--option", help="Option of the sampler, NAME=VALUE; repeatable."),
    ] = None,
    keyword: Annotated[
        list[str] | None,
        typer.Option("--keyword", help="Word that must occur; repeatable, in this order."),
    ] = None,
    length: Annotated[float | None, typer.Option(help="Mean length in tokens.")] = None,
    regex: Annotated[
        str | None, typer.Option(help="Regular expression that the whole text must match.")
    ] = None,
    json_schema: Annotated[
        str | None,
        typer.Option(help="JSON schema that the text must satisfy, or the file with it."),
    ] = None,
    masked: Annotated[
        str | None,
        typer.Option(help="Masked model for the proposals of mlm-gibbs and mlm-mh: tiny-masked, …"),
    ] = None,
    context: Annotated[
        str | None, typer.Option(help="Text to condition on, not shown in the output. ['']")
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            help="Initial text of the chains; gibbs and the samplers with a masked model keep its "
            "number of tokens."
        ),
    ] = None,
    max_length: Annotated[
        int | None, typer.Option(min=1, help="Maximum length in tokens. [40]")
    ] = None,
    max_seconds: Annotated[
        float | None, typer.Option(help="Time limit of the chains in seconds.")
    ] = None,
    r_hat: Annotated[
        float | None, typer.Option(help="Stop once R-hat falls below this, such as 1.01.")
    ] = None,
    checkpoint: Annotated[
        str | None, typer.Option(help="Save the state of the chains to this file.")
    ] = None,
    every: Annotated[
        int | None, typer.Option(min=1, help="Steps between checkpoints. [100]")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue from the checkpoint.")] = False,
    model: Annotated[
        str | None,
        typer.Option(help="Model: a bundled name, folder, .gguf file or hub id. [smollm2]"),
    ] = None,
    dtype: Annotated[
        DtypeName | None, typer.Option(help="Number format of the model. [float32]")
    ] = None,
    device: Annotated[str | None, typer.Option(help="Device: auto, cpu or cuda. [auto]")] = None,
    threads: Threads = None,
    seed: Annotated[
        int | None,
        typer.Option(min=0, help="Random seed; the same seed gives the same output. [0]"),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(help="Save a plot of the chains' energy traces and ranks to this .png."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="Output file; the settings of the run are saved beside it (….run.toml).",
        ),
    ] = None,
) -> None:
    """Sample texts from any energy with any sampler.

    Prints JSON lines.

    Chains give draws of equal weight. Weighted samplers (importance, rejection, smc, ais,
    stochastic-beam) give each draw a "log_weight".
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
    beside = task.beside(output) if emit.path is not None else None
    task.check(told, resume=resume, plot=plot, others=[config, output, beside])
    lm = load(told["model"], told["device"], told["dtype"], told.get("threads"))
    try:
        result = task.sample_by(told, lm, resume=resume)
    except KeyboardInterrupt:
        if (said := task.nothing_kept(told["sampler"])) is None:
            raise
        raise Interrupted(said) from None
    record = Output(beside)
    with emit, record:
        emit(task.as_json(task.texts_of(result, told.get("n")), emit.ascii_only))
        if record.path is not None:
            record(task.saved(told, result))
    if plot is not None:
        task.draw(result, plot)
    for line in (*why, *task.complaints(result, told["dtype"])):
        typer.echo(line, err=True)
    if task.interrupted(result):
        raise Interrupted("interrupted; the results so far are kept")
