"""Checkpoints that anyone may have edited, with checksums that hold: one sentence, or a run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ergotext.errors import ErgotextError
from ergotext.samplers.checkpoint.file import CheckpointError, Record, RecordFile
from ergotext.samplers.sampling import sample
from tests.lm.trie.crafted import odd_fields, within
from tests.samplers.checkpoint.test_checkpoint import flat_energy

ODD: list[Any] = [None, True, -1, 10**30, float("nan"), "x", [], {"stay": -1}]
SAME: dict[str, Any] = {"chains": 2, "steps": 5, "progress": False, "seed": 5}


def tensors_like(tensor: Tensor) -> Iterator[Tensor]:
    """Other shapes, types and numbers."""
    yield torch.zeros(0, dtype=tensor.dtype)
    yield torch.zeros((1, 2, 3), dtype=tensor.dtype)
    yield torch.zeros(10_000, dtype=tensor.dtype)
    yield tensor.double() + 0.5
    yield tensor.to(torch.uint8)
    yield tensor[..., :1]
    yield torch.cat([tensor, tensor])
    yield torch.full_like(tensor, -1)
    yield torch.full_like(tensor, 10**6)
    if tensor.dtype.is_floating_point:
        yield torch.full_like(tensor, torch.nan)
    else:
        yield torch.full_like(tensor, torch.iinfo(tensor.dtype).max)


def edits(record: Record) -> Iterator[tuple[str, Record]]:
    header, tensors = record
    for name, found in odd_fields(header, ODD):
        yield name, (found, tensors)
    for name, tensor in tensors.items():
        yield f"no {name}", (header, {n: t for n, t in tensors.items() if n != name})
        for other in tensors_like(tensor):
            yield f"{name}: {other.dtype} {tuple(other.shape)}", (header, {**tensors, name: other})


def test_every_field_of_a_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)  # nothing here outlives the machine
    file, crafted = tmp_path / "run", tmp_path / "crafted"
    sample(flat_energy(), checkpoint=file, every=4, **SAME | {"steps": 4})
    _, records = RecordFile.open(file)
    tried = refused = 0
    for what, edited in edits(records[-1]):
        journal = RecordFile.begin(crafted, *records[0])
        journal.append(*edited)
        tried += 1
        try:
            with within(10.0, what):
                sample(flat_energy(), checkpoint=crafted, every=4, resume=True, **SAME)
        except ErgotextError as error:
            refused += 1
            said = str(error)
        except Exception as error:
            raise AssertionError(f"{what}: {error!r}") from error
        else:
            continue
        assert "\n" not in said and len(said) < 700, what
    assert len(records) == 2 and tried > 300
    assert refused > 0.4 * tried  # what made the run is compared in the first record


@pytest.mark.parametrize("header", [{"a": "x" * 10**6}, {"made_of": {}}, {}])
def test_a_header_of_something_else(tmp_path: Path, header: dict[str, Any]) -> None:
    RecordFile.begin(tmp_path / "run", header, {})
    with pytest.raises(CheckpointError, match=r"another (version|run)|of this version"):
        sample(flat_energy(), checkpoint=tmp_path / "run", resume=True, **SAME)
