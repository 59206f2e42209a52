"""Digests of what a calibration was fitted with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import ergotext as et
from ergotext.tasks.retrieval import origin as module
from ergotext.tasks.retrieval.lookahead.learned import load_lookahead
from ergotext.tasks.retrieval.origin import BLOCK, BLOCKS, model_digest
from tests.faulty import load_with_fault

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


def cached(cache: Path, revision: str, weights: bytes) -> Path:
    """A revision of some/model in a cache of the hub, which is the present one."""
    model = cache / "models--some--model"
    folder = model / "snapshots" / revision
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(weights)
    (model / "refs").mkdir(exist_ok=True)
    (model / "refs" / "main").write_text(revision)
    return folder


def revisions_differ(module: ModuleType, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    first = module.model_digest(cached(cache, "aaaa", b"first"))
    assert module.model_digest("some/model") == first
    second = module.model_digest(cached(cache, "bbbb", b"second"))
    assert module.model_digest("some/model") == second != first
    (cache / "models--some--model" / "refs" / "main").write_text("aaaa")
    assert module.model_digest("some/model") == first
    assert module.model_digest("some/other") == "some/other"
    assert module.model_digest("a name/that no/hub has") == "a name/that no/hub has"


def test_a_hub_id_stands_for_its_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    revisions_differ(module, tmp_path, monkeypatch)
    pickled = module._folder("some/model") / "pytorch_model.bin"
    pickled.write_bytes(b"never loaded")
    assert module.model_digest("some/model") == module.model_digest(pickled.parent)


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("Path(found).parent", "Path(source)"),
        ("found is None else", "found is not None else"),
        ('cached_file(str(source), "config.json", local_files_only=True)', "None"),
    ],
)
def test_faults_are_seen(
    line: str, fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faulty = load_with_fault("tasks.retrieval.origin", (line, fault))
    with pytest.raises((AssertionError, TypeError)):
        revisions_differ(faulty, tmp_path, monkeypatch)
