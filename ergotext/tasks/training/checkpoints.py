"""Checkpoints of a training run: written whole, and checked before a run continues from one."""

from __future__ import annotations

import json
import shutil
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from ergotext.errors import ModelError
from ergotext.lm.conversion import quiet
from ergotext.support.files import replacing, write_text
from ergotext.support.untrusted import read_json

CHECKPOINTS = "checkpoints"
State = dict[str, Any]
"""``TrainingRun.state`` and, where it is read, the ``weights``."""
_STATE, _WEIGHTS = "trainer_state.json", "model.safetensors"
_PARTS = {"optimizer": "optimizer.pt", "schedule": "scheduler.pt", "chance": "rng_state.pth"}
"""The other parts of a state and their files, which transformers' Trainer names so, too."""


class Checkpoints(ABC):
    """Where a run puts its state, and takes it from."""

    @abstractmethod
    def save(self, network: nn.Module, state: State) -> None:
        """Write a checkpoint; at any moment one before it is whole."""

    @abstractmethod
    def places(self) -> list[Path]:
        """The checkpoints that were written to their end, the newest first."""

    @abstractmethod
    def read(self, place: Path) -> State:
        """A checkpoint with its weights; any error if a byte of it is wrong."""

    def weights(self, step: int) -> Mapping[str, Tensor]:
        """The weights after a step, of which there is a checkpoint."""
        states = map(self.read, self.places())
        return next(one["weights"] for one in states if one["progress"]["global_step"] == step)

    def last_whole(self) -> tuple[Path | None, list[str]]:
        """The last intact checkpoint, and the faults of those after it.

        A file may be torn although it was written to its end: a machine that loses its power, a
        full disk, a copy that was cut off.
        """
        damaged: list[str] = []
        for place in self.places():
            try:
                self.read(place)
            except Exception as error:  # torch.load raises whatever a torn file makes it trip over
                damaged.append(f"{place} is damaged ({error!s:.200})")
            else:
                return place, damaged
        return None, damaged


class Folders(Checkpoints):
    """A folder for each checkpoint, from which transformers can load the model as well.

    The last one is kept, and the best; if that is the last, the one before it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, network: Any, state: State) -> None:
        progress = state["progress"]
        place = self._place(progress["global_step"])
        shutil.rmtree(place, ignore_errors=True)
        with quiet():
            network.save_pretrained(place)
        for part, name in _PARTS.items():
            torch.save(state[part], place / name)
        write_text(place / _STATE, json.dumps(progress, indent=1) + "\n")  # last: now it counts
        best = self._place(progress["best_global_step"])
        others = [one for one in self.places() if one not in (place, best)]
        for old in others[1:] if best == place else others:
            shutil.rmtree(old)

    def places(self) -> list[Path]:
        found = (state.parent for state in self.folder.glob(f"checkpoint-*/{_STATE}"))
        numbered = [
            (int(n), one)
            for one in found
            if (n := one.name.removeprefix("checkpoint-")).isdecimal()
        ]
        return [one for _, one in sorted(numbered, reverse=True)]

    def read(self, place: Path) -> State:
        state = self._read(place)
        best = self._place(state["progress"]["best_global_step"])
        if best != place:
            self._read(best)  # its weights end the run
        return state

    def _place(self, step: int) -> Path:
        return self.folder / f"checkpoint-{step}"

    def _read(self, place: Path) -> State:
        progress = read_json(place / _STATE, advice="remove the checkpoint")
        step, best = progress.get("global_step"), progress.get("best_global_step")
        if type(step) is not int or type(best) is not int:
            raise ValueError(f"{_STATE} is from another version of ergotext")
        if place != self._place(step):
            raise ValueError(f"{_STATE} is from step {step}")
        parts = {part: _read_archive(place / name) for part, name in _PARTS.items()}
        return {**parts, "progress": progress, "weights": load_file(place / _WEIGHTS)}


class File(Checkpoints):
    """One file for the last checkpoint, and one for that before; each has the best weights too."""

    def __init__(self, path: Path) -> None:
        self.path, self.before = path, path.with_suffix(f".before{path.suffix}")

    def save(self, network: nn.Module, state: State) -> None:
        weights, progress = network.state_dict(), state["progress"]
        best = progress["best_global_step"]
        kept = weights if best == progress["global_step"] else self.weights(best)
        with replacing(self.path) as part:
            torch.save({**state, "weights": weights, "best": kept}, part)
            if self.path.exists():
                self.path.replace(self.before)

    def places(self) -> list[Path]:
        return [one for one in (self.path, self.before) if one.exists()]

    def read(self, place: Path) -> State:
        return dict(_read_archive(place))

    def weights(self, step: int) -> Mapping[str, Tensor]:
        """The weights after a step, which are the best of the last checkpoint.

        Raises
        ------
        ModelError
            They are in no intact checkpoint.
        """
        place, _ = self.last_whole()
        state = {} if place is None else self.read(place)
        best: Mapping[str, Tensor] | None = state.get("best")
        if best is None or state["progress"]["best_global_step"] != step:
            raise ModelError(
                f"the best weights, of step {step:,}, are in no intact checkpoint of "
                f"{self.path.parent}: start a new run in another folder"
            )
        return best

    def remove(self) -> None:
        """Remove both files: the run is over."""
        for place in self.places():
            place.unlink()


def _read_archive(path: Path) -> Any:
    """What torch has saved in a file, every byte of it against its checksum."""
    with zipfile.ZipFile(path) as archive:
        if (torn := archive.testzip()) is not None:
            raise ValueError(f"{path.name}: the checksum of {torn} differs")
    return torch.load(path, "cpu", weights_only=True)
