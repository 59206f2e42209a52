"""Options of a retrieval request, and groups of questions searched together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ergotext.errors import InputError
from ergotext.lm.trie.restricted import Paths
from ergotext.support.arrays import Floats
from ergotext.tasks.retrieval.candidates import Candidates, ManyPotential, Potential

Decode = Literal["beam", "mlm"]
"""How keys are written: token by token, or into the blanks of a masked model."""


@dataclass(frozen=True)
class Plan:
    """Options of ``Retriever.retrieve``."""

    k: int
    beams: int
    lookahead: Potential | None
    prefixes: int
    temperature: float
    threshold: float
    batch_size: int
    spans: bool
    posterior: bool = False

    def __post_init__(self) -> None:
        if self.k < 1 or self.beams < self.k or self.batch_size < 1:
            raise InputError(
                f"k ({self.k}), beams ({self.beams}) and batch_size ({self.batch_size}) must be at "
                "least 1, and beams at least k"
            )
        if self.prefixes < 0:
            raise InputError(f"prefixes must be 0 or more, got {self.prefixes}")
        if not 1e-6 <= self.temperature <= 1e6:  # log p / T must be a number
            raise InputError(f"the temperature must be from 1e-6 to 1e6, got {self.temperature}")
        if self.posterior and self.lookahead is None:
            raise InputError(
                "posterior needs a look-ahead: give one (a search of all entries has none), or "
                "drop posterior"
            )
        if not 0 <= self.threshold <= 1:
            raise InputError(f"the threshold must be between 0 and 1, got {self.threshold}")


@dataclass(frozen=True)
class QuestionGroup:
    """Questions that are searched together, and the keys that each may be answered with."""

    numbers: list[int]
    questions: list[str]
    encoded: list[list[int]]
    candidates: list[Candidates] | None
    paths: Paths | None
    notes: tuple[str, ...] = ()

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
