"""Options of a retrieval request, and groups of questions searched together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, SkipValidation

from ergotext.errors import InputError
from ergotext.lm.trie.mentions import Near
from ergotext.lm.trie.restricted import Paths
from ergotext.support.arrays import Floats
from ergotext.support.records import Count, Integer, Share, Whole, record
from ergotext.tasks.retrieval.candidates import (
    Candidates,
    ManyPotential,
    Potential,
    weighs_mentions,
)

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

    @property
    def near(self) -> Near:
        """Whether subjects are looked for that a question misspells, or names by a value.

        Where it names another one as the index does, only if the look-ahead says which is meant.
        """
        return "always" if weighs_mentions(self.lookahead) else "else"

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
    """Questions that are searched together, and the keys that each may be answered with."""

    numbers: list[int]
    questions: list[str]
    encoded: list[list[int]]
    candidates: list[Candidates] | None
    paths: Paths | None
    searched: bool = True
    """whether there is anything to look for"""

    def potentials(self, lookahead: Potential | None) -> list[Floats] | None:
        """float64 [n] for each question: what the look-ahead says of its candidates.

        Raises
        ------
        InputError
            It says something else than a number a candidate.
        """
        if lookahead is None or self.candidates is None:
            return None
        pairs = list(zip(self.questions, self.candidates, strict=True))
        if isinstance(lookahead, ManyPotential):
            told = lookahead.many(self.questions, self.candidates)
            if len(told) != len(pairs):
                raise InputError(
                    f"the look-ahead returned {len(told)} arrays for {len(pairs)} questions; it "
                    "must return one for each"
                )
        else:
            told = [lookahead(question, keys) for question, keys in pairs]
        found = []
        for (question, keys), given in zip(pairs, told, strict=True):
            values = np.asarray(given, dtype=np.float64)
            if values.shape != (len(keys),) or not (values < np.inf).all():
                raise InputError(
                    f"the look-ahead must return a number, or -inf, for each of {len(keys)} "
                    f"candidates of {question!r:.60}, got shape "
                    f"{values.shape}{', with NaN or inf' if values.shape == (len(keys),) else ''}"
                )
            found.append(values)
        return found
