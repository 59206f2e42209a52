"""Sample from an energy that a table of settings describes."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from inspect import signature
from pathlib import Path
from typing import Any

import torch

from ergotext.errors import InputError
from ergotext.lm.batch import TokenBatch
from ergotext.lm.causal import CausalLM
from ergotext.samplers.registry import sampler_named
from ergotext.samplers.result import Result
from ergotext.samplers.sampling import check_new, sample
from ergotext.samplers.texts import Sample
from ergotext.samplers.weighted.result import WeightedResult
from ergotext.samplers.weighted.samples import HeavyWeightsWarning
from ergotext.tasks.config import as_toml, digest, versions
from ergotext.tasks.energy_table import energy_of
from ergotext.tasks.plot import check_plot, save_plot

SHOWN = 64
"""Texts that come out if nothing else is said."""


def sample_by(
    config: Mapping[str, Any], lm: CausalLM, *, resume: bool = False, progress: bool = True
) -> Result | WeightedResult:
    """Run what a table of ``config.read`` says, on a model that is loaded.

    Raises
    ------
    InputError
        Energy, sampler and constraint do not fit together.
    """
    kind = sampler_named(config["sampler"]).kind
    start = config.get("start")
    if start is not None and kind == "weighted":
        raise InputError(f"{config['sampler']} does not use an initial text; drop start")
    energy = energy_of(config["energy"], lm, config["context"])
    named = ("model", "dtype", "context", "start", "energy")
    asked = {name: config.get(name) for name in ("chains", "steps", "max_seconds", "r_hat")}
    with _quiet():
        return sample(
            energy,
            config["sampler"],
            **asked,
            n=config.get("n") if kind == "weighted" else None,
            seed=config["seed"],
            max_length=config["max_length"],
            initial=None if start is None else TokenBatch.of([lm.vocabulary.encode(start)]),
            checkpoint=config.get("checkpoint"),
            every=config["every"],
            resume=resume,
            settings={name: config[name] for name in named if name in config}
            | {"schema": digest(config["energy"])},
            progress=progress,
            **config["options"],
        )


def check(
    config: Mapping[str, Any],
    *,
    resume: bool = False,
    plot: Path | None = None,
    others: Sequence[Path | None] = (),
) -> None:
    """Find what cannot be before a model is loaded.

    ``others`` are further files that the run reads or writes.

    Raises
    ------
    InputError
        No such sampler, an option that is none of a sampler, more texts than chains will visit,
        nothing to resume from, a file that two things would be written to, a checkpoint that would
        be written over, or no way to draw the plot.
    """
    if wrong := [name for name in config["options"] if name in signature(sample).parameters]:
        raise InputError(f"{wrong[0]} is not a sampler option: set it directly")
    files = [Path(file) for file in (config.get("checkpoint"), plot, *others) if file is not None]
    if wrong := [str(one) for one in files if not _can_be_named(one)]:
        raise InputError(f"no file can be named {wrong[0]!r}; use another name")
    places = [Path(os.path.realpath(file)) for file in files]
    if loops := [one for one, place in zip(files, places, strict=True) if place.is_symlink()]:
        raise InputError(f"{loops[0]} is a link to itself; use another file")
    if twice := [one for one, place in zip(files, places, strict=True) if places.count(place) > 1]:
        raise InputError(f"{twice[0]} is used twice; give each output its own file")
    n, kind = config.get("n"), sampler_named(config["sampler"]).kind
    most = ((config.get("steps") or 300) + 1) * (config.get("chains") or 8)
    if n is not None and not (n >= 1 and (n <= most or kind in ("weighted", "optimiser"))):
        raise InputError(
            f"n must be between 1 and the {most} states that the chains visit, got {n}"
        )
    weighted = sampler_named(config["sampler"]).kind == "weighted"
    file = config.get("checkpoint")
    if resume and file is None:
        raise InputError("resume needs a checkpoint; give its file (checkpoint)")
    if file is not None:
        check_new(Path(file), resume)
    if plot is not None and weighted:
        raise InputError(f"the plot needs chains, but {config['sampler']} runs none")
    if plot is not None:
        check_plot(plot)


def _can_be_named(file: Path) -> bool:
    """Whether the system has such names: without NUL, and encodable."""
    try:
        return b"\0" not in os.fsencode(file)
    except UnicodeEncodeError:
        return False


@contextmanager
def _quiet() -> Iterator[None]:
    """Results carry their warnings, so they are not emitted again."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HeavyWeightsWarning)
        yield


