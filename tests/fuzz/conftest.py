"""Models that are loaded once, and files as they should be."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import pytest
import torch
import typer

from ergotext.cli import main
from ergotext.lm import loading
from ergotext.lm.sources import SHIPPED
from ergotext.tasks.retrieval.lookahead import learned
from tests.fuzz.running import ASKED, SMALL

KB = "Mars\tmoons\t2\nMars\tcolour\tred\nSaturn\tmoons\t146\n火星\t颜色\t红\n"


@pytest.fixture(scope="module", autouse=True)
def kept_in_memory() -> Iterator[None]:
    """The shipped models are loaded once, and the parser of the command line is made once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(typer.main, "get_command", lru_cache(typer.main.get_command))
        for module, name, known in (
            (loading, "load", SHIPPED),
            (learned, "load_lookahead", ["tiny-retriever"]),
        ):
            real = getattr(module, name)
            once = lru_cache(real)

            def kept(model="smollm2", *, real=real, once=once, known=known, **options):
                return once(model, **options) if model in known else real(model, **options)

            for other in [m for n, m in sys.modules.items() if n.startswith("ergotext.")]:
                if getattr(other, name, None) is real:
                    patch.setattr(other, name, kept)
        threads = torch.get_num_threads()
        patch.setattr(torch, "set_num_threads", lambda _: None)
        yield
    assert torch.get_num_threads() == threads


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Files as they should be."""
    folder = tmp_path_factory.mktemp("good")
    (folder / "kb.tsv").write_text(KB, encoding="utf-8")
    found = {}
    for name, more in (("plain", []), ("kb", ["--tokenizer", "tiny-retriever"])):
        out = folder / f"{name}.ergo"
        assert main(["index", "build", str(folder / "kb.tsv"), "-o", str(out), *more]) == 0
        found[out.name] = out.read_bytes()
    checkpoint = str(folder / "run.ckpt")
    assert main(["sample", *SMALL, "--checkpoint", checkpoint]) == 0
    assert main(["evaluate", str(questions(folder)), "-i", str(folder / "kb.ergo"),
                 "-o", str(folder / "out.jsonl"), "--beams", "2"]) == 0  # fmt: skip
    for file in ("run.ckpt", "out.jsonl", "out.hits.jsonl", "out.run.toml"):
        found[file] = (folder / file).read_bytes()
    return found


def questions(folder: Path) -> Path:
    (folder / "questions.jsonl").write_text(ASKED, encoding="utf-8")
    return folder / "questions.jsonl"
