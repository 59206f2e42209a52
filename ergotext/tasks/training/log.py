"""Training log of JSON lines, and its plot."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ergotext.support.untrusted import json_of, read_bytes
from ergotext.tasks.plot import figure

LOG, CURVE = "log.jsonl", "curve.png"


class Log:
    """Lines of JSON about a run, whichever network it trains.

    Parameters
    ----------
    path : Path
        Lines are added after those that are there; the last is ended where a kill has torn it.
    began : float, optional
        When the run began, by ``time.monotonic``; now, if not given.
    """

    def __init__(self, path: Path, began: float | None = None) -> None:
        self.path = path
        end_last_line(path)
        self._began = time.monotonic() if began is None else began

    def write(self, step: int, values: Mapping[str, object]) -> None:
        """Add a line: the step, the seconds since the run began or resumed, and values."""
        line = {"step": step, "seconds": round(time.monotonic() - self._began, 1), **values}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def save_curve(log: Path, path: Path, score: str) -> bool:
    """Draw loss and dev score by step from a log; False where matplotlib is not installed."""
    if find_spec("matplotlib") is None:
        return False
    lines = _lines(log)
    page = figure()
    upper, lower = page.subplots(2, 1, sharex=True)
    for panel, name, label in ((upper, "loss", "loss"), (lower, f"eval_{score}", f"dev {score}")):
        # A resumed run has logged some steps twice: the last entry counts.
        told = {line["step"]: line[name] for line in lines if name in line}
        steps = sorted(told)
        panel.plot(steps, [told[step] for step in steps], marker="." if panel is lower else "")
        panel.set(ylabel=label)
    lower.set(xlabel="step")
    page.savefig(path, dpi=120)
    return True


def end_last_line(path: Path) -> None:
    """Let what is added to a log begin a line of its own, whatever a kill has left there."""
    if path.exists() and path.read_bytes()[-1:] not in (b"", b"\n"):
        with path.open("ab") as file:
            file.write(b"\n")


def _lines(log: Path) -> list[dict[str, Any]]:
    """The lines of a log that are whole and have a step: a kill may have torn some."""
    found = []
    for line in read_bytes(log).splitlines():
        with suppress(ValueError):
            found.append(json_of(line))
    return [line for line in found if isinstance(line, dict) and type(line.get("step")) is int]
