"""Answer sets with a guarantee: split conformal prediction on calibrated probabilities."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from ergotext.errors import InputError
from ergotext.support.untrusted import check_types
from ergotext.support.words import counted

LEAST = 1e-4
"""Probability that an entry of a set has at least: all entries above it are scored."""
MOST = 2000
"""Questions that are kept at most: with 2,000, the coverage at 0.9 varies by 0.007."""
_PLACES = 5
"""Decimal places of a probability that is kept; rounded down, so that sets are no smaller."""


@dataclass(frozen=True)
class AnswerSet:
    """What the hits of a question are, if they are an answer set.

    Parameters
    ----------
    coverage : float
        The share of questions whose set is promised to hold the right entry.
    none : bool
        Whether "none of these" is in the set.
    guarantee : str
        What is promised, in a sentence.
    """

    coverage: float
    none: bool
    guarantee: str

    def record(self) -> dict[str, object]:
        """The fields of a JSON object."""
        return {"coverage": self.coverage, "none": self.none, "guarantee": self.guarantee}


@dataclass(frozen=True)
class SetScores:
    """What questions with known answers say of how large answer sets must be.

    The nonconformity of an entry y to a question x is 1 - P(y | x), and 0 where no other entry, nor
    "none of these", has a higher probability. The set of x is all y whose nonconformity is at most
    the ⌈(n + 1) coverage⌉-th of those of n questions with their right entries, in rising order. So
    a set holds the likeliest and everything of at least some probability (``least``): it is never
    empty, and entries of equal probability are in it together. "None of these" counts like an
    entry, and is the right one of questions that the base does not answer. An entry that was not
    found, or has less than ``LEAST``, is in no set.

    Parameters
    ----------
    first : int
        Questions whose right entry is the likeliest.
    rest : tuple of float
        The probability of the right entry of each of the others, falling.
    lost : int
        Questions whose right entry was not found.
    absent : int
        How many of all questions the base does not answer.
    what : str
        What questions these are.
    fitted : str
        The digest of the calibration that gave the probabilities.

    References
    ----------
    Vovk, Gammerman and Shafer 2005, "Algorithmic learning in a random world"; Sadinle, Lei and
    Wasserman 2019, "Least ambiguous set-valued classifiers with bounded error levels", for the
    score, which gives the smallest sets if the probabilities are right, and for sets that would be
    empty; Angelopoulos and Bates 2023, "Conformal prediction: a gentle introduction".
    """

    first: int
    rest: tuple[float, ...]
    lost: int = 0
    absent: int = 0
    what: str = ""
    fitted: str = ""

    @classmethod
    def of(cls, told: Iterable[float], **about: Any) -> SetScores:
        """From the probability of the right entry of each question.

        1 where it is the likeliest, 0 where it was not found.
        """
        every = list(told)
        rest = sorted((_kept(p) for p in every if LEAST <= p < 1), reverse=True)
        first = sum(p >= 1 for p in every)
        return cls(first, tuple(rest), len(every) - first - len(rest), **about)

    @property
    def count(self) -> int:
        """Number of questions."""
        return self.first + len(self.rest) + self.lost

    @property
    def most(self) -> float:
        """The highest coverage that can be promised, rounded down to three places."""
        return math.floor(1000 * (self.first + len(self.rest)) / (self.count + 1)) / 1000

    def least(self, coverage: float) -> float:
        """The least probability of an entry that is in a set, beside the likeliest.

        Raises
        ------
        InputError
            The coverage is not between 0 and 1, or cannot be promised: the questions are too few,
            or too many right entries were not found.
        """
        rank = self._rank(coverage)
        if rank > self.count:
            need = math.ceil(1 / (1 - _exact(coverage))) - 1
            raise InputError(
                f"a coverage of {coverage:g} takes at least {need:,} questions with answers that "
                f"were not used to fit, and there are {self.count:,}: run ergotext calibrate with "
                "more questions"
            )
        if rank > self.first + len(self.rest):
            raise InputError(
                f"a coverage of {coverage:g} cannot be promised: the search did not find the right "
                f"entry of {self.lost:,} of {counted(self.count, 'question')}; ask for at most "
                f"{self.most:g}"
            )
        return 1.0 if rank <= self.first else self.rest[rank - self.first - 1]

    def guarantee(self, coverage: float) -> str:
        """What is promised of a set, in a sentence; errors as ``least``."""
        alone = self.least(coverage) == 1
        none = " (or says that the base has none)" if self.absent else ""
        told = (
            f"the set holds the right entry{none} of at least {100 * coverage:g}% of questions, on "
            f"average over questions like the {self.count:,} that this was measured on: {self.what}"
        )
        if alone:
            told += f"; the likeliest alone is enough: it is right in {self.first / self.count:.1%}"
        return told

    def _rank(self, coverage: float) -> int:
        if not 0 < coverage < 1:
            raise InputError(f"coverage must be above 0 and below 1, got {coverage!r}")
        return math.ceil(_exact(coverage) * (self.count + 1))

    def record(self) -> dict[str, object]:
        """What ``read`` reads."""
        return {
            "first": self.first, "rest": " ".join(map(str, self.rest)), "lost": self.lost,
            "absent": self.absent, "what": self.what, "fitted": self.fitted,
        }  # fmt: skip

    @classmethod
    def read(cls, told: Mapping[str, Any]) -> SetScores:
        """From a JSON object; ValueError if it is none that ``record`` gives."""
        kinds = {
            "first": int, "rest": str, "lost": int, "absent": int, "what": str, "fitted": str,
        }  # fmt: skip
        check_types(told, kinds)
        counts = [told[name] for name in ("first", "lost", "absent")]
        rest = [float(one) for one in told["rest"].split()]
        if min(counts) < 0 or sum(counts[:2]) + len(rest) > MOST or counts[2] > MOST:
            raise ValueError(f"its questions are below 0 or more than {MOST:,}")
        if not all(LEAST <= p <= 1 for p in rest):
            raise ValueError(f"a probability of a right entry is not between {LEAST:g} and 1")
        if rest != sorted(rest, reverse=True):
            raise ValueError("its probabilities do not fall")
        return cls(**{**told, "rest": tuple(rest)})


def _kept(probability: float) -> float:
    scale = 10.0**_PLACES
    return max(LEAST, math.floor(probability * scale) / scale)


def members(shares: Sequence[float], none: float, least: float) -> tuple[int, bool]:
    """How many entries a set holds, and whether "none of these" is in it.

    Parameters
    ----------
    shares : sequence of float
        Probabilities of the entries that were found, falling.
    none : float
        The probability of "none of these"; NaN if it has none.
    least : float
        As ``SetScores.least``: the likeliest is in the set all the same.
    """
    if not shares:
        return 0, True
    other = 0.0 if math.isnan(none) else none
    bar = min(least, max(shares[0], other))
    return sum(share >= bar for share in shares), other >= bar


def _exact(number: float) -> Fraction:
    """As it is written in decimals: (n + 1) times 0.9 has no error of rounding."""
    return Fraction(repr(float(number)))
