"""Evaluation of titles: accuracy and mean reciprocal rank, in a run and of ready predictions."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import ergotext as et
from ergotext.errors import InputError
from ergotext.tasks.evaluation import scoring
from ergotext.tasks.evaluation.evaluate import evaluate, retriever_of
from ergotext.tasks.evaluation.report import Evaluation
from ergotext.tasks.evaluation.scoring import score
from ergotext.tasks.evaluation.titles import mark_titles
from ergotext.tasks.index import build
from ergotext.tasks.retrieval.results import Hit, Hits
from tests import tiny_t5
from tests.faulty import load_with_fault

TITLES = ["Berlin", "Paris", "Paris, Texas", "Rome"]
FOUND = {
    "first": ["Berlin", "Rome"], "second": ["Rome", "paris", "Berlin"], "not there": ["Rome"],
    "third": ["Rome", "Berlin", "Paris"], "nothing": [],
}  # fmt: skip
GOLD = {
    "first": "berlin", "second": "Paris", "not there": "Paris, Texas", "third": "Paris",
    "nothing": "Rome",
}  # fmt: skip
MRR = 100 * (1 + 1 / 2 + 0 + 1 / 3 + 0) / 5


def ask(questions: list[str]) -> list[Hits]:
    return [
        Hits([Hit(t, {"key": t}, [], -n, -n, 0.5, 0.5, 0.5) for n, t in enumerate(FOUND[q])])
        for q in questions
    ]


class Run:
    def __init__(self, folder: Path, asked: dict[str, Any] = GOLD) -> None:
        self.folder, self.output = folder, folder / "out.jsonl"
        self.data, self.index = folder / "dev.json", folder / "titles.ergo"
        lines = [json.dumps({"id": n, "question": q, "answer": a}) for n, (q, a) in
                 enumerate(asked.items())]  # fmt: skip
        self.data.write_text("\n".join(lines), encoding="utf-8")
        (folder / "titles.txt").write_text("\n".join(TITLES), encoding="utf-8")
        build(folder / "titles.txt", self.index, columns="key")

    def __call__(self, make: Any = None, **more: Any) -> Evaluation:
        config = {
            "data": str(self.data), "index": str(self.index), "output": str(self.output),
            "model": "plain", "engine": "local", "workers": 2, "prefixes": 9, **more,
        }  # fmt: skip
        return evaluate(config, make or (lambda: ask), progress=False)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def a_run_is_scored(run: Run) -> None:
    done = run()
    assert done.marks is not None and done.marks.right.tolist() == [True] + [False] * 4
    assert done.marks.scores() == {"accuracy": 20.0, "MRR": round(MRR, 3)}
    assert (done.answered, done.empty, done.failed) == (4, 1, [])
    assert done.text().startswith("accuracy 20.000\nMRR 36.667\nexpected calibration error 0.200\n")
    assert json.loads(done.json())["MRR"] == 36.667 and "EMF1" not in done.json()


def predictions_are_scored_alike(run: Run) -> None:
    """With the answers beside them; without these only the first ones count."""
    run()
    done = scoring.score(run.data, run.output)
    assert done.marks is not None
    assert done.marks.scores() == {"accuracy": 20.0, "MRR": round(MRR, 3)}
    assert done.calibration() is not None and done.graded == "accuracy"
    run.output.with_suffix(".hits.jsonl").unlink()
    alone = scoring.score(run.data, run.output)
    assert alone.marks is not None and alone.marks.scores() == {"accuracy": 20.0}


@pytest.mark.parametrize("check", [a_run_is_scored, predictions_are_scored_alike])
def test_titles(check: Callable[[Run], None], run: Run) -> None:
    check(run)


def test_files_and_resuming(run: Run) -> None:
    run(limit=2)
    done = run()
    assert done.before == 2 and done.marks is not None
    assert done.marks.scores()["MRR"] == round(MRR, 3)  # from what is beside
    first = json.loads(run.output.read_text(encoding="utf-8").splitlines()[0])
    assert first == {"id": 0, "answer": "Berlin"}
    hits = run.output.with_suffix(".hits.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(hits[1])["titles"] == FOUND["second"]
    told = run.output.with_suffix(".run.toml").read_text(encoding="utf-8")
    assert "MRR = 36.667" in told and "object = " not in told


def test_a_model_over_an_index_of_titles(tmp_path: Path) -> None:
    """The whole way, with a random model: MRR over ten answers is that of all its titles."""
    folder = tiny_t5.saved(tmp_path / "model", [*TITLES, *GOLD])
    run = Run(tmp_path)
    build(tmp_path / "titles.txt", run.index, columns="key", tokenizer=str(folder))
    config = {
        "index": str(run.index), "model": str(folder), "prompt": None, "device": "cpu",
        "dtype": "float32", "threads": None, "anywhere": False, "lookahead": "auto", "beams": 10,
        "prefixes": 100, "temperature": 1.0,
    }  # fmt: skip
    done = run(partial(retriever_of, config), **config)
    retriever = et.Retriever(et.load(str(folder)), run.index)
    ranks = [
        1 + [hit.text.lower() for hit in hits].index(GOLD[question].lower())
        for question, hits in zip(GOLD, retriever.retrieve(list(GOLD), k=10), strict=True)
    ]
    assert done.marks is not None and done.failed == []
    scores = done.marks.scores()
    assert scores["MRR"] == round(100 * sum(1 / rank for rank in ranks) / 5, 3)
    assert scores["accuracy"] == 20.0 * ranks.count(1)


def test_what_does_not_go_together(run: Run, tmp_path: Path) -> None:
    with run.data.open("a", encoding="utf-8") as file:
        file.write('\n{"id": 9, "question": "?", "answer": "a ||| b ||| c"}')
    said = run().complaints()
    assert said[0] == "1 of 6 lines left out:"
    assert "line 6: the answer 'a ||| b ||| c' is a triple, where titles are expected" in said[1]
    assert score(run.data, run.output).marks is not None  # most answers are titles
    run.data.write_text('{"id": 9, "question": "?", "answer": "a ||| b ||| c"}', encoding="utf-8")
    with pytest.raises(InputError, match=r'"answer": "title"'):
        run(output=str(tmp_path / "other.jsonl"))


@pytest.mark.parametrize("titles", [["Rome"], "Berlin", ["Berlin", 3], None])
def test_titles_beside_that_are_not_of_these_answers(run: Run, titles: object) -> None:
    run()
    path = run.output.with_suffix(".hits.jsonl")
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    rows[0]["titles"] = titles
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    with pytest.raises(InputError, match=r"invalid titles .* \(id 0\): remove it"):
        score(run.data, run.output)


def test_predictions_that_are_no_texts(run: Run) -> None:
    run.output.write_text('{"id": 0, "answer": 7}\n{"id": 1, "answer": "Paris"}', encoding="utf-8")
    done = score(run.data, run.output)
    assert [one["error"] for one in done.failed] == ["the answer 7 is not a text"]
    assert done.marks is not None and done.marks.scores() == {"accuracy": 20.0}


def predictions_of_two_kinds_are_told(folder: Path, scoring: ModuleType) -> None:
    """Titles among triples and triples among titles fail, and one line says what to do."""
    gold = ["Rome ||| capital of ||| Italy", "Paris ||| capital of ||| France"]
    mixed = folder / "mixed.jsonl"
    told = [{"id": 0, "answer": gold[0]}, {"id": 1, "answer": "Paris"}]
    mixed.write_text("\n".join(map(json.dumps, told)), encoding="utf-8")
    for name, answers, other, right in (
        ("triples", gold, "titles", [True, False]), ("titles", ["Rome", "Paris"], "triples",
        [False, True]),
    ):  # fmt: skip
        data = folder / f"{name}.json"
        asked = [{"id": n, "question": "?", "answer": a} for n, a in enumerate(answers)]
        data.write_text("\n".join(map(json.dumps, asked)), encoding="utf-8")
        done = scoring.score(data, mixed)
        assert [one["id"] for one in done.failed] == [right.index(False)]
        assert done.marks is not None and done.marks.right.tolist() == right
        assert done.complaints()[-1] == (
            f"1 of 2 predictions look like {other}, but the answers of {data} are {name}: score "
            f"{other} in a file of their own, with questions whose answers are {other}"
        )
    alike = folder / "alike.jsonl"
    alike.write_text(json.dumps(told[1]), encoding="utf-8")
    assert scoring.score(folder / "titles.json", alike).complaints() == []


def test_predictions_of_two_kinds(tmp_path: Path) -> None:
    predictions_of_two_kinds_are_told(tmp_path, scoring)


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("separate if SEPARATOR in answer else None", "None"),
        ("(SEPARATOR in answer) == questions.titles", "questions.titles"),
        ('("triples", "titles") if', '("titles", "triples") if'),
        ("if other else done", "if False else done"),
        ("questions)) if other else done", "questions))"),
    ],
)
def test_faults_with_two_kinds_are_seen(line: str, fault: str, tmp_path: Path) -> None:
    faulty = load_with_fault("tasks.evaluation.scoring", (line, fault))
    with pytest.raises(AssertionError):
        predictions_of_two_kinds_are_told(tmp_path, faulty)


def test_nothing_to_score() -> None:
    with pytest.raises(InputError, match="no answers to score"):
        mark_titles([], []).scores()


FAULTS = {
    "the rank begins with 0": (
        "tasks.evaluation.titles", "written.index(true) + 1 if", "written.index(true) if",
    ),
    "a title that is not there counts as the last": (
        "tasks.evaluation.titles", "true in written else 0", "true in written else len(written)",
    ),
    "MRR over those found": (
        "tasks.evaluation.titles", "float(inverse.mean())", "float(inverse[found].mean())",
    ),
    "case counts": ("tasks.evaluation.titles", "true = normalised(title)", "true = title"),
    "MRR of first answers alone": (
        "tasks.evaluation.scoring", "ranked=None not in lists", "ranked=True",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_seen(fault: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    module, *change = FAULTS[fault]
    faulty = load_with_fault(module, tuple(change))
    if module.endswith("titles"):
        monkeypatch.setattr(scoring, "mark_titles", faulty.mark_titles)
    else:
        monkeypatch.setattr(scoring, "score", faulty.score)
    with pytest.raises(AssertionError):
        both_hold(run)


def both_hold(run: Run) -> None:
    a_run_is_scored(run)
    predictions_are_scored_alike(run)
