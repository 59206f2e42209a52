"""``ergotext index``: one function a subcommand; what they do is in ``ergotext.tasks``."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from ergotext.commands.console import Output, place, report

index = typer.Typer(
    help="Index files: sets of millions of keys with objects to each, opened in milliseconds.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
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
    place(output)
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