def texts_of(result: Result | WeightedResult, n: int | None) -> list[Sample]:
    """The texts to print: all weighted draws, ``n`` draws of chains, or the ``n`` best."""
    if isinstance(result, WeightedResult):
        return result.all()
    if result.kind == "optimiser":
        return result.best(n or SHOWN)
    there = (result.steps + 1 - result.warm_up) * result.chains
    cut = result.stopped != "steps"  # then as many as there are
    return result.draws(min(n, there) if n and cut else n or min(SHOWN, there))


def as_json(samples: Sequence[Sample], ascii_only: bool = False) -> str:
    """One JSON object per text and line."""
    return "\n".join(json.dumps(one.record(), ensure_ascii=ascii_only) for one in samples)


def complaints(result: Result | WeightedResult, dtype: str) -> list[str]:
    """One line on the run, and its warnings."""
    approximate = "; bfloat16, approximate" if dtype != "float32" else ""
    return [f"({result.text()}{approximate})", *(f"warning: {said}" for said in result.warnings)]


def saved(config: Mapping[str, Any], result: Result | WeightedResult) -> str:
    """The run as TOML, from which it can be repeated; with versions, and what is known of it.

    The checkpoint is listed under the result: an existing file is not overwritten.
    """
    known: dict[str, Any] = {"kind": result.kind, "seconds": result.seconds}
    known["checkpoint"] = config.get("checkpoint")
    if isinstance(result, Result):
        known |= {"stopped": result.stopped, "steps": result.steps}
        known["acceptance"] = result.acceptance
        known["swap_rates"] = result.swap_rates or None
        if result.kind != "optimiser":
            told = result.diagnose()
            known |= {"r_hat": told.r_hat, "ess_bulk": told.ess_bulk, "ess_tail": told.ess_tail}
            known |= {"mean_energy": told.mean, "mcse": told.mcse}
    else:
        known |= {"ess": result.ess, "k_hat": result.k_hat, "draws": result.samples.tries}
        known |= {"log_z": result.log_z, "log_z_stderr": result.log_z_stderr}
    known["warnings"] = result.warnings
    resolved = {**config, **{k: v for k, v in result.settings.items() if k in config or k == "n"}}
    resolved |= {k: result.settings[k] for k in ("chains", "steps") if k in result.settings}
    resolved |= {"threads": torch.get_num_threads(), "checkpoint": None}
    return as_toml({**resolved, "versions": versions(), "result": known})


def beside(output: Path | None) -> Path | None:
    """File for the record of a run: beside its output, if that is a file."""
    if output is None or (output.exists() and not output.is_file()):
        return None
    return output.with_suffix(".run.toml")


def draw(result: Result | WeightedResult, path: Path) -> None:
    """The plot of chains."""
    assert isinstance(result, Result)
    save_plot(result, path)


def interrupted(result: Result | WeightedResult) -> bool:
    """Whether Ctrl-C ended the run."""
    if isinstance(result, WeightedResult):
        return result.samples.wanted is not None
    return result.stopped == "interrupt"


def nothing_kept(sampler: str) -> str | None:
    """Message after a Ctrl-C that left a weighted sampler without results."""
    if sampler_named(sampler).kind != "weighted":
        return None
    if sampler in ("importance", "rejection"):
        return f"interrupted before {sampler} had complete draws; there are no results"
    return f"interrupted: {sampler} finishes all its draws together, so there are no results"
