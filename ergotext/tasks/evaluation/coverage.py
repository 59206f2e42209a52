"""Measure how large answer sets must be, on questions with known answers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ergotext.tasks.datasets.kgclue.data import Question
from ergotext.tasks.evaluation.cases import usable
from ergotext.tasks.retrieval.calibration import Calibration
from ergotext.tasks.retrieval.candidates import Potential
from ergotext.tasks.retrieval.coverage import LEAST, MOST, SetScores, members
from ergotext.tasks.retrieval.request import Plan
from ergotext.tasks.retrieval.results import Hits
from ergotext.tasks.retrieval.retriever import Retriever

BATCH = 32


@dataclass(frozen=True)
class SetOutcome:
    """What a question's entries, and "none of these", were thought likely, and which is right.

    Parameters
    ----------
    shares : tuple of float
        Probabilities of the entries that may be in a set, falling.
    none : float
        Of "none of these"; NaN if it has none.
    right : int, optional
        Which of the entries is right; None if none is.
    absent : bool
        Whether the base does not answer the question, so that "none of these" is right.
    """

    shares: tuple[float, ...]
    none: float
    right: int | None
    absent: bool = False

    @property
    def told(self) -> float:
        """As ``SetScores.of`` takes it."""
        if self.absent:
            share, inside = (self.none, members(self.shares, self.none, 1.0)[1])
        elif self.right is None:
            return 0.0
        else:
            share = self.shares[self.right]
            inside = self.right < members(self.shares, self.none, 1.0)[0]
        return 1.0 if inside else share if share >= LEAST else 0.0

    def set(self, least: float) -> tuple[int, bool]:
        """How many entries and "none of these" the set has, and whether the right one is in it."""
        count, none = members(self.shares, self.none, least)
        held = none if self.absent else self.right is not None and self.right < count
        return count + none, held


def outcomes(
    retriever: Retriever,
    lookahead: Potential,
    asked: Sequence[Question],
    calibration: Calibration,
) -> list[SetOutcome]:
    """The outcome of each question, found as ``Retriever.retrieve`` finds answer sets.

    Questions whose answer is unknown are left out; so are empty ones.
    """
    known = usable(asked)
    plan = Plan(
        1, 10, lookahead, 0, calibration.temperature, 0.0, BATCH, True, calibration, least=LEAST
    )
    found = retriever.run([one.text for one in known], plan.checked())
    return [outcome(hits, one) for hits, one in zip(found, known, strict=True)]


def measured(
    retriever: Retriever,
    lookahead: Potential,
    asked: Sequence[Question],
    calibration: Calibration,
    what: str,
) -> SetScores:
    """How large answer sets must be, by the first ``coverage.MOST`` questions.

    These must not be those that the calibration was fitted on. ``what`` they are stands in the
    guarantee.
    """
    found = outcomes(retriever, lookahead, usable(asked)[:MOST], calibration)
    absent = sum(one.absent for one in found)
    none = f", {absent:,} of them not answered by the base" if absent else ""
    about = {"absent": absent, "what": f"{what}{none}", "fitted": calibration.digest}
    return SetScores.of((one.told for one in found), **about)


def outcome(hits: Hits, asked: Question) -> SetOutcome:
    """Of the hits of one question."""
    right = None
    if asked.answer is not None:
        wanted = (asked.answer.subject, asked.answer.predicate)
        told = [(subject, " ".join(key)) for subject, *key in (hit.fields.values() for hit in hits)]
        right = told.index(wanted) if wanted in told else None
    # A first hit whose probability is not known is the whole set.
    shares = tuple(1.0 if math.isnan(hit.probability) else hit.probability for hit in hits)
    return SetOutcome(shares, hits.none, right, asked.absent)
