"""Digests of what a calibration was fitted with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import ergotext as et
from ergotext.tasks.retrieval.lookahead.learned import load_lookahead
from ergotext.tasks.retrieval.origin import BLOCK, BLOCKS, model_digest

RNG = np.random.default_rng(3)


def test_digests() -> None:
    look = load_lookahead("tiny-retriever")
    assert replace(look, scale=1.0).digest != look.digest != replace(look, others=()).digest
    assert et.StringMatch().digest != et.StringMatch(scale=1.0).digest
    assert model_digest("some/model") == "some/model"


@pytest.mark.parametrize("size", [10, BLOCK, 3 * BLOCK + 1, (2 * BLOCKS + 5) * BLOCK + 7])
def test_digests_of_models(size: int, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    raw = bytearray(RNG.bytes(size))
    found = set()
    for at in (None, 0, size // 2, size - 1):
        if at is not None:  # training changes weights all over a file
            near = slice(max(0, at - BLOCK), at + 2 * BLOCK)
            raw[near] = bytes((one + 1) % 256 for one in raw[near])
        (tmp_path / "model.safetensors").write_bytes(raw)
        found.add(model_digest(tmp_path))
    (tmp_path / "config.json").write_text("{ }")
    found.add(model_digest(tmp_path))
    assert len(found) == 5
