"""Keys that a search found for a question, and what all keys weigh together."""

from __future__ import annotations

import math
from dataclasses import dataclass

Tokens = tuple[int, ...]
"""A key: token ids, the end token left out."""


@dataclass(frozen=True)
class ScoredKey:
    """A key and its scores."""

    tokens: Tokens
    log_prob: float
    score: float


@dataclass(frozen=True)
class Mass:
    """log Σ p(key, end | question)^(1/T) over the keys of an index, in nats, from low to high.

    The bounds hold up to the rounding of the network's float32; equal ones are the exact value.
    """

    low: float
    high: float

    def share(self, log_weight: float) -> tuple[float, float]:
        """The least and the most that a key of this log-weight can have of all."""
        least, most = (math.exp(min(0.0, log_weight - all_)) for all_ in (self.high, self.low))
        return least, most


@dataclass(frozen=True)
class Answers:
    """Keys that answer one question, best first.

    Parameters
    ----------
    best : list of ScoredKey
    exact : bool
        Whether these are proven to be the best.
    mass : Mass, optional
        What all keys of the index weigh together, if that is known.
    notes : tuple of str
        What the asker should know.
    none : float
        The probability that no key of the index is the answer; NaN if it is not known.
    """

    best: list[ScoredKey]
    exact: bool
    mass: Mass | None
    notes: tuple[str, ...] = ()
    none: float = math.nan
