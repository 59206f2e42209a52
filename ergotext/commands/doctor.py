"""The command ``ergotext doctor``; the work is done in ``ergotext.tasks.doctor``."""

from __future__ import annotations

import json
from typing import Annotated

import typer


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show versions, devices, models and extras, and what is missing.

    Exits with 1 if something is broken that every command needs. Uses no network.
    """
    from ergotext.tasks.doctor import examined

    found = examined()
    typer.echo(json.dumps(found.record()) if as_json else found.text())
    if found.broken:
        raise typer.Exit(1)
