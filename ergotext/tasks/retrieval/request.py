"""Options of a retrieval request, and groups of questions searched together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Literal

from pydantic import Field, SkipValidation

from ergotext.errors import InputError
from ergotext.lm.trie.restricted import Paths
from ergotext.support.arrays import Floats
from ergotext.support.records import Count, Integer, Share, Whole, record
from ergotext.tasks.retrieval.calibration import Calibration
from ergotext.tasks.retrieval.candidates import Candidates, Potential
from ergotext.tasks.retrieval.coverage import AnswerSet

Decode = Literal["beam", "mlm"]
"""How keys are written: token by token, or into the blanks of a masked model."""


@record
class Plan:
    """Options of ``Retriever.retrieve``."""

    k: Count
    beams: Integer
    lookahead: SkipValidation[Potential | None]
    prefixes: Whole
    temperature: Annotated[float, Field(ge=1e-6, le=1e6)]  # log p / T must be a number
    threshold: Share | None
    batch_size: Count
    spans: bool
    calibration: SkipValidation[Calibration | None] = None
    """of model and look-ahead together; None for the model's own probabilities"""
    coverage: Share | None = None
    least: Share | None = None
    """all hits of at least this probability, and the likeliest, instead of ``k``"""

    def checked(self) -> Plan:
        """The same, made ready for answer sets; InputError if options do not go together."""
        if self.beams < self.k:
            raise InputError(f"beams ({self.beams}) must be at least k ({self.k})")
        if self.calibration is not None and self.lookahead is None:
            raise InputError(
                "a calibration needs a look-ahead: give one (a search of all entries has none), or "
                "drop the calibration"
            )
        if self.coverage is not None and (not self.spans or self.calibration is None):
            raise InputError(
                "answer sets (coverage) take an index of triples, a look-ahead, and the search for "
                "subjects in the question"
            )
        if self.coverage is not None and self.threshold is not None:
            raise InputError(
                "answer sets (coverage) are never withheld: drop coverage or threshold"
            )
        if self.coverage is None or self.calibration is None:
            return self
        if self.calibration.sets is None:
            raise InputError(
                "answer sets (coverage) take a calibration that was measured for them, and this "
                "one was not: run ergotext calibrate with more questions"
            )
        return replace(self, least=self.calibration.sets.least(self.coverage), threshold=0.0)

    def answer_set(self, none: bool) -> AnswerSet | None:
        """What is promised of the hits of a question, if they shall be an answer set."""
        if self.coverage is None or self.calibration is None or self.calibration.sets is None:
            return None
        told = self.calibration.sets.guarantee(self.coverage)
        return AnswerSet(self.coverage, none, told)


@dataclass(frozen=True)
class QuestionGroup:
    """Questions that are searched together, and the keys that each may be answered with.

    Parameters
    ----------
    numbers, questions, encoded : list
    candidates : list of Candidates, optional
        None for all keys.
    paths : Paths, optional
        The trie paths to the candidates.
    potentials : list of float64 [n], optional
        What the look-ahead says of each question's candidates.
    searched : bool
        Whether there is anything to look for.
    """

    numbers: list[int]
    questions: list[str]
    encoded: list[list[int]]
    candidates: list[Candidates] | None
    paths: Paths | None
    potentials: list[Floats] | None = None
    searched: bool = True
