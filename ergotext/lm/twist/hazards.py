"""Hazards: how often a language model begins a word, stops or ends, on average over places."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from ergotext.lm.batch import TokenBatch
from ergotext.lm.protocols import NextTokenScorer
from ergotext.lm.twist.stops import stops_of
from ergotext.support.arrays import Floats

Categorical = Callable[[Tensor], Tensor]
"""int64 [B]: an index drawn from each row of probabilities (``Draws.categorical``)."""
ROWS, PLACES = 16, 10
"""Texts drawn to average over, and places in each: about one second of one core for SmolLM2."""
BEGINNINGS = 4
"""Beginnings of texts after which the words of a phrase are scored."""


@dataclass(frozen=True, eq=False)
class Hazards:
    """Averages of p^power over places inside the sentences that a model writes.

    Parameters
    ----------
    scorer : NextTokenScorer
    power : float
        That of the target, p^power.
    stops : bool [V]
        Tokens after which a sentence may end.
    mass : float64 [V]
        The mean of p(token)^power inside a sentence, end token included.
    ends_stopped, goes_on_stopped : float
        After a token that stops: the mean of p(end)^power, and of the sum over all other tokens.
    beginnings : sequence of (tuple of int)
        Some of the texts drawn.
    """

    scorer: NextTokenScorer = field(repr=False)
    power: float
    stops: Tensor
    mass: Tensor
    ends_stopped: float
    goes_on_stopped: float
    beginnings: Sequence[tuple[int, ...]] = field(repr=False)

    @classmethod
    def estimate(
        cls,
        scorer: NextTokenScorer,
        categorical: Categorical,
        *,
        power: float = 1.0,
        stops: Tensor | None = None,
        rows: int = ROWS,
        places: int = PLACES,
    ) -> Hazards:
        """From texts that the model itself writes, kept inside their first sentence.

        Parameters
        ----------
        scorer : NextTokenScorer
        categorical : callable
            The draws, of a seed of their own: what they were is part of the run.
        power : float
        stops : bool [V], optional
            By default those of its vocabulary, if it has one.
        rows, places : int
        """
        allowed = scorer.allowed
        if stops is None:
            stops = stops_of(getattr(scorer, "vocabulary", None))
        stops = torch.zeros_like(allowed) if stops is None else stops & allowed
        inside = allowed & ~stops
        inside[scorer.end_id] = False
        texts: list[tuple[int, ...]] = [()] * rows
        total = torch.zeros(len(allowed), dtype=torch.float64)
        for _ in range(places):
            chance = _powered(scorer, texts, power)
            total += chance.sum(0)
            chance = chance * inside
            if not bool((chance.sum(1) > 0).all()):
                break
            token = categorical(chance / chance.sum(1, keepdim=True)).tolist()
            texts = [(*text, t) for text, t in zip(texts, token, strict=True)]
        ends, goes_on = _after_stops(scorer, texts, power, stops, categorical)
        mass = total / (rows * places)
        return cls(scorer, power, stops, mass, ends, goes_on, texts[:BEGINNINGS])

    @property
    def ends(self) -> float:
        """The mean of p(end)^power inside a sentence."""
        return float(self.mass[self.scorer.end_id])

    @property
    def stopping(self) -> float:
        """The mean mass of the tokens that stop."""
        return float(self.mass[self.stops].sum())

    @cached_property
    def goes_on(self) -> float:
        """The mean mass of all tokens of text that do not stop."""
        inside = self.scorer.allowed & ~self.stops
        return float(self.mass[inside].sum())

    def phrases(self, spelled: Sequence[Sequence[int]]) -> list[Floats]:
        """Of each run of tokens: p^power of what is left of it after its first n, n = 0, 1, ….

        float64 [m] for a run of m tokens. The first entry takes ``mass`` for its first token; the
        others are averages over the beginnings of a few texts.
        """
        rows = [(*text, *run) for text in self.beginnings for run in spelled]
        batch = TokenBatch.of(rows)
        scores = self.scorer.token_log_prob(batch)
        found: list[Floats] = []
        for number, run in enumerate(spelled):
            rest = []
            for place, text in enumerate(self.beginnings):
                row = scores[place * len(spelled) + number]
                rest.append(row[len(text) : len(text) + len(run)])
            each = torch.stack(rest).flip(1).cumsum(1).flip(1)  # [beginnings, m]
            left = (self.power * each).exp().mean(0)
            first = self.mass[run[0]]
            left[0] = first if len(run) == 1 else first * left[1]
            found.append(np.maximum(left.numpy(), TINY))
        return found


TINY = 1e-12
"""No hazard is below it: what the draws never met may be possible."""


def _powered(scorer: NextTokenScorer, texts: Sequence[tuple[int, ...]], power: float) -> Tensor:
    batch = TokenBatch.of(texts)
    return (power * scorer.next_log_prob(batch, batch.length)).exp()


def _after_stops(
    scorer: NextTokenScorer,
    texts: Sequence[tuple[int, ...]],
    power: float,
    stops: Tensor,
    categorical: Categorical,
) -> tuple[float, float]:
    """Mean of p(end)^power after a token that stops, and of the sum over all others."""
    if not bool(stops.any()):
        return 0.0, 1.0
    chance = _powered(scorer, texts, power) * stops
    there = (chance.sum(1) > 0).nonzero()[:, 0].tolist()
    if not there:
        return 0.0, 1.0
    token = categorical(chance[there] / chance[there].sum(1, keepdim=True)).tolist()
    after = _powered(scorer, [(*texts[r], t) for r, t in zip(there, token, strict=True)], power)
    ends = after[:, scorer.end_id]
    goes_on = (after * scorer.allowed).sum(1)
    return float(ends.mean()), float(goes_on.mean())
