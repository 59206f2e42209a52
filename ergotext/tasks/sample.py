"""Sample from an energy that a table of settings describes."""

from __future__ import annotations

import json
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
from ergotext.samplers.registry import kind_of
from ergotext.samplers.result import Result
from ergotext.samplers.sampling import sample
from ergotext.samplers.texts import Sample
from ergotext.samplers.weighted.result import WeightedResult
from ergotext.samplers.weighted.samples import HeavyWeightsWarning
from ergotext.tasks.config import as_toml, digest, versions
from ergotext.tasks.energy_table import energy_of
from ergotext.tasks.plot import save_plot

SHOWN = 64
"""Texts that come out if nothing else is said."""


def sample_by(
    config: Mapping[str, Any],
    lm: CausalLM,
    *,
    resume: bool = False,
    progress: bool = True,
    record: bool = False,
) -> Result | WeightedResult:
    """Run what a table of ``config.read`` says, on a model that is loaded.

    Raises
    ------
    InputError
        Energy, sampler and constraint do not fit together.
    """
    kind = kind_of(config["sampler"])
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
            record=record,
            **config["options"],
        )


def check_options(config: Mapping[str, Any]) -> None:
    """InputError for an option of the sampler that is an argument of ``sample`` itself."""
    if wrong := [name for name in config["options"] if name in signature(sample).parameters]:
        raise InputError(f"{wrong[0]} is not a sampler option: set it directly")


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
    there = len(result)
    cut = result.stopped != "steps"  # then as many as there are
    return result.draws(min(n, there) if n and cut else n or min(SHOWN, there))


def as_json(samples: Sequence[Sample], ascii_only: bool = False) -> str:
    """One JSON object per text and line."""
    return "\n".join(json.dumps(one.record(), ensure_ascii=ascii_only) for one in samples)


def unasked(config: Mapping[str, Any]) -> list[str]:
    """A line where nothing is asked of the texts but to be likely."""
    if set(config["energy"]) > {"fluency"} or config.get("context"):
        return []
    return [
        "(nothing is asked of these texts, so they are what the model writes by itself: --keyword, "
        "--regex, --length and --context ask for more, ergotext write for whole sentences)"
    ]


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


def draw(result: Result | WeightedResult, path: Path) -> None:
    """The plot of chains."""
    assert isinstance(result, Result)
    save_plot(result, path)


def interrupted(result: Result | WeightedResult) -> bool:
    """Whether Ctrl-C ended the run."""
    if isinstance(result, WeightedResult):
        return result.samples.wanted is not None
    return result.stopped == "interrupt"
