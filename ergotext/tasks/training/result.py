"""What comes of a training run, and what is written beside the network."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from ergotext.lm.trie.lines import Lines
from ergotext.tasks.config import versions
from ergotext.tasks.training.log import save_curve
from ergotext.tasks.training.run import SCORE, TrainingRun
from ergotext.tasks.training.settings import Record


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
    spent : float
        Seconds of training, those of runs that this one continued among them.
    kept : bool
        Whether the network is the one that the run started from, as it was not surely better.
    """

    folder: Path
    scores: dict[str, float]
    steps: int
    parameters: int
    seconds: float
    lines: Lines
    spent: float = 0.0
    kept: bool = False

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


def finish(
    run: TrainingRun,
    record: Record,
    curve: str,
    scores: dict[str, float],
    began: float,
    lines: Lines,
    *,
    kept: bool = False,
) -> Trained:
    """Draw the curve and write the record of a run that is over.

    Parameters
    ----------
    run : TrainingRun
    record : Record
    curve : str
        Name of the picture.
    scores : dict of str to float
        Of all dev questions, by the weights as they were saved.
    began : float
        By ``time.monotonic``.
    lines : Lines
    kept : bool
        Whether the network is the one that the run started from.
    """
    save_curve(run.log.path, record.folder / curve, SCORE)
    parameters = sum(p.numel() for p in run.learner.network.parameters())
    seconds = time.monotonic() - began
    record.write(
        versions=versions(), scores=scores, steps=run.done, parameters=parameters, seconds=seconds,
        kept=kept,
    )  # fmt: skip
    return Trained(record.folder, scores, run.done, parameters, seconds, lines, run.spent, kept)
