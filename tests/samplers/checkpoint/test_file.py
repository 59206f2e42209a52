"""The file of a checkpoint: who may write to it, and what it costs to read."""

from __future__ import annotations

import os
from pathlib import Path
from threading import Thread

import pytest
import torch

from ergotext.samplers.checkpoint.file import CheckpointError, RecordFile


def test_two_runs_that_write_at_one_moment(tmp_path: Path, monkeypatch) -> None:
    """One of them is kept, whole; the other is told."""
    file = tmp_path / "run"
    RecordFile.begin(file, {"n": 0}, {})
    one, other = RecordFile.open(file)[0], RecordFile.open(file)[0]
    told: list[CheckpointError] = []

    def write() -> None:
        try:
            other.append({"n": 2}, {"x": torch.arange(90)})
        except CheckpointError as error:
            told.append(error)

    meanwhile, real = Thread(target=write), os.pwrite

    def interrupted(*about) -> int:
        """The other begins to write when the first is about to, and has time to."""
        monkeypatch.setattr(os, "pwrite", real)
        meanwhile.start()
        meanwhile.join(timeout=0.5)
        return real(*about)

    monkeypatch.setattr(os, "pwrite", interrupted)
    one.append({"n": 1}, {"x": torch.arange(9)})
    meanwhile.join()
    assert [header["n"] for header, _ in RecordFile.open(file)[1]] == [0, 1]
    assert len(told) == 1
    assert "another process has written" in str(told[0])


def test_a_file_is_read_once_however_many_records_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, read = tmp_path / "run", [0]
    journal = RecordFile.begin(file, {"n": 0}, {})
    for n in range(1, 40):
        journal.append({"n": n}, {"x": torch.arange(9)})

    class Counted(bytes):
        def __getitem__(self, where):
            part = bytes.__getitem__(self, where)
            read[0] += len(part)
            return part

    whole = Counted(file.read_bytes())
    monkeypatch.setattr(Path, "read_bytes", lambda _: whole)
    assert len(RecordFile.open(file)[1]) == 40
    assert read[0] < 5 * len(whole)
