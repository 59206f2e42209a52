"""Faults of keeping a run, put in one at a time: each must be seen."""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType

import pytest
import torch

from ergotext.lm.loading import load
from ergotext.samplers import checkpoint, sample, sampling
from ergotext.samplers.checkpoint_file import CheckpointError, read
from tests.faulty import load_with_fault
from tests.samplers.test_checkpoint import check_resumption, of_model
from tests.toy import toy_energy

FAULTS = {
    "17: what the models kept lives on in the run that was not stopped": (
        "    energy.forget()\n    terms = energy.terms(run.state.batch)",
        "    terms = energy.terms(run.state.batch)",
    ),
    "chance begins anew": ("    draws.state = kept.draws\n", ""),
    "the counts of moves are lost": (
        '        Counter(header["accepted"]),',
        "        Counter(),",
    ),
    "lock marks are lost": (
        "torch.stack([ids, locked])",
        "torch.stack([ids, 0 * locked])",
    ),
    "energies are kept in single precision": (
        '"trace.energy": trace.energy,',
        '"trace.energy": trace.energy.float().double(),',
    ),
    "the state is that of the beginning": (
        "            run = Run(state, trace,",
        "            run = Run(start, trace,",
    ),
}


def check(module: ModuleType, folder: Path, monkeypatch: pytest.MonkeyPatch, energy=None) -> None:
    monkeypatch.setattr(sampling, "keep", module.keep)
    monkeypatch.setattr(sampling, "go_on", module.go_on)
    same = {"steps": 24, "every": 7}
    if energy is None:
        energy, same = toy_energy(["a"]), {**same, "sampler": "annealing", "chains": 4}
    check_resumption(energy, folder, monkeypatch, max_length=12, **same)


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_caught(fault: str, tmp_path: Path, model_folder: Path, monkeypatch) -> None:
    module = load_with_fault("samplers.checkpoint", FAULTS[fault])
    energy = of_model(load(str(model_folder))) if fault.startswith("17") else None
    with pytest.raises((AssertionError, CheckpointError)):
        check(module, tmp_path, monkeypatch, energy)


def test_the_code_as_it_is_passes(tmp_path: Path, monkeypatch) -> None:
    check(checkpoint, tmp_path, monkeypatch)


def cut_while_writing(module: ModuleType, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine goes off before the bytes are on the disk: the file before is there, whole."""
    tensors = {"x": torch.arange(5.0)}
    module.write(file, {"n": 1}, tensors)

    def gone(_: int) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", gone)
        with pytest.raises(KeyboardInterrupt):
            module.write(file, {"n": 2}, {"x": torch.arange(50.0)})
    assert read(file)[0]["n"] == 1


def test_a_checkpoint_that_is_not_put_in_place_as_a_whole(tmp_path: Path, monkeypatch) -> None:
    name = "samplers.checkpoint_file"
    cut_while_writing(load_with_fault(name), tmp_path / "run", monkeypatch)
    fault = 'part = path.with_name(f".{path.name[:100]}.part")'
    module = load_with_fault(name, (fault, "part = path"))
    with pytest.raises(AssertionError):
        cut_while_writing(module, tmp_path / "other", monkeypatch)
    module = load_with_fault(name, ("        os.fsync(stream.fileno())\n", ""))
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        cut_while_writing(module, tmp_path / "third", monkeypatch)


def test_an_energy_that_nobody_compares(tmp_path: Path, monkeypatch) -> None:
    def goes_on_with_another(module: ModuleType, file: Path) -> None:
        monkeypatch.setattr(sampling, "go_on", module.go_on)
        same = {"chains": 2, "steps": 4, "checkpoint": file, "progress": False}
        sample(toy_energy(seed=0), **same)
        with pytest.raises(CheckpointError):
            sample(toy_energy(seed=1), resume=True, **same)

    goes_on_with_another(checkpoint, tmp_path / "run")
    fault = "    kept.check_terms(path, energy.terms(kept.run.state.batch))\n"
    with pytest.raises(pytest.fail.Exception):
        goes_on_with_another(
            load_with_fault("samplers.checkpoint", (fault, "")), tmp_path / "other"
        )
