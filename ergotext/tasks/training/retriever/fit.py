"""Fit the scale of a trained look-ahead beside its model, and the calibration of both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ergotext.lm.seq2seq import Seq2SeqLM
from ergotext.lm.sources import source_of
from ergotext.lm.trie.tree import TokenTrie
from ergotext.support.words import counted
from ergotext.tasks.datasets.kgclue.data import Question
from ergotext.tasks.evaluation.calibrate import calibrate
from ergotext.tasks.evaluation.checks import FEWEST, TooFewQuestionsError
from ergotext.tasks.retrieval.calibration import NAME, Calibration
from ergotext.tasks.retrieval.lookahead.fitted import Fitted
from ergotext.tasks.retrieval.lookahead.learned import Matched
from ergotext.tasks.retrieval.origin import model_digest
from ergotext.tasks.retrieval.retriever import Retriever
from ergotext.tasks.training.lookahead.scale import scores_by_scale
from ergotext.tasks.training.run import SCORE


def fit_scale(
    lm: Seq2SeqLM, trie: TokenTrie, folder: Path, questions: Sequence[Question], usual: float
) -> float:
    """The scale with the best score on questions of the index, saved in the model's folder."""
    found = scores_by_scale(lm, trie, Matched.load(folder), questions)
    scale = best_scale({at: scores[SCORE] for at, scores in found.items()}, usual)
    Fitted(scale).save(folder)
    return scale


def best_scale(scores: dict[float, float], usual: float) -> float:
    """The scale above 0 with the best score; of equals, the nearest to the usual one."""
    return min((at for at in scores if at > 0), key=lambda at: (-scores[at], abs(at - usual)))


ABSENT = 0.05
"""Share of questions that the base does not answer, as the included calibration has it."""


@dataclass(frozen=True)
class FittedCalibration:
    """What became of the calibration.

    Parameters
    ----------
    questions : int
        Those that it was fitted on; 0 if there were too few, and it stayed as it was.
    before, after : float
        Mean loss in nats before, and after on questions that it was not fitted on.
    """

    questions: int
    before: float = 0.0
    after: float = 0.0

    def text(self) -> str:
        """One line."""
        if not self.questions:
            return (
                f"probabilities: as those of the model that this one started from, because fewer "
                f"than {FEWEST} answers were found among the held-out questions; ergotext "
                "calibrate fits them to more"
            )
        return (
            f"probabilities: fitted on {counted(self.questions, 'held-out question')}, mean loss "
            f"{self.before:.3f} nats before and {self.after:.3f} after"
        )


def fit_calibration(
    retriever: Retriever,
    folder: Path,
    questions: Sequence[Question],
    start: Calibration,
    what: str,
) -> FittedCalibration:
    """Calibrate the new model on held-out questions, and save the calibration with it.

    Parameters
    ----------
    retriever : Retriever
        With the new model.
    folder : Path
        Of the new model.
    questions : sequence of Question
        Not trained on.
    start : Calibration
        What the fit is pulled towards.
    what : str
        What questions these are.
    """
    ahead = Matched.load(folder)
    digests = {"model": model_digest(source_of(str(folder))), "lookahead": ahead.digest}
    try:
        done = calibrate(retriever, ahead, questions, start=start, none=ABSENT, what=what)
    except TooFewQuestionsError:
        kept = replace(start, sets=None, about={**start.about, **digests})
        kept.save(folder / NAME)
        return FittedCalibration(0)
    about = {**digests, "questions": what, "known": str(done.known)}
    replace(done.calibration, about=about).save(folder / NAME)
    return FittedCalibration(done.known + done.missed + done.absent, done.before, done.after)
