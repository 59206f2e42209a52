"""Faults of keeping a run, put in one at a time: each must be seen."""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType

import pytest
import torch

from ergotext.errors import ErgotextError
from ergotext.lm.loading import load
from ergotext.samplers import sample, sampling
from ergotext.samplers.checkpoint import saving
from ergotext.samplers.checkpoint.file import CheckpointError, RecordFile
from ergotext.testing.toy import toy_energy
from tests.faulty import load_with_fault
from tests.samplers.checkpoint import test_checkpoint
from tests.samplers.checkpoint.test_checkpoint import check_resumption, of_model

LIVES = (
    "        if not budget.over(run):\n            energy.forget()\n",
    "",
)
FAULTS = {
    "17: what the models kept lives on in the run that was not stopped": ("sampling", *LIVES),
    "chance begins anew": (
        "checkpoint.saving",
        '            draws.state = records[-1][0]["draws"]\n',
        "",
    ),
    "the counts of moves are lost": (
        "checkpoint.saving",
        '_counts(header["proposed"]), _counts(header["accepted"])',
        '_counts(header["proposed"]), Counter()',
    ),
    "a state is kept twice": (
        "checkpoint.saving",
        "_record(run, self.steps + 1, self.energy",
        "_record(run, self.steps, self.energy",
    ),
    "lock marks are lost": (
        "checkpoint.records",
        "torch.stack([ids, locked])",
        "torch.stack([ids, 0 * locked])",
    ),
    "energies are kept in single precision": (
        "checkpoint.records",
        "torch.stack(trace.energies[first:])",
        "torch.stack(trace.energies[first:]).float().double()",
    ),
    "the state is that of the beginning": (
        "checkpoint.saving",
        "return Run(state, trace, seconds)",
        "return Run(start, trace, seconds)",
    ),
}


