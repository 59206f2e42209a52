"""What commands that write texts share: load a model, print texts and statistics of the run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import typer

from ergotext.commands.console import Interrupted, Output
from ergotext.commands.options import DtypeName
from ergotext.support.threads import use_threads

if TYPE_CHECKING:
    from ergotext.lm.causal import CausalLM
    from ergotext.lm.loading import Dtype
    from ergotext.samplers.result import Result
    from ergotext.samplers.texts import Sample
    from ergotext.samplers.weighted.result import WeightedResult


def check_model(model: str, device: str) -> None:
    """InputError for a name that leads to no model, or no device; takes no time."""
    from ergotext.lm.sources import check_device, check_name

    check_name(model)
    check_device(device)


def load(model: str, device: str, dtype: str, threads: int | None) -> CausalLM:
    """Load the model that a command was given."""
    from ergotext.lm.loading import load_causal

    use_threads(threads)
    return load_causal(model, device=device, dtype=cast("Dtype", dtype))


def show(
    emit: Output,
    result: Result | WeightedResult,
    found: Sequence[Sample],
    dtype: DtypeName,
    records: str,
    as_json: bool,
    notes: Sequence[str] | None = None,
) -> None:
    """Print the texts that were found, as text with notes or as JSON.

    Raises Interrupted after a Ctrl-C.
    """
    from ergotext.samplers.result import Result
    from ergotext.tasks.texts import as_text, how

    approximate = dtype is not DtypeName.float32
    if as_json:
        emit(records)
        typer.echo(how(result, approximate), err=True)
    else:
        emit(as_text(result, found, approximate, notes))
    if not isinstance(result, Result):
        return
    for line in result.unmoved:
        typer.echo(f"warning: {line}", err=True)
    if result.stopped == "interrupt":
        raise Interrupted("interrupted; the best texts so far are shown")
