"""Probabilities of model and look-ahead together, against enumeration."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from ergotext.cli import main
from ergotext.errors import InputError, ModelError
from ergotext.lm.trie import TokenTrie
from ergotext.tasks.retrieval import branch_and_bound
from ergotext.tasks.retrieval.calibration import Calibration
from ergotext.tasks.retrieval.candidates import Candidates
from ergotext.tasks.retrieval.lookahead.fitted import NAME, Fitted
from ergotext.tasks.retrieval.retriever import Retriever
from tests.tasks.retrieval import test_retriever_table as table
from tests.tasks.retrieval.table_reader import TableReader
from tests.tiny_t5 import saved


def ahead(question: str, keys: Candidates) -> np.ndarray:
    """Some keys are out of the question."""
    values = ((keys.ordinals * 7919 + len(question)) % 13).astype(np.float64)
    return np.where(values > 9, -np.inf, values)


@pytest.mark.parametrize("spans", [True, False])
def test_probabilities_are_those_of_enumeration(
    reader: TableReader,
    trie: TokenTrie,
    spans: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(branch_and_bound, "MOST_SCORED", 1000)
    retriever = Retriever(reader, trie, triples=True)
    found = retriever.retrieve(
        table.QUESTIONS, k=1000, lookahead=ahead, spans=spans, prefixes=0, temperature=3.0,
    )  # fmt: skip
    one = retriever.retrieve(
        table.QUESTIONS, k=1, lookahead=ahead, spans=spans, prefixes=0, temperature=3.0,
    )  # fmt: skip
    for question, hits, first in zip(table.QUESTIONS, found, one, strict=True):
        if spans and not hits.mentions:
            assert not hits and hits.subject == "none"
            continue
        assert hits.exact and len(hits) > 5
        scores = {table.key_of(hit): hit.score for hit in hits}
        for key, score in scores.items():
            extra = score - reader.log_prob(question, key)
            assert extra == pytest.approx(round(extra), abs=1e-9) and round(extra) <= 9
        weights = np.exp(np.array(list(scores.values())) / 3.0)
        told = np.array([hit.probability for hit in hits])
        np.testing.assert_allclose(told, weights / weights.sum(), atol=1e-12)
        assert told.sum() == pytest.approx(1.0, abs=1e-12)
        assert all(hit.probability_low == hit.probability == hit.probability_high for hit in hits)
        assert first == hits[:1]


def test_too_many_candidates_have_none(
    reader: TableReader, trie: TokenTrie, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(branch_and_bound, "MOST_SCORED", 3)
    flat = Retriever(reader, trie, triples=True).retrieve(
        table.QUESTIONS[:1], k=2, beams=2, lookahead=lambda _, keys: np.zeros(len(keys)),
        prefixes=0,
    )  # fmt: skip
    assert len(flat[0]) == 2 and all(math.isnan(hit.probability) for hit in flat[0])


def test_few_scores_that_prove_the_best_are_not_all_there_is(
    reader: TableReader, trie: TokenTrie, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The best are proven, but the others weigh something too: no share can be told."""
    monkeypatch.setattr(branch_and_bound, "MOST_SCORED", 3)
    retriever = Retriever(reader, trie, triples=True)
    options = {"k": 1, "prefixes": 0, "temperature": 200.0}
    (hits,) = retriever.retrieve(
        table.QUESTIONS[:1], lookahead=lambda _, keys: -100.0 * np.arange(len(keys)), **options
    )
    assert hits.exact and len(hits) == 1 and math.isnan(hits[0].probability)

    def three(_: str, keys: Candidates) -> np.ndarray:
        return np.where(np.arange(len(keys)) < 3, 0.0, -np.inf)

    (hits,) = retriever.retrieve(table.QUESTIONS[:1], lookahead=three, **{**options, "k": 3})
    assert len(hits) == 3 and sum(hit.probability for hit in hits) == pytest.approx(1.0)


def test_what_is_not_known_reaches_no_threshold(
    reader: TableReader, trie: TokenTrie, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(branch_and_bound, "MOST_SCORED", 3)
    (hits,) = Retriever(reader, trie, triples=True).retrieve(
        table.QUESTIONS[:1], k=2, beams=2, lookahead=lambda _, keys: np.zeros(len(keys)),
        prefixes=0, threshold=0.5,
    )  # fmt: skip
    assert not hits and "not known" in hits.notes[-1]


def test_thresholds_go_by_it(reader: TableReader, trie: TokenTrie) -> None:
    retriever = Retriever(reader, trie, triples=True)
    options = {"lookahead": ahead, "prefixes": 0}
    (hits,) = retriever.retrieve(table.QUESTIONS[:1], k=1, **options)
    for above, count in ((hits[0].probability + 1e-6, 0), (hits[0].probability - 1e-6, 1)):
        (again,) = retriever.retrieve(table.QUESTIONS[:1], k=1, threshold=above, **options)
        assert len(again) == count
    with pytest.raises(InputError, match="a calibration needs a look-ahead"):
        retriever.retrieve(table.QUESTIONS, calibration=Calibration())


def test_fitted_numbers(tmp_path: Path) -> None:
    assert Fitted.load(tmp_path) == Fitted()
    Fitted(3.0, 1.5).save(tmp_path)
    assert Fitted.load(tmp_path) == Fitted(3.0, 1.5)
    for damaged in (
        "{",
        '{"size": 1}',
        '{"scale": 0}',
        '{"scale": "a"}',
        "[]",
        f'{{"scale": {10**400}}}',
    ):
        (tmp_path / NAME).write_text(damaged, encoding="utf-8")
        with pytest.raises(ModelError, match=NAME):
            Fitted.load(tmp_path)


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The model's own temperature is of its own probabilities, and of no others."""
    lines = "香蕉\t产地\t海南\n香蕉\t颜色\t黄\n香蕉\t高度\t3米\n"
    saved(tmp_path / "model", [lines])
    (tmp_path / "kb.tsv").write_text(lines, encoding="utf-8")
    files = [str(tmp_path / name) for name in ("kb.tsv", "kb.ergo")]
    model = str(tmp_path / "model")
    assert main(["index", "build", files[0], "-o", files[1], "--tokenizer", model]) == 0
    Fitted(temperature=40.0).save(tmp_path / "model")
    common = ["retrieve", "-i", files[1], "--model", model, "--device", "cpu", "--json", "香蕉颜色"]
    told = []
    for options in ([], ["--temperature", "10"], ["--model-probability"], ["--lookahead", "none"],
                    ["--lookahead", "none", "--temperature", "40"]):  # fmt: skip
        capsys.readouterr()
        assert main([*common, *options]) == 0
        told.append(json.loads(capsys.readouterr().out)["results"])
    for which, number, temperature in ((0, "score", 10), (2, "log_prob", 40), (3, "log_prob", 40)):
        weights = np.exp(np.array([hit[number] for hit in told[which]]) / temperature)
        probability = [hit["probability"] for hit in told[which]]
        assert probability == pytest.approx(weights / weights.sum(), abs=1e-6)
    assert told[0] == told[1] != told[2] and told[3] == told[4]
