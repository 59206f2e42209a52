"""Texts of a result, with their log-probability, energy and terms."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

import numpy as np

from ergotext.errors import InputError
from ergotext.lm.batch import TokenBatch
from ergotext.lm.protocols import Energy, NextTokenScorer
from ergotext.support.arrays import Floats
from ergotext.support.reprs import called, safe

Place = TypeVar("Place")
Feature = Callable[[list[str]], Sequence[float]]
"""A number for each of a list of texts."""


@dataclass(frozen=True)
class Sample:
    """One text."""

    text: str
    log_prob: float
    """log p(text, end | context) in nats, under the energy's language model"""
    energy: float
    terms: dict[str, float]
    chain: int | None = None
    step: int | None = None
    """where a chain visited it"""
    tokens: tuple[int, ...] = field(default=(), repr=False)
    log_weight: float | None = None
    """in nats, of a weighted draw; not normalised"""

    @safe
    def __repr__(self) -> str:
        numbers = {"log_prob": self.log_prob, "energy": self.energy}
        shown = [f"{name}={value:.2f}" for name, value in numbers.items()]
        terms = ", ".join(f"{name!r}: {value:.2f}" for name, value in self.terms.items())
        known = {"chain": self.chain, "step": self.step}
        at = [f"{name}={value}" for name, value in known.items() if value is not None]
        weight = "" if self.log_weight is None else f"log_weight={self.log_weight:.2f}"
        return called("Sample", f"text={self.text!r}", *shown, f"terms={{{terms}}}", *at, weight)

    def record(self) -> dict[str, Any]:
        """The sample as JSON, without tokens."""
        return {k: v for k, v in asdict(self).items() if v is not None and k != "tokens"}


def scorer_of(problem: Energy) -> NextTokenScorer:
    """The model that spells the texts of an energy; InputError if it has none."""
    if problem.scorer is None:
        raise InputError(
            "this energy has no language model to decode its texts with; add fluency(lm)"
        )
    return problem.scorer


def featured(problem: Energy, rows: Sequence[tuple[int, ...]], of: Feature) -> Floats:
    """float64 [rows]: the feature of each text, computed once per distinct row.

    Raises
    ------
    InputError
        The function gives other than one finite number a text.
    """
    each = list(dict.fromkeys(rows))
    texts = [text.strip() for text in scorer_of(problem).decode(TokenBatch.of(each))]
    values = np.asarray(of(texts), dtype=np.float64)
    if values.shape != (len(texts),) or not np.isfinite(values).all():
        raise InputError(
            f"a feature must give one finite number for each of {len(texts)} texts, got shape "
            f"{values.shape} with {int((~np.isfinite(values)).sum())} values not finite"
        )
    value = dict(zip(each, values.tolist(), strict=True))
    return np.array([value[row] for row in rows])


def described(problem: Energy, row: TokenBatch, energy: float) -> Sample:
    """The sample of a batch of one row."""
    scorer = scorer_of(problem)
    return Sample(
        text=scorer.decode(row)[0].strip(),
        log_prob=float(scorer.log_prob(row)[0]),
        energy=energy,
        terms={name: float(value[0]) for name, value in problem.terms(row).items()},
        tokens=row.rows()[0],
    )


def distinct(
    places: Iterable[tuple[Place, TokenBatch]], sample: Callable[[Place], Sample], count: int
) -> list[Sample]:
    """The first ``count`` texts, no text twice (white space apart).

    Parameters
    ----------
    places : iterable
        Where texts are, and the batch of one row that is there.
    sample : callable
        What is at a place: asked for no row twice.
    count : int
    """
    found: dict[str, Sample] = {}
    tried: set[tuple[int, ...]] = set()
    for place, row in places:
        if len(found) == count:
            break
        if (tokens := row.rows()[0]) not in tried:
            tried.add(tokens)
            one = sample(place)
            found.setdefault(" ".join(one.text.split()), one)
    return list(found.values())
