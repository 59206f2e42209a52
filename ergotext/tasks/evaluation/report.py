"""Report of an evaluation: scores, calibration and failures, as text and JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ergotext.support.words import counted
from ergotext.tasks.datasets.kgclue.data import Questions
from ergotext.tasks.datasets.kgclue.metrics import PARTS, Marks
from ergotext.tasks.evaluation.calibration import Abstention, Reliability, abstention, reliability
from ergotext.tasks.evaluation.titles import TitleMarks
from ergotext.tasks.retrieval.notes import WITHHELD

SHOWN = 20
"""Failed questions that are quoted on the screen; the record beside the predictions has all."""


@dataclass(frozen=True)
class Evaluation:
    """Results of a run."""

    output: Path
    questions: Questions
    answered: int
    empty: int
    failed: list[dict[str, Any]]
    before: int
    """questions that the file had answered already"""
    seconds: float
    marks: Marks | TitleMarks | None
    """of the questions whose answer is known; None if there are none"""
    probability: list[float | None]
    """of the first hit of each of these; 0 where there is no answer, None where it is unknown"""
    none: list[float | None] = field(default_factory=list)
    """of "none of these" for each of these; None where it is unknown"""
    advice: str = ""
    """a line on what to do about failures of one kind"""

    def calibration(self) -> tuple[Reliability, Abstention] | None:
        """Reliability of the probabilities, and ``graded`` under abstention.

        None if there are no probabilities.
        """
        if self.marks is None or not any(self.probability):
            return None
        told = np.array([p is not None for p in self.probability], dtype=bool)
        p = np.array([p for p in self.probability if p is not None], dtype=np.float64)
        each = self.marks.emf1 if isinstance(self.marks, Marks) else 1.0 * self.marks.right
        right, score = self.marks.right[told], 100 * each[told]
        return reliability(p, right), abstention(p, score)

    def withheld(self) -> tuple[int, int, float] | None:
        """What ``retrieve`` would withhold: how many answers, how many right ones, and the score.

        The score is ``graded`` with the withheld answers counted as lost. None if no probability
        of "none of these" is known.
        """
        if not isinstance(self.marks, Marks) or all(one is None for one in self.none):
            return None
        lost = np.array([one is not None and one >= WITHHELD for one in self.none])
        right = int((lost & self.marks.right).sum())
        return int(lost.sum()), right, 100 * float(np.where(lost, 0.0, self.marks.emf1).mean())

    @property
    def graded(self) -> str:
        """What one answer is worth: its EMF1 or, of a title, its accuracy."""
        return "accuracy" if isinstance(self.marks, TitleMarks) else "EMF1"

    def record(self) -> dict[str, Any]:
        """Numbers for a file."""
        lines, calibration = self.questions.lines, self.calibration()
        withheld = self.withheld()
        return {
            **(self.marks.scores() if self.marks is not None else {}),
            "questions": len(self.questions.asked),
            "scored": 0 if self.marks is None else len(self.marks.right),
            "answered": self.answered,
            "without_answer": self.empty,
            "failed": len(self.failed),
            "failures": self.failed,
            "already_there": self.before,
            "lines": lines.read,
            "lines_left_out": lines.bad,
            "calibration_error": None if calibration is None else calibration[0].error,
            "withheld": None if withheld is None else withheld[0],
            "score_withheld": None if withheld is None else round(withheld[2], 3),
            "seconds": round(self.seconds, 3),
        }

    def json(self) -> str:
        """One JSON object."""
        return json.dumps(self.record(), ensure_ascii=False)

    def text(self) -> str:
        """A table of scores, and statistics of the run."""
        asked = len(self.questions.asked)
        scored = asked if self.marks is None else len(self.marks.right)
        of_them = f", {scored:,} of them scored" if scored != asked else ""
        told = (
            f"({counted(asked, 'question')}{of_them}: {self.answered:,} answered, "
            f"{self.empty:,} without an answer, {len(self.failed):,} failed; "
            f"{self.before:,} were there already; {self.seconds:.1f} s)"
        )
        if self.marks is None:
            return f"no answers to score against\n{told}"
        scores = self.marks.scores()
        if isinstance(self.marks, TitleMarks):
            table = [f"{name} {value:.3f}" for name, value in scores.items()]
        else:
            table = [f"{'':<4}{'EM':>9}{'F1':>9}"]
            table += [f"{p:<4}{scores[f'EM_{p}']:9.3f}{scores[f'F1_{p}']:9.3f}" for p in PARTS]
            table.append(f"EMF1 {scores['EMF1']:.3f}")
        if (calibration := self.calibration()) is not None:
            table.append(f"expected calibration error {calibration[0].error:.3f}")
        if (withheld := self.withheld()) is not None:
            count, right, score = withheld
            table.append(
                f"probably not in the base: {counted(count, 'answer')}, {right:,} of them right; "
                f"EMF1 {score:.3f} if they are withheld"
            )
        return "\n".join([*table, told])

    def complaints(self) -> list[str]:
        """Skipped lines and failed questions."""
        lines, said = self.questions.lines, []
        if lines.bad:
            said.append(f"{lines.bad:,} of {counted(lines.read, 'line')} left out:")
            said += [f"  {line}" for line in lines.shown]
            said += _more(lines.bad - len(lines.shown))
        if self.failed:
            asked = counted(len(self.questions.asked), "question")
            said.append(f"{len(self.failed):,} of {asked} failed:")
            said += [f"  line {f['line']}, id {f['id']}: {f['error']}" for f in self.failed[:SHOWN]]
            said += _more(len(self.failed) - SHOWN)
        if self.advice:
            said.append(self.advice)
        return said


def _more(count: int) -> list[str]:
    return [f"  … and {count:,} more"] if count > 0 else []
