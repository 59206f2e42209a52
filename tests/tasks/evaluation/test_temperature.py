"""The temperature of a retriever, where the truth is drawn from the retriever itself."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import ergotext as et
from ergotext.errors import InputError
from ergotext.tasks.datasets.kgclue.data import Question, Triple
from ergotext.tasks.evaluation.temperature import fitted_temperature
from ergotext.tasks.index import build
from ergotext.tasks.retrieval.results import Hit
from tests.paths import ROOT
from tests.tasks.evaluation.test_evaluate import ASKED, KB
from tests.tiny_t5 import saved

PAGE = ROOT / "docs" / "evaluation.md"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("temperature")
    saved(folder / "model", [KB], seed=4)
    (folder / "kb.tsv").write_text(KB, encoding="utf-8")
    build(folder / "kb.tsv", folder / "kb.ergo", tokenizer=str(folder / "model"))
    lines = "".join(
        f'{{"id": {n}, "question": "{question}", "answer": "{answer}"}}\n'
        for n, (question, answer) in enumerate(ASKED)
    )
    (folder / "train.json").write_text(lines, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def retriever(folder: Path) -> et.Retriever:
    return et.Retriever(et.load(str(folder / "model"), device="cpu"), folder / "kb.ergo")


class Tabled:
    """Five entries for each question, of known weights, as ``Retriever`` gives them."""

    def __init__(self, count: int) -> None:
        rng = np.random.default_rng(0)
        self.texts = [f"question {number}" for number in range(count)]
        spread = rng.uniform(0.2, 3, size=(count, 1))
        self.weight = np.sort(rng.normal(size=(count, 5)) * spread)[:, ::-1]
        self.draw = rng.random(count)

    def share(self, temperature: float) -> NDArray[np.float64]:
        weight = np.exp(self.weight / temperature)
        return weight / weight.sum(1, keepdims=True)

    def retrieve(
        self,
        questions: list[str],
        k: int,
        *,
        temperature: float = 1.0,
        prefixes: int = 0,
        progress: bool = True,
        threshold: float = 1,
    ) -> list[list[Hit]]:
        assert questions == self.texts and k == 1 and prefixes == 7 and threshold == 0
        fields = {"subject": "S", "predicate": "0"}
        return [
            [Hit("", fields, ["O"], 0.0, 0.0, *[float(each[0])] * 3)]
            for each in self.share(temperature)
        ]


@pytest.mark.parametrize("temperature", [0.5, 3.0])
def test_the_temperature_is_found(temperature: float) -> None:
    """Of answers drawn at it: within five standard errors."""
    tabled, step = Tabled(2_000), 1e-5
    true = tabled.share(temperature)
    drawn = (tabled.draw[:, None] > true.cumsum(1)[:, :-1]).sum(1)
    asked = [
        Question(n, n, text, Triple(" s ", str(right), "whatever"))
        for n, (text, right) in enumerate(zip(tabled.texts, drawn, strict=True))
    ]
    asked.insert(3, Question(0, "not told", "?", None))
    found = fitted_temperature(tabled, asked, prefixes=7)
    up, down = (tabled.share(temperature * np.exp(s))[:, 0] for s in (step, -step))
    p = true[:, 0]
    error = 1 / np.sqrt((((up - down) / (2 * step)) ** 2 / (p * (1 - p))).sum())
    assert error < 0.1 and abs(np.log(found / temperature)) < 5 * error + 0.01


def test_what_cannot_be_fitted(folder: Path, retriever: et.Retriever) -> None:
    with pytest.raises(InputError, match="no question has an answer"):
        fitted_temperature(retriever, [Question(1, 1, "?", None)])
    large = et.Retriever(et.load(str(folder / "model")), folder / "kb.ergo")
    asked = [Question(1, 1, *(q, Triple(*a.split(" ||| ")))) for q, a in ASKED[:2]]
    with pytest.raises(InputError, match="raise prefixes"):
        fitted_temperature(large, asked, prefixes=0)


def test_page(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """The snippet of the page, with the small files of this test."""
    code = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)[1]
    ours = {"tiny-retriever": "model", "facts.ergo": "kb.ergo"}
    for theirs, our in (ours | {"examples/questions.jsonl": "train.json"}).items():
        assert code.count(f'"{theirs}"') == 1
        code = code.replace(theirs, our)
    monkeypatch.chdir(folder)
    exec(code, {})
    assert 2.0**-5 <= float(capsys.readouterr().out) <= 2.0**5
