"""Data, results and messages shared by the training runs of both networks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ergotext.errors import ErgotextError, InputError
from ergotext.lm.trie.lines import Lines
from ergotext.tasks.datasets.kgclue.data import Questions, read

SCORE = "EMF1"
"""What early stopping and the choice of the best checkpoint go by."""


class InterruptedRunError(ErgotextError, RuntimeError):
    """Training was interrupted by Ctrl-C; the message says which checkpoint was saved."""


@dataclass(frozen=True)
class Trained:
    """What came of a run.

    Parameters
    ----------
    folder : Path
        With the model in float16, its tokenizer, and the log.
    scores : dict of str to float
        Of all dev questions, by the weights as they were saved.
    steps, parameters : int
    seconds : float
    lines : Lines
        What became of the lines of all files.
    """

    folder: Path
    scores: dict[str, float]
    steps: int
    parameters: int
    seconds: float
    lines: Lines

    def text(self) -> str:
        """One line."""
        return (
            f"{self.folder}: {self.parameters:,} parameters, {self.steps:,} steps in "
            f"{self.seconds:.0f} s; dev {SCORE} {self.scores[SCORE]:.3f}, "
            f"EM_S {self.scores['EM_S']:.3f}, EM_P {self.scores['EM_P']:.3f}"
        )

    def complaints(self) -> list[str]:
        """Skipped lines."""
        if not self.lines.bad:
            return []
        return [f"{self.lines.bad:,} of {self.lines.read:,} lines left out:", *self.lines.shown]


def interrupted(step: int, kept: Path | None) -> InterruptedRunError:
    """The error of Ctrl-C after ``step`` steps, with the checkpoint that is there by then."""
    told = "no checkpoint was saved yet" if kept is None else f"the last checkpoint is {kept}"
    return InterruptedRunError(f"interrupted at step {step:,}; {told}; continue with resume")


def read_questions(path: str | Path, lines: Lines) -> Questions:
    """The questions of a file, of which some have an answer; its lines are counted in ``lines``.

    Raises
    ------
    InputError
        It cannot be read, or no question has an answer.
    """
    found = read(path)
    lines.read += found.lines.read
    lines.bad += found.lines.bad
    lines.shown += found.lines.shown
    if not any(one.answer is not None for one in found.asked):
        raise InputError(f"no question of {path} has an answer")
    return found
