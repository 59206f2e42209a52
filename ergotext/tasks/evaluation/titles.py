"""Scores of answers that are titles: accuracy, and mean reciprocal rank."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ergotext.errors import InputError
from ergotext.support.arrays import Ints
from ergotext.tasks.datasets.kgclue.metrics import normalised

RANKED = 10
"""Answers to a question that its title is looked for among."""


@dataclass(frozen=True, eq=False)
class TitleMarks:
    """Where the right title stands among the answers to each question.

    Parameters
    ----------
    rank : int64 [N]
        1 for the first answer; 0 where it is not among them.
    ranked : bool
        Whether all answers are known, and not the first ones alone.
    """

    rank: Ints
    ranked: bool

    @property
    def right(self) -> NDArray[np.bool_]:
        """bool [N]: whether the first answer is the title."""
        first: NDArray[np.bool_] = self.rank == 1
        return first

    def scores(self) -> dict[str, float]:
        """Accuracy and, where all answers are known, MRR: in percent with three decimals.

        MRR is the mean of 1 / rank, which counts as 0 where the title is not among the answers.

        Raises
        ------
        InputError
            There is no answer to be scored.
        """
        if not len(self.rank):
            raise InputError("there are no answers to score against")
        told = {"accuracy": round(100 * float(self.right.mean()), 3)}
        if self.ranked:
            found = self.rank > 0
            inverse = np.divide(1.0, self.rank, out=np.zeros(len(found)), where=found)
            told["MRR"] = round(100 * float(inverse.mean()), 3)
        return told


def mark_titles(
    gold: Sequence[str], predicted: Sequence[Sequence[str]], ranked: bool = True
) -> TitleMarks:
    """Score the answers to each question, best first.

    Text is compared as in ``metrics.mark``: in lower case and with its white space collapsed.
    """
    ranks = []
    for title, answers in zip(gold, predicted, strict=True):
        written = [normalised(answer) for answer in answers]
        true = normalised(title)
        ranks.append(written.index(true) + 1 if true in written else 0)
    return TitleMarks(np.array(ranks, dtype=np.int64), ranked)
