"""The commands ``ergotext index …``; the work is done in ``tasks.index`` and its neighbours."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from ergotext.commands.config_file import ConfigurableCommand, configurable
from ergotext.commands.console import Output, place, report
from ergotext.commands.help import of

index = typer.Typer(
    help="Build, change and inspect index files.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
IndexFile = Annotated[Path, typer.Argument(metavar="INDEX", help="The index file.")]
LinesFile = Annotated[
    Path,
    typer.Argument(
        metavar="LINES", help="Lines of fields with tabs between, or a .csv file; UTF-8."
    ),
]
Tokenizer = Annotated[
    str | None,
    typer.Option(
        help="Tokenizer of the keys: a tokenizer.json, a folder, a hub id or a bundled model. By "
        "default one token per character, stored in the index."
    ),
]
Strict = Annotated[bool, typer.Option("--strict", help="Stop at the first malformed line.")]
SameColumns = Annotated[
    str | None,
    typer.Option(
        "--columns",
        help="Names of the columns, if they differ from those the index was built with.",
    ),
]


@index.command("build", **of("index build", ConfigurableCommand))
@configurable
def index_build(
    lines: LinesFile,
    output: Annotated[Path, typer.Option("-o", "--output", help="The index file to write.")],
    tokenizer: Tokenizer = None,
    columns: Annotated[
        str, typer.Option(help="Names of the columns; key if each line is a key.")
    ] = "subject,predicate,object",
    mention: Annotated[
        str | None, typer.Option(help="Column that questions name. [subject, if there is one]")
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(
            help="Columns that make up a key, with the mention; of the others but the answer none "
            "counts. [all but mention and answer]"
        ),
    ] = None,
    answer: Annotated[
        str | None, typer.Option(help="Column of the answers. [object, if there is one]")
    ] = None,
    brackets: Annotated[
        str | None,
        typer.Option(
            help="What encloses a suffix that tells mentions of one name apart: （…） or, with the "
            "space before it, ' (…)'; or none. [（…）]"
        ),
    ] = None,
    strict: Strict = False,
) -> None:
    """Build an index from the lines of a file."""
    place(output)
    from ergotext.tasks.index import build, described

    schema = described(columns, mention, key, answer, brackets)
    report(build(lines, output, tokenizer=tokenizer, columns=schema, strict=strict))


@index.command("add", **of("index add"))
def index_add(
    file: IndexFile,
    lines: LinesFile,
    tokenizer: Tokenizer = None,
    columns: SameColumns = None,
    strict: Strict = False,
) -> None:
    """Add the lines of a file to an index.

    New objects are appended to those that a key already has.
    """
    from ergotext.tasks.index import add

    report(add(file, lines, tokenizer=tokenizer, columns=columns, strict=strict))


@index.command("remove", **of("index remove"))
def index_remove(
    file: IndexFile,
    lines: LinesFile,
    tokenizer: Tokenizer = None,
    columns: SameColumns = None,
    strict: Strict = False,
) -> None:
    """Remove the lines of a file from an index.

    Without an object column, keys are removed with all their objects.
    """
    from ergotext.tasks.index import remove

    report(remove(file, lines, tokenizer=tokenizer, columns=columns, strict=strict))


@index.command("info", **of("index info"))
def index_info(
    file: IndexFile,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show what an index contains."""
    from ergotext.tasks.index_summary import about

    found = about(file)
    typer.echo(found.json() if as_json else found.text())


@index.command("get", **of("index get"))
def index_get(
    file: IndexFile,
    prefix: Annotated[str, typer.Argument(help="Prefix of the keys; '' for all.")],
    count: Annotated[int, typer.Option("-n", min=1, help="Number of keys to show.")] = 10,
    tokenizer: Tokenizer = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, one object per key.")
    ] = False,
) -> None:
    """Show keys with a prefix, and their objects.

    Characters that may follow the prefix are shown as well.
    """
    from ergotext.tasks.lookup import get

    emit, below = Output(None), get(file, prefix, tokenizer=tokenizer)
    for entry in islice(below.entries, count):
        emit(entry.json(emit.ascii_only) if as_json else entry.text())
    typer.echo(below.text(count), err=True)


@index.command("verify", **of("index verify"))
def index_verify(file: IndexFile) -> None:
    """Read the whole index and check its checksums."""
    from ergotext.tasks.index import check

    typer.echo(check(file))
