"""The command line: one function a subcommand; what they do is in ``ergotext.tasks``."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ergotext.console import Interrupted, Output, quit_by_signals, report, run, standard_input

if TYPE_CHECKING:
    from ergotext.lm.causal import CausalLM

app = typer.Typer(
    name="ergotext",
    help="Text as a sample from an energy.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


class SamplerName(StrEnum):
    """Samplers that can write."""

    annealing = "annealing"
    mh = "mh"


class DtypeName(StrEnum):
    """Number formats of the model."""

    float32 = "float32"
    bfloat16 = "bfloat16"


@app.callback()
def ergotext() -> None:
    """Text as a sample from an energy."""


@app.command()
def version() -> None:
    """Print the version."""
    from importlib.metadata import version as installed

    typer.echo(f"ergotext {installed('ergotext')}")


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
        _load(model, device, dtype, threads),
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


index = typer.Typer(
    help="Index files: sets of millions of keys with objects to each, opened in milliseconds.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(index, name="index")

IndexFile = Annotated[Path, typer.Argument(metavar="INDEX", help="An index file.")]
LinesFile = Annotated[Path, typer.Argument(metavar="LINES", help="Lines with tabs, UTF-8.")]
Tokenizer = Annotated[
    str | None,
    typer.Option(
        help="The tokenizer that makes tokens of keys: a tokenizer.json, a folder, a hub id or a "
        "bundled model; by default one of characters, which goes into the index."
    ),
]
Strict = Annotated[bool, typer.Option("--strict", help="Stop at the first bad line.")]
SameColumns = Annotated[
    str | None, typer.Option("--columns", help="What the fields are, if not as at first.")
]


@index.command("build")
def index_build(
    lines: LinesFile,
    output: Annotated[Path, typer.Option("-o", "--output", help="The index file to write.")],
    tokenizer: Tokenizer = None,
    columns: Annotated[
        str, typer.Option(help="What the fields are; key for lines that are keys.")
    ] = "subject,predicate,object",
    strict: Strict = False,
) -> None:
    """Build an index of the lines of a file."""
    from ergotext.tasks.index import build

    report(build(lines, output, tokenizer=tokenizer, columns=columns, strict=strict))


@index.command("add")
def index_add(
    file: IndexFile,
    lines: LinesFile,
    tokenizer: Tokenizer = None,
    columns: SameColumns = None,
    strict: Strict = False,
) -> None:
    """Add the lines of a file; objects go behind those that a key has."""
    from ergotext.tasks.index import add

    report(add(file, lines, tokenizer=tokenizer, columns=columns, strict=strict))


@index.command("remove")
def index_remove(
    file: IndexFile,
    lines: LinesFile,
    tokenizer: Tokenizer = None,
    columns: SameColumns = None,
    strict: Strict = False,
) -> None:
    """Remove the lines of a file; without an object column, keys with all their objects."""
    from ergotext.tasks.index import remove

    report(remove(file, lines, tokenizer=tokenizer, columns=columns, strict=strict))


@index.command("info")
def index_info(
    file: IndexFile,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Say what an index holds."""
    from ergotext.tasks.index import about

    found = about(file)
    typer.echo(found.json() if as_json else found.text())


@index.command("get")
def index_get(
    file: IndexFile,
    prefix: Annotated[str, typer.Argument(help="How the keys begin; '' for all.")],
    count: Annotated[int, typer.Option("-n", min=1, help="Keys to show.")] = 10,
    tokenizer: Tokenizer = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a key.")] = False,
) -> None:
    """Show keys that begin with a text, their objects, and what may come next."""
    from ergotext.tasks.lookup import get

    emit, below = Output(None), get(file, prefix, tokenizer=tokenizer)
    for entry in islice(below.entries, count):
        emit(entry.json(emit.ascii_only) if as_json else entry.text())
    typer.echo(below.text(count), err=True)


@index.command("verify")
def index_verify(file: IndexFile) -> None:
    """Read all of an index and compare its checksums."""
    from ergotext.tasks.index import check

    typer.echo(check(file))


def _load(model: str, device: str, dtype: DtypeName, threads: int | None) -> CausalLM:
    import torch

    from ergotext.lm.loading import load

    if threads is not None:
        torch.set_num_threads(threads)
    return load(model, device=device, dtype=dtype.value)


def main(arguments: list[str] | None = None, command: Callable[..., object] = app) -> int:
    """Run the command line; every expected failure is one line on stderr and an exit code."""
    return run(command, arguments)


def entry() -> None:
    """The console script."""
    quit_by_signals(main)
