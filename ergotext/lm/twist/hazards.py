"""Hazards: how often a language model begins a word, stops or ends, on average over places."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from ergotext.errors import InputError
from ergotext.lm.batch import TokenBatch
from ergotext.lm.endings.sentence import SentenceEnd, sentence_end
from ergotext.lm.protocols import NextTokenScorer
from ergotext.support.arrays import Floats

Categorical = Callable[[Tensor], Tensor]
"""int64 [B]: an index drawn from each row of probabilities (``Draws.categorical``)."""
ROWS, PLACES = 16, 10
"""Texts drawn to average over, and places in each: about one second of one core for SmolLM2."""
BEGINNINGS = 4
"""Beginnings of texts after which the words of a phrase are scored."""


TINY = 1e-12
"""No hazard is below it: what the draws never met may be possible."""
PATIENCE = 1e-4
"""The same for a power above 1. Such a target is that of a search: of many beginnings it keeps
those where a word comes to suit, so a word should wait for its place."""

STOPPING, GOES_ON, ENDS_STOPPED, GOES_ON_STOPPED, ENDS = 0.02, 0.4, 0.62, 0.09, 2e-6
"""Of SmolLM2 after nine requests for a sentence with some words, pooled with itself after a plain
context; ranges 0.008–0.03, 0.35–0.46, 0.49–0.74, 0.07–0.16, 1e-6–5e-6."""
ASKED, COMPLETED = 0.002, 0.6
"""That a place begins with a word asked for (1e-4 to 0.06, as estimated), and that a word begun is
completed (0.54 and 0.58)."""


@dataclass(frozen=True, eq=False)
class Hazards:
    """Averages over places inside the sentences that a model writes.

    Of p^α they are means to the power 1/α, so that they can be added up like probabilities before
    the sum is taken to the power α.

    Parameters
    ----------
    scorer : NextTokenScorer
    power : float
        α: the target has p^α.
    stops : bool [V]
        Tokens after which a sentence may end.
    mass : float64 [V]
        Of each token inside a sentence, the end token included.
    stopping, goes_on : float
        Of all tokens that stop together, and of all others of text.
    ends_stopped, goes_on_stopped : float
        After a token that stops: of the end, and of all tokens of text together.
    beginnings : sequence of (tuple of int)
        Some of the texts drawn.
    asked : float, optional
        Of each word alike, to begin at a place, where the model was told which words must come; by
        default it is estimated for each.
    """

    scorer: NextTokenScorer = field(repr=False)
    power: float
    stops: Tensor
    mass: Tensor
    stopping: float
    goes_on: float
    ends_stopped: float
    goes_on_stopped: float
    beginnings: Sequence[tuple[int, ...]] = field(repr=False)
    asked: float | None = None

    @classmethod
    def of_answers(cls, scorer: NextTokenScorer) -> Hazards:
        """Of a model that was told the words, to the power 1.5: known beforehand.

        Estimated for some requests they differed little, and a text was no better by those of its
        own request.

        Parameters
        ----------
        scorer : NextTokenScorer
            A model after a request, or a pool of one with the same after a context.
        """
        allowed = scorer.allowed
        mass = allowed.double() / max(1, int(allowed.sum()))
        mass[scorer.end_id] = ENDS
        known = (STOPPING, GOES_ON, ENDS_STOPPED, GOES_ON_STOPPED)
        return cls(scorer, 1.5, _stops_of(scorer) & allowed, mass, *known, [], ASKED)

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
        stops = (_stops_of(scorer) if stops is None else stops) & allowed
        inside = allowed & ~stops
        inside[scorer.end_id] = False
        texts: list[tuple[int, ...]] = [()] * rows
        places = max(1, min(places, _room(scorer) - 1))
        mass = torch.zeros(len(allowed), dtype=torch.float64)
        each: list[Tensor] = []
        for _ in range(places):
            chance = powered(scorer, texts, power)
            mass += chance.mean(0) / places
            each.append(torch.stack([(chance * stops).sum(1), (chance * inside).sum(1)]))
            chance = chance * inside
            if not bool((chance.sum(1) > 0).all()):
                break
            token = categorical(chance / chance.sum(1, keepdim=True)).tolist()
            texts = [(*text, t) for text, t in zip(texts, token, strict=True)]
        stopping, goes_on = torch.cat(each, 1).mean(1).pow(1 / power).tolist()
        ended = _after_stops(scorer, texts, power, stops, categorical)
        mass = mass.pow(1 / power)
        return cls(scorer, power, stops, mass, stopping, goes_on, *ended, texts[:BEGINNINGS])

    @property
    def ends(self) -> float:
        """Of the end inside a sentence."""
        return float(self.mass[self.scorer.end_id])

    def phrases(self, spelled: Sequence[Sequence[int]]) -> list[Floats]:
        """Of each run of tokens: the chance of what is left of it after its first n, n = 0, 1, ….

        float64 [m] for a run of m tokens. The first entry takes ``mass`` for its first token; the
        others are averages over the beginnings of a few texts.
        """
        if self.asked is not None:
            return [np.array([self.asked, *[COMPLETED] * (len(run) - 1)]) for run in spelled]
        most = max(0, _room(self.scorer) - max(map(len, spelled), default=0))
        beginnings = [text[:most] for text in self.beginnings]
        batch = TokenBatch.of([(*text, *run) for text in beginnings for run in spelled])
        scores = self.scorer.token_log_prob(batch)
        least = TINY if self.power <= 1 else PATIENCE
        found: list[Floats] = []
        for number, run in enumerate(spelled):
            rows = [
                scores[place * len(spelled) + number][len(text) : len(text) + len(run)]
                for place, text in enumerate(beginnings)
            ]
            rest = torch.stack(rows).flip(1).cumsum(1).flip(1)  # [beginnings, m]
            left = rest.exp().mean(0)
            first = self.mass[run[0]]
            left[0] = first if len(run) == 1 else first * left[1]
            left[0] = left[0].clamp(min=least)
            found.append(np.maximum(left.numpy(), TINY))
        return found


def _stops_of(scorer: NextTokenScorer) -> Tensor:
    """bool [V]: tokens after which a sentence may end; none where it is unknown what they write."""
    rule, vocabulary = getattr(scorer, "rule", None), getattr(scorer, "vocabulary", None)
    if isinstance(rule, SentenceEnd):
        return rule.stops
    try:
        if vocabulary is not None:
            return sentence_end(vocabulary, scorer.end_id).stops
    except InputError:
        pass
    return torch.zeros_like(scorer.allowed)


def _room(scorer: NextTokenScorer) -> int:
    """Tokens that the window of the model leaves for a text."""
    return int(getattr(scorer, "longest_text", 1 << 20))


def powered(scorer: NextTokenScorer, texts: Sequence[tuple[int, ...]], power: float) -> Tensor:
    """float64 [B, V]: p^power of the token after each text."""
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
    chance = powered(scorer, texts, power) * stops
    there = (chance.sum(1) > 0).nonzero()[:, 0].tolist()
    if not there:
        return 0.0, 1.0
    token = categorical(chance[there] / chance[there].sum(1, keepdim=True)).tolist()
    after = powered(scorer, [(*texts[r], t) for r, t in zip(there, token, strict=True)], power)
    ends, goes_on = after[:, scorer.end_id], (after * scorer.allowed).sum(1)
    return float(ends.mean()) ** (1 / power), float(goes_on.mean()) ** (1 / power)
