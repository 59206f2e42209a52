"""The command ``ergotext samplers``; the list is that of ``ergotext.samplers.catalog``."""

from __future__ import annotations

import typer


def samplers() -> None:
    """List the samplers, and when to use which.

    The option --sampler of the command sample takes their names.
    """
    from ergotext.tasks.sampler_list import listed

    typer.echo(listed())
