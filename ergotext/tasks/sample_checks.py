"""Check the settings of a run before a model is loaded, or torch imported."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ergotext.errors import InputError
from ergotext.lm.automata.grammars import check_expression
from ergotext.lm.automata.schema import lark_of
from ergotext.lm.sources import check_device, check_name
from ergotext.samplers.options import check_new
from ergotext.samplers.registry import check_name as check_sampler
from ergotext.samplers.registry import kind_of
from ergotext.tasks.config import schema_of
from ergotext.tasks.plot import check_plot


def check_inputs(config: Mapping[str, Any]) -> None:
    """Find what is wrong with the inputs of a run, whatever the sampler.

    Raises
    ------
    InputError
        No such model, device or sampler; or an expression or schema that cannot be read.
    """
    if "sampler" in config:
        check_sampler(config["sampler"])
    check_name(config["model"])
    check_device(config["device"])
    if "regex" in config["energy"]:
        check_expression(config["energy"]["regex"])
    if "json_schema" in config["energy"]:
        lark_of(schema_of(config["energy"]["json_schema"]))


def check(
    config: Mapping[str, Any],
    *,
    resume: bool = False,
    plot: Path | None = None,
    others: Sequence[Path | None] = (),
) -> None:
    """Find what cannot be before a model is loaded, or torch imported.

    ``others`` are further files that the run reads or writes.

    Raises
    ------
    InputError
        No such sampler, more texts than chains will visit, nothing to resume from, a file that two
        things would be written to, a checkpoint that would be written over, or no way to draw the
        plot.
    """
    files = [Path(file) for file in (config.get("checkpoint"), plot, *others) if file is not None]
    if wrong := [str(one) for one in files if not _can_be_named(one)]:
        raise InputError(f"no file can be named {wrong[0]!r}; use another name")
    places = [Path(os.path.realpath(file)) for file in files]
    if loops := [one for one, place in zip(files, places, strict=True) if place.is_symlink()]:
        raise InputError(f"{loops[0]} is a link to itself; use another file")
    if twice := [one for one, place in zip(files, places, strict=True) if places.count(place) > 1]:
        raise InputError(f"{twice[0]} is used twice; give each output its own file")
    n, kind = config.get("n"), kind_of(config["sampler"])
    most = ((config.get("steps") or 300) + 1) * (config.get("chains") or 8)
    if n is not None and not (n >= 1 and (n <= most or kind in ("weighted", "optimiser"))):
        raise InputError(
            f"n must be between 1 and the {most} states that the chains visit, got {n}"
        )
    file = config.get("checkpoint")
    if resume and file is None:
        raise InputError("resume needs a checkpoint; give its file (checkpoint)")
    if file is not None:
        check_new(Path(file), resume)
    if plot is not None and kind == "weighted":
        raise InputError(f"the plot needs chains, but {config['sampler']} runs none")
    if plot is not None:
        check_plot(plot)


def _can_be_named(file: Path) -> bool:
    """Whether the system has such names: without NUL, and encodable."""
    try:
        return b"\0" not in os.fsencode(file)
    except UnicodeEncodeError:
        return False


def beside(output: Path | None) -> Path | None:
    """File for the record of a run: beside its output, if that is a file."""
    if output is None or (output.exists() and not output.is_file()):
        return None
    return output.with_suffix(".run.toml")
