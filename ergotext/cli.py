"""The command line: one function a subcommand; what they do is in ``ergotext.tasks``."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ergotext.commands.console import Interrupted, Output, quit_by_signals, run, standard_input
from ergotext.commands.evaluate import evaluate
from ergotext.commands.index import index
from ergotext.commands.read import read
from ergotext.commands.retrieve import retrieve
from ergotext.commands.sample import DtypeName, load, sample
from ergotext.commands.train import train, train_lookahead

if TYPE_CHECKING:
    from ergotext.samplers.result import Result
    from ergotext.samplers.texts import Sample

app = typer.Typer(
    name="ergotext",
    help="Text as a sample from an energy.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.add_typer(index, name="index")
app.command()(sample)
app.command()(retrieve)
app.command()(evaluate)
app.command()(read)
app.command()(train)
app.command()(train_lookahead)


class SamplerName(StrEnum):
    """Samplers that can write."""

    annealing = "annealing"
    mh = "mh"


Count = Annotated[int, typer.Option("-n", min=1, help="Texts to show.")]
Chains = Annotated[int, typer.Option(min=1, help="Chains run side by side.")]
Steps = Annotated[int, typer.Option(min=1, help="Steps of each chain.")]
Sampler = Annotated[SamplerName, typer.Option(help="annealing: look for the best; mh: sample.")]
Context = Annotated[
    str | None,
    typer.Option(
        help="Text that stands before and is not shown; '' for none. By default a plain sentence "
        "about a quiet morning."
    ),
]
Seconds = Annotated[float | None, typer.Option(help="Time limit for each.")]
Model = Annotated[
    str, typer.Option(help="smollm2, tiny-causal, gemma3-270m, a folder, .gguf file or hub id.")
]
Dtype = Annotated[DtypeName, typer.Option(help="bfloat16 is faster and approximate.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Threads = Annotated[int | None, typer.Option(min=1, max=1024, help="CPU threads.")]
Seed = Annotated[int, typer.Option(min=0, help="Same seed, same output.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
OutFile = Annotated[Path | None, typer.Option("-o", "--output", help="Write here, not to stdout.")]
FLOAT32, ANNEALING = DtypeName.float32, SamplerName.annealing


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version as installed

        typer.echo(f"ergotext {installed('ergotext')}")
        raise typer.Exit


@app.callback()
def ergotext(
    context: typer.Context,
    debug: Annotated[
        bool,
        typer.Option("--debug", envvar="ERGOTEXT_DEBUG", help="Show tracebacks of errors."),
    ] = False,
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Text as a sample from an energy."""
    context.obj.debug = debug


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
    count: Count = 3,
    chains: Chains = 8,
    steps: Steps = 300,
    sampler: Sampler = ANNEALING,
    length: Annotated[int, typer.Option(min=1, help="Wanted length in tokens.")] = 14,
    context: Context = None,
    max_length: Annotated[int, typer.Option(min=1, help="Longest sentence in tokens.")] = 40,
    max_seconds: Seconds = None,
    any_order: Annotated[
        bool, typer.Option("--any-order", help="Let keywords trade places.")
    ] = False,
    model: Model = "smollm2",
    dtype: Dtype = FLOAT32,
    device: Device = "auto",
    threads: Threads = None,
    seed: Seed = 0,
    as_json: AsJson = False,
    output: OutFile = None,
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
            _show(emit, result, best, dtype, task.as_json(best, one, emit.ascii_only), as_json)


@app.command()
def infill(
    text: Annotated[
        str,
        typer.Argument(
            help="Text with blanks: ___ of one or more words, ___{2} of two, ___{1,3} of one to "
            "three; or -: such texts from stdin, one a line."
        ),
    ],
    count: Count = 3,
    chains: Chains = 8,
    steps: Steps = 150,
    sampler: Sampler = ANNEALING,
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
    """Fill the blanks of a text; what is given stays word for word."""
    emit = Output(output)
    from ergotext.tasks import infill as task
    from ergotext.tasks.write import Budget

    texts = task.lines(standard_input()) if text == "-" else [text]
    task.check_texts(texts)
    budget = Budget(sampler.value, chains, steps, max_seconds, seed)
    loaded = load(model, device, dtype.value, threads)
    results = task.infill_all(texts, loaded, budget, context=context)
    with emit:
        for one, result in zip(texts, results, strict=True):
            best = result.best(count)
            _show(emit, result, best, dtype, task.as_json(best, one, emit.ascii_only), as_json)


@app.command()
def paraphrase(
    text: Annotated[str, typer.Argument(help="What is to be said in other words.")],
    count: Count = 3,
    chains: Chains = 8,
    steps: Steps = 300,
    similarity: Annotated[
        str,
        typer.Option(
            help="What tells closeness of meaning: minilm, a folder or hub id of a sentence "
            "encoder, or words (how many are kept). auto: minilm where it will do."
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
    """Say a text in other words: fluent, close in meaning, and worded differently."""
    emit = Output(output)
    from ergotext.tasks import paraphrase as task
    from ergotext.tasks.write import Budget

    budget = Budget("annealing", chains, steps, max_seconds, seed)
    encoder = task.encoder_for(text, similarity)
    loaded = load(model, device, dtype.value, threads)
    result = task.paraphrase(text, loaded, budget, encoder=encoder)
    found = task.others(result, text.strip(), count)
    with emit:
        _show(emit, result, found, dtype, task.as_json(found, text, emit.ascii_only), as_json)


def _show(
    emit: Output,
    result: Result,
    found: Sequence[Sample],
    dtype: DtypeName,
    records: str,
    as_json: bool,
) -> None:
    """What chains found, as text or as JSON, and how; Ctrl-C is passed on behind it."""
    from ergotext.tasks.write import as_text, how

    approximate = dtype is not DtypeName.float32
    if as_json:
        emit(records)
        typer.echo(how(result, approximate), err=True)
    else:
        emit(as_text(result, found, approximate))
    for line in result.unmoved:
        typer.echo(f"warning: {line}", err=True)
    if result.stopped == "interrupt":
        raise Interrupted("interrupted; the best so far is kept")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line: the exit code. Whatever goes wrong is one line on stderr."""
    return run(app, arguments)


def entry() -> None:
    """The console script."""
    # What libraries say while they load is kept back by ``quiet``; this is for all the rest.
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    quit_by_signals(main)
