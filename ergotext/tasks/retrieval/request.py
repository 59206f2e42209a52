"""Options of a retrieval request, and groups of questions searched together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, SkipValidation

from ergotext.errors import InputError
from ergotext.lm.trie.restricted import Paths
from ergotext.support.arrays import Floats
from ergotext.support.records import Count, Integer, Share, Whole, record
from ergotext.tasks.retrieval.candidates import Candidates, Potential

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
    threshold: Share
    batch_size: Count
    spans: bool
    posterior: bool = False

    def check(self) -> None:
        """InputError if options do not go together."""
        if self.beams < self.k:
            raise InputError(f"beams ({self.beams}) must be at least k ({self.k})")
        if self.posterior and self.lookahead is None:
            raise InputError(
                "posterior needs a look-ahead: give one (a search of all entries has none), or "
                "drop posterior"
            )


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
