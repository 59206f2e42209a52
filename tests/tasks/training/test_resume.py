"""Runs that go on from folders with torn, edited or missing files."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from ergotext.cli import main
from ergotext.tasks.training.checkpoints import CHECKPOINTS, File, Folders
from ergotext.tasks.training.lookahead.train import CHECKPOINT
from ergotext.tasks.training.run import TrainingRun
from tests.tasks.little_base import LittleBase

OPTIONS = ["--start", "new", "--only", "model", "--steps", "4", "--every", "2", "--width", "32",
           "--layers", "1", "--batch-size", "4"]  # fmt: skip
FILES = ("model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json")


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def last_whole(folder: Path) -> tuple[Path | None, list[str]]:
    return Folders(folder / CHECKPOINTS).last_whole()


def train(little: LittleBase, output: Path, *more: str) -> int:
    return main(["train", *little.arguments, *OPTIONS, "--device", "cpu", "-o", str(output), *more])


@pytest.fixture(scope="module")
def whole(little: LittleBase, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that has ended, with checkpoints of steps 2 and 4."""
    folder = tmp_path_factory.mktemp("whole") / "m"
    assert train(little, folder) == 0
    return folder


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    """The same, as if it had been killed right after the last checkpoint."""
    folder = Path(shutil.copytree(whole, tmp_path / "m"))
    (folder / "model.safetensors").unlink()
    return folder


def empty(raw: bytes) -> bytes:
    return b""


def cut(raw: bytes) -> bytes:
    return raw[: len(raw) // 2]


def zeros(raw: bytes) -> bytes:
    return bytes(len(raw))


def other(raw: bytes) -> bytes:
    return b"[" * 100_000


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("tear", [empty, cut, zeros, other, None])
def test_a_torn_file_of_the_last_checkpoint_is_found(
    run: Path, name: str, tear: Callable[[bytes], bytes] | None
) -> None:
    last, before = (run / CHECKPOINTS / f"checkpoint-{n}" for n in (4, 2))
    assert last_whole(run) == (last, [])
    file = last / name
    if tear is None:
        file.unlink()
    else:
        file.write_bytes(tear(file.read_bytes()))
    found, damaged = last_whole(run)
    assert found == before
    if name == FILES[-1] and tear is None:
        assert damaged == []  # what was never written to its end is none
    else:
        assert len(damaged) == 1 and damaged[0].startswith(f"{last} is damaged (")


def test_one_flipped_byte_is_found(run: Path) -> None:
    file = run / CHECKPOINTS / "checkpoint-4" / "optimizer.pt"
    raw = bytearray(file.read_bytes())
    raw[len(raw) // 2] ^= 1
    file.write_bytes(raw)
    found, _ = last_whole(run)
    assert found is not None and found.name == "checkpoint-2"


def test_a_run_goes_on_from_the_checkpoint_before(
    whole: Path, run: Path, little: LittleBase, capsys: pytest.CaptureFixture[str]
) -> None:
    """With an empty file, which torch reads as an end of input; bit by bit."""
    (run / CHECKPOINTS / "checkpoint-4" / "optimizer.pt").write_bytes(b"")
    assert train(little, run, "--resume") == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert "checkpoint-4 is damaged" in line and "resuming from checkpoint-2" in line
    before, after = weights(whole), weights(run)
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_run_without_a_whole_checkpoint_begins_anew(
    whole: Path, run: Path, little: LittleBase, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in (2, 4):
        (run / CHECKPOINTS / f"checkpoint-{number}" / "rng_state.pth").write_bytes(b"x")
    assert train(little, run, "--resume") == 0
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2 and all("starting from scratch" in line for line in said)
    before, after = weights(whole), weights(run)
    assert all(torch.equal(before[name], after[name]) for name in before)


def nothing(file: Path) -> None:
    torch.save({}, file)


def a_list(file: Path) -> None:
    torch.save([1, 2], file)


def other_shapes(file: Path) -> None:
    told = torch.load(file, weights_only=True)
    for state in told.get("state", {}).values():
        state["exp_avg"] = torch.zeros(3)
    torch.save(told | {"param_groups": []}, file)


@pytest.mark.parametrize("edit", [nothing, a_list, other_shapes])
def test_an_edited_checkpoint_is_one_line(
    run: Path, little: LittleBase, capsys: pytest.CaptureFixture[str], edit: Callable[[Path], Any]
) -> None:
    """Whole files with checksums that hold, which say something else."""
    edit(run / CHECKPOINTS / "checkpoint-4" / "optimizer.pt")
    assert train(little, run, "--steps", "6", "--resume") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("ergotext: cannot resume from") and "remove that folder" in line


def test_a_run_that_was_ended_before_it_began_is_no_dead_end(
    whole: Path, tmp_path: Path, little: LittleBase, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever of the first files is there: with --resume the run begins."""
    for names in (["training.json"], ["training.json", "tokenizer_config.json"]):
        output = tmp_path / str(len(names))
        output.mkdir()
        for name in names:
            shutil.copy(whole / name, output)
        assert train(little, output) == 2
        assert "contains a run; continue it with --resume" in capsys.readouterr().err
        assert train(little, output, "--resume") == 0
        before, after = weights(whole), weights(output)
        assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_folder_that_holds_no_run_is_not_sent_to_and_fro(
    whole: Path, tmp_path: Path, little: LittleBase, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "m"
    output.mkdir()
    shutil.copy(whole / "tokenizer.json", output)
    assert train(little, output) == 2
    assert "is not empty and contains no run: use another folder" in capsys.readouterr().err
    assert train(little, output, "--resume") == 2
    assert "give the folder of a run, or start without resume in" in capsys.readouterr().err


def test_a_look_ahead_goes_on_from_the_checkpoint_before(
    little: LittleBase, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def run(output: Path, *more: str) -> int:
        options = ["--start", "new", "--only", "lookahead", "--lookahead-steps", "6", "--every",
                   "2", "--batch-size", "4", "--lookahead-width", "8"]  # fmt: skip
        given = [*little.arguments, *options, "--device", "cpu", "-o", str(output), *more]
        return main(["train", *given])

    assert run(tmp_path / "whole") == 0
    step = TrainingRun.step
    for tear in (empty, cut, zeros, other):
        output = tmp_path / tear.__name__
        monkeypatch.setattr(
            TrainingRun, "step", lambda self: interrupt() if self.done == 5 else step(self)
        )
        assert run(output) == 130
        monkeypatch.setattr(TrainingRun, "step", step)
        last = output / CHECKPOINT
        last.write_bytes(tear(last.read_bytes()))
        capsys.readouterr()
        assert run(output, "--resume") == 0
        (line,) = capsys.readouterr().err.splitlines()
        assert f"{CHECKPOINT} is damaged" in line and f"from {File(last).before.name}" in line
        kept, whole = (load_file(f / "matcher.safetensors") for f in (output, tmp_path / "whole"))
        assert all(torch.equal(kept[name], whole[name]) for name in whole)
        assert not last.exists() and not File(last).before.exists()
    output = tmp_path / "none"
    output.mkdir()
    for path in (output / CHECKPOINT, File(output / CHECKPOINT).before):
        path.write_bytes(b"")
    assert run(output, "--resume") == 2
    assert "remove the damaged files, or start a new run" in capsys.readouterr().err


def interrupt() -> tuple[float, float]:
    raise KeyboardInterrupt
