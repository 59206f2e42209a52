"""The command line: one function a subcommand; what they do is in ``ergotext.tasks``."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from ergotext.cli_index import index
from ergotext.console import Interrupted, Output, quit_by_signals, run, standard_input

if TYPE_CHECKING:
    from ergotext.lm.causal import CausalLM
    from ergotext.lm.loading import Dtype

app = typer.Typer(
    name="ergotext",
    help="Text as a sample from an energy.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.add_typer(index, name="index")


class SamplerName(StrEnum):
    """Samplers that can write."""

    annealing = "annealing"
    mh = "mh"


class DtypeName(StrEnum):
    """Number formats of the model."""

    float32 = "float32"
    bfloat16 = "bfloat16"


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version as installed

        typer.echo(f"ergotext {installed('ergotext')}")
        raise typer.Exit


@app.callback()
def ergotext(
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Text as a sample from an energy."""


@app.command()
def version() -> None:
    """Print the version."""
    _version(asked=True)


@app.command()
def write(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="KEYWORD...",
            help="Words that must occur verbatim; or -: keyword sets from stdin, "
            "one JSON list of strings a line.",
        ),
    ],
    count: Annotated[int, typer.Option("-n", min=1, help="Sentences to show.")] = 3,
    chains: Annotated[int, typer.Option(min=1, help="Chains run side by side.")] = 8,
    steps: Annotated[int, typer.Option(min=1, help="Steps of each chain.")] = 300,
    sampler: Annotated[
        SamplerName, typer.Option(help="annealing: look for the best; mh: sample.")
    ] = SamplerName.annealing,
    length: Annotated[int, typer.Option(min=1, help="Wanted length in tokens.")] = 14,
    context: Annotated[
        str | None,
        typer.Option(
            help="Text that stands before the sentence and is not shown; '' for none. "
            "By default a plain sentence about a quiet morning."
        ),
    ] = None,
    max_length: Annotated[int, typer.Option(min=1, help="Longest sentence in tokens.")] = 40,
    max_seconds: Annotated[
        float | None, typer.Option(help="Time limit for each keyword set.")
    ] = None,
    any_order: Annotated[
        bool, typer.Option("--any-order", help="Let keywords trade places.")
    ] = False,
    model: Annotated[
        str, typer.Option(help="smollm2, gemma3-270m, a folder, a .gguf file or a hub id.")
    ] = "smollm2",
    dtype: Annotated[
        DtypeName, typer.Option(help="bfloat16 is faster and approximate.")
    ] = DtypeName.float32,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    threads: Annotated[int | None, typer.Option(min=1, max=1024, help="CPU threads.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same output.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write here, not to stdout.")
    ] = None,
) -> None:
    """Write fluent sentences in which every keyword occurs."""
    emit = Output(output)
    from ergotext.tasks import write as task

    if "-" in words and len(words) > 1:
        raise typer.BadParameter("- (keyword sets from stdin) stands alone", param_hint="KEYWORD")
    sets = task.parse_keyword_sets(standard_input()) if words == ["-"] else [words]
    task.check_sets(sets)
    budget = task.Budget(sampler.value, chains, steps, max_seconds, seed)
    results = task.write_all(
        sets,
        _load(model, device, dtype.value, threads),
        budget,
        context=context,
        mean_length=length,
        max_length=max_length,
        any_order=any_order,
    )
    approximate = dtype is not DtypeName.float32
    with emit:
        for one, result in zip(sets, results, strict=True):
            best = result.best(count)
            if as_json:
                emit(task.as_json(best, one, emit.ascii_only))
                typer.echo(task.how(result, approximate), err=True)
            else:
                emit(task.as_text(result, best, approximate))
            if result.stopped == "interrupt":
                raise Interrupted("interrupted; the best so far is kept")


