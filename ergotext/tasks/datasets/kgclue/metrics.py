"""KgCLUE metrics: exact match and F1 of subject, predicate, object and all three."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import Indel

from ergotext.errors import InputError
from ergotext.support.words import check_texts
from ergotext.tasks.datasets.kgclue.data import SEPARATOR, Triple

PARTS = ("All", "S", "P", "O")
"""What is scored: the whole triple, subject, predicate, object."""
_OBJECT = PARTS.index("O")


@dataclass(frozen=True)
class Marks:
    """Scores of each answer, from 0 to 1; columns are ``PARTS``."""

    exact: NDArray[np.float64]
    """[N, 4]"""
    f1: NDArray[np.float64]
    """[N, 4]"""

    @property
    def emf1(self) -> NDArray[np.float64]:
        """float64 [N]: the mean of exact match and F1 of the object."""
        each: NDArray[np.float64] = (self.exact[:, _OBJECT] + self.f1[:, _OBJECT]) / 2
        return each

    @property
    def right(self) -> NDArray[np.bool_]:
        """bool [N]: whether the entry asked for was found, that is subject and predicate."""
        key = [PARTS.index("S"), PARTS.index("P")]
        found: NDArray[np.bool_] = (self.exact[:, key] == 1).all(1)
        return found

    def scores(self) -> dict[str, float]:
        """EMF1, then EM and F1 of each part, in percent with three decimals.

        Raises
        ------
        InputError
            There is no answer to be scored.
        """
        count = len(self.exact)
        if not count:
            raise InputError("there are no answers to score against")
        # Added one after the other, as the published script does it: the same to the last bit.
        exact = 100 * self.exact.cumsum(0)[-1] / count
        f1 = 100 * self.f1.cumsum(0)[-1] / count
        told = {"EMF1": (exact[_OBJECT] + f1[_OBJECT]) / 2}
        told |= {f"EM_{part}": value for part, value in zip(PARTS, exact, strict=True)}
        told |= {f"F1_{part}": value for part, value in zip(PARTS, f1, strict=True)}
        return {name: round(float(value), 3) for name, value in told.items()}


def mark(gold: Sequence[Triple], predicted: Sequence[str]) -> Marks:
    """Score each predicted answer, ``subject ||| predicate ||| object``.

    Text is compared in lower case and with its white space collapsed. An answer of more or fewer
    than three fields is worth nothing.

    References
    ----------
    The published scoring script of KgCLUE (CLUEbenchmark/KgCLUE).
    """
    check_texts(predicted, "predictions")
    pairs = [_mark(one, other) for one, other in zip(gold, predicted, strict=True)]
    both = np.array(pairs, dtype=np.float64).reshape(-1, 2, len(PARTS))
    return Marks(both[:, 0], both[:, 1])


def f1(first: str, second: str) -> float:
    """2 · LCS / (length + length) over characters, in [0, 1]; 0 if both are empty."""
    # Indel's similarity is 2 · LCS. Its normalised form would give 1 for two empty strings.
    total = len(first) + len(second)
    return Indel.similarity(first, second) / total if total else 0.0


def normalised(text: str) -> str:
    """Lower case, and one space where there is white space between words."""
    return " ".join(text.lower().split())


def _mark(gold: Triple, predicted: str) -> tuple[list[float], list[float]]:
    """Exact match and F1 of each part."""
    true = [normalised(field) for field in gold]
    told = [normalised(field) for field in predicted.split(SEPARATOR)]
    if len(told) != len(true):
        return [0.0] * len(PARTS), [0.0] * len(PARTS)
    exact = [float(a == b) for a, b in zip(true, told, strict=True)]
    similar = [f1(a, b) for a, b in zip(true, told, strict=True)]
    return [float(true == told), *exact], [f1("".join(true), "".join(told)), *similar]
