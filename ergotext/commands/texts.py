"""Print the texts that chains found, and statistics of the run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from ergotext.commands.console import Interrupted, Output
from ergotext.commands.options import DtypeName

if TYPE_CHECKING:
    from ergotext.samplers.result import Result
    from ergotext.samplers.texts import Sample


def show(
    emit: Output,
    result: Result,
    found: Sequence[Sample],
    dtype: DtypeName,
    records: str,
    as_json: bool,
) -> None:
    """Print the texts that chains found, as text or JSON; raise Interrupted after a Ctrl-C."""
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
        raise Interrupted("interrupted; the best texts so far are shown")
