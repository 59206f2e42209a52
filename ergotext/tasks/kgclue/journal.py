"""What a run of training tells: a log of JSON lines, and its curve."""

from __future__ import annotations

import json
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from ergotext.tasks.plot import figure

LOG, CURVE = "log.jsonl", "curve.png"


class Journal(TrainerCallback):
    """Writes a line for every loss and every score, as they come.

    Parameters
    ----------
    path : Path
        Lines are put behind those that are there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._began = time.monotonic()

    def on_log(
        self,
        args: TrainingArguments,  # noqa: ARG002 - transformers names them
        state: TrainerState,
        control: TrainerControl,  # noqa: ARG002 - transformers names them
        logs: dict[str, Any] | None = None,
        **_: object,
    ) -> None:
        """One JSON object: step, seconds since the run (or its resumption) began, what is told."""
        told = {name: value for name, value in (logs or {}).items() if name != "epoch"}
        line = {"step": state.global_step, "seconds": round(time.monotonic() - self._began, 1)}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({**line, **told}) + "\n")


def save_curve(log: Path, path: Path, score: str) -> bool:
    """Draw loss and dev score by step from a log; False where matplotlib is not installed."""
    if find_spec("matplotlib") is None:
        return False
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    page = figure()
    upper, lower = page.subplots(2, 1, sharex=True)
    for panel, name, label in ((upper, "loss", "loss"), (lower, f"eval_{score}", f"dev {score}")):
        # A run that went on from a checkpoint has told some steps twice: the last word counts.
        told = {line["step"]: line[name] for line in lines if name in line}
        steps = sorted(told)
        panel.plot(steps, [told[step] for step in steps], marker="." if panel is lower else "")
        panel.set(ylabel=label)
    lower.set(xlabel="step")
    page.savefig(path, dpi=120)
    return True