@app.command()
def infill(
    text: Annotated[
        str,
        typer.Argument(
            help="Text with blanks: ___ of one or more words, ___{2} of two, ___{1,3} of one to "
            "three; or -: such texts from stdin, one a line."
        ),
    ],
    count: Annotated[int, typer.Option("-n", min=1, help="Fillings to show.")] = 3,
    chains: Annotated[int, typer.Option(min=1, help="Chains run side by side.")] = 8,
    steps: Annotated[int, typer.Option(min=1, help="Steps of each chain.")] = 150,
    sampler: Annotated[
        SamplerName, typer.Option(help="annealing: look for the best; mh: sample.")
    ] = SamplerName.annealing,
    context: Annotated[
        str | None,
        typer.Option(help="Text that stands before and is not shown; '' for none."),
    ] = None,
    max_seconds: Annotated[float | None, typer.Option(help="Time limit for each text.")] = None,
    model: Annotated[
        str, typer.Option(help="smollm2, gemma3-270m, a folder, a .gguf file or a hub id.")
    ] = "smollm2",
    dtype: Annotated[
        DtypeName, typer.Option(help="bfloat16 is faster and approximate.")
    ] = DtypeName.float32,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    threads: Annotated[int | None, typer.Option(min=1, max=1024, help="CPU threads.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same output.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write here, not to stdout.")
    ] = None,
) -> None:
    """Fill the blanks of a text; what is given stays word for word."""
    emit = Output(output)
    from ergotext.tasks import infill as task
    from ergotext.tasks import write as writing

    texts = task.lines(standard_input()) if text == "-" else [text]
    task.check_texts(texts)
    budget = writing.Budget(sampler.value, chains, steps, max_seconds, seed)
    loaded = _load(model, device, dtype.value, threads)
    results = task.infill_all(texts, loaded, budget, context=context)
    approximate = dtype is not DtypeName.float32
    with emit:
        for one, result in zip(texts, results, strict=True):
            best = result.best(count)
            if as_json:
                emit(task.as_json(best, one, emit.ascii_only))
                typer.echo(writing.how(result, approximate), err=True)
            else:
                emit(writing.as_text(result, best, approximate))
            if result.stopped == "interrupt":
                raise Interrupted("interrupted; the best so far is kept")


@app.command()
def sample(
    config: Annotated[
        Path | None, typer.Option(help="TOML file with these options' names; flags go before it.")
    ] = None,
    sampler: Annotated[
        str | None, typer.Option(help="mh, annealing, importance, rejection, smc, … [mh]")
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
    context: Annotated[
        str | None, typer.Option(help="Text that stands before and is not shown. ['']")
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
    threads: Annotated[int | None, typer.Option(min=1, max=1024, help="CPU threads.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Same seed, same output. [0]")] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Draw energy traces and ranks of chains here (.png).")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Write here, and what the run was to …run.toml."),
    ] = None,
) -> None:
    """Sample texts, one JSON object a line: any sampler over any energy."""
    emit = Output(output)
    from ergotext.tasks import config as table
    from ergotext.tasks import sample as task

    told = table.read(
        config,
        {
            "sampler": sampler,
            "n": n,
            "chains": chains,
            "steps": steps,
            "context": context,
            "max_length": max_length,
            "max_seconds": max_seconds,
            "r_hat": r_hat,
            "checkpoint": checkpoint,
            "every": every,
            "model": model,
            "device": device,
            "dtype": dtype and dtype.value,
            "seed": seed,
            "energy": table.energy(keyword, length, regex, json_schema),
            "options": dict(map(table.option, option or [])),
        },
    )
    task.check(told, resume=resume, plot=plot)
    result = task.sample_by(
        told, _load(told["model"], told["device"], told["dtype"], threads), resume=resume
    )
    record = Output(task.beside(output))
    with emit, record:
        emit(task.as_json(task.texts_of(result, told.get("n")), emit.ascii_only))
        if record.path is not None:
            record(task.saved(told, result))
    if plot is not None:
        task.draw(result, plot)
    for line in task.complaints(result, told["dtype"]):
        typer.echo(line, err=True)
    if task.interrupted(result):
        raise Interrupted("interrupted; what was found is kept")


def _load(model: str, device: str, dtype: str, threads: int | None) -> CausalLM:
    import torch

    from ergotext.lm.loading import load

    if threads is not None:
        torch.set_num_threads(threads)
    return load(model, device=device, dtype=cast("Dtype", dtype))


def main(arguments: list[str] | None = None, command: Callable[..., object] = app) -> int:
    """Run the command line; every expected failure is one line on stderr and an exit code."""
    return run(command, arguments)


def entry() -> None:
    """The console script."""
    quit_by_signals(main)