def put_in(name: str, old: str, new: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault, wherever the faulty module is used."""
    module = load_with_fault(f"samplers.{name}", (old, new))
    for user, used in {
        "sampling": [(test_checkpoint, "sample")],
        "checkpoint.saving": [(sampling, "Keeper")],
        "checkpoint.records": [(saving, "of_trace"), (saving, "trace_of")],
    }[name]:
        monkeypatch.setattr(user, used, getattr(module, used))


def check(folder: Path, monkeypatch: pytest.MonkeyPatch, energy=None) -> None:
    same = {"steps": 24, "every": 7}
    if energy is None:
        energy, same = toy_energy(["a"]), {**same, "sampler": "annealing", "chains": 4}
    check_resumption(energy, folder, monkeypatch, max_length=12, **same)


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_caught(fault: str, tmp_path: Path, model_folder: Path, monkeypatch) -> None:
    put_in(*FAULTS[fault], monkeypatch)
    energy = of_model(load(str(model_folder))) if fault.startswith("17") else None
    with pytest.raises((AssertionError, CheckpointError)):
        check(tmp_path, monkeypatch, energy)


def test_the_code_as_it_is_passes(tmp_path: Path, monkeypatch) -> None:
    check(tmp_path, monkeypatch)


def cut_while_writing(module: ModuleType, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine goes off at each moment of writing: the records before are there, whole."""
    module.RecordFile.begin(file, {"n": 1}, {"x": torch.arange(5.0)})
    module.RecordFile.open(file)[0].append({"n": 2}, {"x": torch.arange(50.0)})
    calls = {"pwrite": os.pwrite, "fsync": os.fsync}
    for name, count in (("fsync", 0), ("fsync", 1), ("pwrite", 0), ("pwrite", 1)):
        journal, left = module.RecordFile.open(file)[0], [count]

        def gone(*about, name=name, left=left):
            left[0] -= 1
            if left[0] >= 0:
                return calls[name](*about)
            if name == "pwrite":  # half of it comes through
                calls[name](about[0], bytes(about[1])[: len(about[1]) // 2], about[2])
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(os, name, gone)
            with pytest.raises(KeyboardInterrupt):
                journal.append({"n": 3}, {"x": torch.arange(70.0)})
        kept = [header["n"] for header, _ in RecordFile.open(file)[1]]
        assert kept == ([1, 2, 3] if (name, count) == ("fsync", 1) else [1, 2])
        if len(kept) == 3:
            RecordFile.open(file)[0].back_to(2)
    last = RecordFile.open(file)[0]
    last.append({"n": 4}, {})
    assert [header["n"] for header, _ in RecordFile.open(file)[1]] == [1, 2, 4]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("SLOTS[self.number % 2]", "SLOTS[0]"),  # the slot that holds is written over
        ("            os.fsync(file)\n            self._commit", "            self._commit"),
        ("_put(file, record, self.commits[-1].end)", "_put(file, record, FIRST)"),
        (
            "            _put(file, record, self.commits[-1].end)\n            os.fsync(file)\n"
            "            self._commit(file, after)\n",
            "            self._commit(file, after)\n"
            "            _put(file, record, self.commits[-1].end)\n",
        ),
    ],
)
def test_a_record_that_is_not_put_in_place_as_a_whole(
    old: str, new: str, tmp_path: Path, monkeypatch
) -> None:
    module = load_with_fault("samplers.checkpoint.file", (old, new))
    with pytest.raises((AssertionError, ErgotextError, pytest.fail.Exception)):
        cut_while_writing(module, tmp_path / "run", monkeypatch)


def test_records_are_put_in_place_as_a_whole(tmp_path: Path, monkeypatch) -> None:
    module = load_with_fault("samplers.checkpoint.file")
    cut_while_writing(module, tmp_path / "run", monkeypatch)


def test_a_file_begins_as_a_whole(tmp_path: Path, monkeypatch) -> None:
    """Until all of its first record is on the disk, there is no file of that name."""

    def begun(module: ModuleType, file: Path) -> None:
        def gone(_: int) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", gone)
            with pytest.raises(KeyboardInterrupt):
                module.RecordFile.begin(file, {"n": 1}, {})
        assert not file.exists()

    name = "samplers.checkpoint.file"
    begun(load_with_fault(name), tmp_path / "run")
    with pytest.raises(pytest.fail.Exception):
        begun(load_with_fault(name, (", durable=True", "")), tmp_path / "other")
    faults = (  # as a kill would leave it, which cleans nothing up
        ('part = path.with_name(f"{_BEGIN}{uuid4().hex}{_END}")', "part = path"),
        ("part.unlink(missing_ok=True)", "pass"),
    )
    faulty = load_with_fault(name)
    faulty.replacing = load_with_fault("support.files", *faults).replacing
    with pytest.raises(AssertionError):
        begun(faulty, tmp_path / "another")


def test_a_run_that_ended_on_the_way_goes_on_behind_its_last_checkpoint(
    tmp_path: Path, model_folder: Path, monkeypatch
) -> None:
    """17: kept numbers of a run that ended would show in one that went on from its end."""
    old = 'and run.steps % made_of["every"] and'
    lm, longer = load(str(model_folder)), test_checkpoint
    put_in("checkpoint.saving", old, "and False and", monkeypatch)
    with pytest.raises(AssertionError):
        longer.test_a_run_of_any_length_can_be_made_longer_bit_by_bit(lm, tmp_path, 10)


def test_an_energy_that_nobody_compares(tmp_path: Path, monkeypatch) -> None:
    def goes_on_with_another(module: ModuleType, file: Path) -> None:
        monkeypatch.setattr(sampling, "Keeper", module.Keeper)
        same = {"chains": 2, "steps": 4, "checkpoint": file, "progress": False}
        sample(toy_energy(seed=0), **same)
        with pytest.raises(CheckpointError):
            sample(toy_energy(seed=1), resume=True, **same)

    goes_on_with_another(saving, tmp_path / "run")
    fault = "    _check_terms(path, energy.terms(run.state.batch), terms)\n"
    with pytest.raises(pytest.fail.Exception):
        goes_on_with_another(
            load_with_fault("samplers.checkpoint.saving", (fault, "")), tmp_path / "other"
        )
