"""The log of a run and its curve, also after kills and resumptions."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ergotext.tasks.plot import figure
from ergotext.tasks.training import log as log_module
from ergotext.tasks.training.log import Log, save_curve
from tests.faulty import load_with_fault

LINES: list[dict[str, Any]] = [
    {"step": 10, "seconds": 1.0, "loss": 5.0},
    {"step": 20, "seconds": 2.0, "loss": 4.0},
    {"step": 20, "seconds": 2.1, "eval_EMF1": 0.1},
    {"step": 20, "seconds": 0.5, "loss": 3.0},
    {"step": 20, "seconds": 0.6, "eval_EMF1": 0.7},
    {"step": 15, "seconds": 0.7, "loss": 4.5},
]


def curves(module: ModuleType, log: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The points of both panels, as they are drawn."""
    pages = []
    monkeypatch.setattr(module, "figure", lambda: pages.append(figure()) or pages[0])
    assert module.save_curve(log, log.with_suffix(".png"), "EMF1")
    monkeypatch.undo()
    return [list(map(tuple, panel.lines[0].get_xydata())) for panel in pages[0].axes]


def check_curve(module: ModuleType, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps in order, each with the last that was written of it, each value in its panel."""
    log.write_text("".join(json.dumps(line) + "\n" for line in LINES), encoding="utf-8")
    loss, score = curves(module, log, monkeypatch)
    assert loss == [(10, 5.0), (15, 4.5), (20, 3.0)]
    assert score == [(20, 0.7)]


def test_the_last_word_on_a_step_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_curve(log_module, tmp_path / "log.jsonl", monkeypatch)


@pytest.mark.parametrize(
    "other",
    [
        'told = {line["step"]: line[name] for line in reversed(lines) if name in line}',
        'told = {line["step"]: line[name] for line in lines[:-1] if name in line}',
        'told = {line["step"]: line[name] for line in lines[1:] if name in line}',
        "told = {n: line[name] for n, line in enumerate(lines) if name in line}",
        'told = {line["step"]: line.get(name, 0.0) for line in lines}',
    ],
)
def test_fault_is_caught(other: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = 'told = {line["step"]: line[name] for line in lines if name in line}'
    faulty = load_with_fault("tasks.training.log", (ours, other))
    with pytest.raises((AssertionError, KeyError)):
        check_curve(faulty, tmp_path / "log.jsonl", monkeypatch)


def test_a_torn_line_is_lost_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kill in the middle of a line ends neither the next run nor its curve."""
    log = tmp_path / "log.jsonl"
    whole = json.dumps(LINES[0]) + "\n"
    log.write_text(whole + json.dumps(LINES[1])[:-4], encoding="utf-8")
    Log(log).write(30, {"loss": 2.0, "eval_EMF1": 0.5})
    assert curves(log_module, log, monkeypatch) == [[(10, 5.0), (30, 2.0)], [(30, 0.5)]]
    assert save_curve(log, tmp_path / "curve.png", "EMF1")
