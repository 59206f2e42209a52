"""Two small models and some facts, loaded once for all tests of the server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ergotext.cli import main
from ergotext.lm.loading import load_causal
from ergotext.server.models import ServedModels
from ergotext.tasks.retrieval.answering import Answerer
from tests.paths import ROOT
from tests.server.running import Running, running


@pytest.fixture(scope="session")
def facts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("served") / "facts.ergo"
    source = str(ROOT / "examples" / "facts.tsv")
    assert main(["index", "build", source, "-o", str(out), "--tokenizer", "tiny-retriever"]) == 0
    return out


@pytest.fixture(scope="session")
def models(facts: Path) -> ServedModels:
    return ServedModels(load_causal("tiny-causal"), Answerer.open("tiny-retriever", facts))


@pytest.fixture(scope="module")
def here(models: ServedModels) -> Iterator[Running]:
    with running(models) as found:
        yield found
