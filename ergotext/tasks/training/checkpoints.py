"""Find the last complete checkpoint of a training run."""

from __future__ import annotations

import zipfile
from dataclasses import fields
from pathlib import Path

from safetensors import SafetensorError, safe_open
from transformers import TrainerState

from ergotext.errors import ErgotextError
from ergotext.support.untrusted import read_json

CHECKPOINTS = "checkpoints"
_STATE = "trainer_state.json"
"""What transformers writes last of a checkpoint."""
_WEIGHTS, _ARCHIVES = "model.safetensors", ("optimizer.pt", "scheduler.pt", "rng_state.pth")


def last_checkpoint(folder: Path) -> Path | None:
    """The last checkpoint of a run that was written to its end."""
    return next(iter(_checkpoints(folder)), None)


def last_whole(folder: Path) -> tuple[Path | None, list[str]]:
    """The last intact checkpoint, and the faults of those after it.

    A file may be torn although transformers has written it to its end: a machine that loses its
    power, a full disk, a copy that was cut off.
    """
    damaged: list[str] = []
    for checkpoint in _checkpoints(folder):
        fault = _fault(checkpoint)
        if fault is None:
            return checkpoint, damaged
        damaged.append(f"{checkpoint} is damaged ({fault})")
    return None, damaged


def _checkpoints(folder: Path) -> list[Path]:
    """The newest first."""
    found = (state.parent for state in (folder / CHECKPOINTS).glob(f"checkpoint-*/{_STATE}"))
    numbered = [(int(n), one) for one in found if (n := one.name.rpartition("-")[2]).isdecimal()]
    return [one for _, one in sorted(numbered, reverse=True)]


def _fault(checkpoint: Path) -> str | None:
    """What is wrong with a checkpoint, or with the best one, whose weights end the run."""
    try:
        best = _check(checkpoint)
        if best is not None and best != checkpoint.name:
            _check(checkpoint.parent / best)
    except (ErgotextError, OSError, ValueError, SafetensorError, zipfile.BadZipFile) as error:
        return str(error)
    return None


def _check(checkpoint: Path) -> str | None:
    """Every byte against the checksums that there are; the name of the best checkpoint so far."""
    state = read_json(checkpoint / _STATE, advice="remove the checkpoint")
    known = {field.name for field in fields(TrainerState)}
    step, best = state.get("global_step"), state.get("best_model_checkpoint")
    if not known.issuperset(state) or type(step) is not int or not isinstance(best, str | None):
        raise ValueError(f"{_STATE} is from another version of transformers")
    if checkpoint.name != f"checkpoint-{step}":
        raise ValueError(f"{_STATE} is from step {step}")
    with safe_open(checkpoint / _WEIGHTS, framework="pt"):
        pass  # looks at its sizes
    for name in _ARCHIVES:
        with zipfile.ZipFile(checkpoint / name) as archive:
            if (torn := archive.testzip()) is not None:
                raise ValueError(f"{name}: the checksum of {torn} differs")
    return None if best is None else Path(best).name
