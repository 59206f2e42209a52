"""Answers that retrieve would withhold, in the scores of an evaluation."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ergotext.errors import InputError
from ergotext.tasks.datasets.kgclue.data import read
from ergotext.tasks.evaluation.scoring import score

ANSWERS = ["a ||| b ||| c", "d ||| e ||| f", "", "g ||| h ||| i"]
TOLD = ["a ||| b ||| c", "d ||| e ||| x", "", "g ||| h ||| i"]
NONE = [0.5, 0.6, None, 0.4999]


def written(folder: Path, none: list[object]) -> tuple[Path, Path]:
    def lines(name: str, rows: list[dict[str, object]]) -> Path:
        text = "".join(json.dumps({"id": n, **row}) + "\n" for n, row in enumerate(rows))
        (folder / name).write_text(text, encoding="utf-8")
        return folder / name

    data = lines("data.jsonl", [{"question": "?", "answer": one} for one in ANSWERS])
    told = lines("out.jsonl", [{"answer": one} for one in TOLD])
    lines("out.hits.jsonl", [{"answer": a, "none": n} for a, n in zip(TOLD, none, strict=True)])
    return data, told


def test_an_empty_answer_is_absent(tmp_path: Path) -> None:
    data, _ = written(tmp_path, NONE)
    asked = read(data).asked
    assert [one.absent for one in asked] == [False, False, True, False]
    assert asked[2].answer is None and read(data).lines.bad == 0


def test_withheld_answers_are_told(tmp_path: Path) -> None:
    done = score(*written(tmp_path, NONE))
    assert done.marks is not None and done.withheld() == (2, 2, pytest.approx(100 / 3))
    record = done.record()
    assert record["EMF1"] == 66.667 and record["withheld"] == 2
    assert record["score_withheld"] == 33.333
    assert "2 answers, 2 of them right; EMF1 33.333 if they are withheld" in done.text()


def test_nothing_is_told_of_what_is_unknown(tmp_path: Path) -> None:
    done = score(*written(tmp_path, [None] * 4))
    assert done.withheld() is None and done.record()["withheld"] is None
    assert "withheld" not in done.text()
    with pytest.raises(InputError, match=r"invalid probability 1\.5"):
        score(*written(tmp_path, [0.1, 1.5, None, 0.2]))
