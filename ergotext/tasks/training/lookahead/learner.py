"""The look-ahead network in training: its settings, gradients, and score on dev questions."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ergotext.tasks.datasets.kgclue.data import Question, Triple
from ergotext.tasks.datasets.kgclue.metrics import mark
from ergotext.tasks.retrieval.candidates import Spotter
from ergotext.tasks.retrieval.lookahead.features import SUBJECT, Asked
from ergotext.tasks.retrieval.lookahead.learned import grouped
from ergotext.tasks.retrieval.lookahead.network import Matcher
from ergotext.tasks.training.lookahead.pairs import Examples, right_key
from ergotext.tasks.training.lookahead.recipe import Recipe

SHARE = "log_share"
"""Score: the mean of log p(right key | the keys that a question may be about), in nats."""
SURE = 2.0
"""Standard errors from which on trained weights are taken to be better."""
SELDOM = 2
"""Characters that are met no more often than this are not learned."""


def characters(examples: Examples) -> str:
    """Vocabulary of a matcher: characters of questions, templates and keys, by frequency."""
    groups = [group for _, asked in examples.known for group in asked]
    texts: Iterable[str] = chain(
        (group.rest for group in groups),
        (field for group in groups for key in group.keys for field in key),
        chain.from_iterable(examples.templates.values()),
        examples.templates,
    )
    count = Counter(chain.from_iterable(texts))
    return "".join(c for c, n in count.most_common() if n > SELDOM and c != SUBJECT)


@dataclass(frozen=True, eq=False)
class DevKeys:
    """Dev questions: their answers, and the keys that each may be about."""

    answers: Sequence[Triple]
    groups: Sequence[list[Asked]]

    @classmethod
    def of(cls, questions: Sequence[Question], spotter: Spotter) -> DevKeys:
        """Those that have an answer."""
        kept = [(one.text, one.answer) for one in questions if one.answer is not None]
        keys, _ = spotter.find([text for text, _ in kept])
        groups = [
            [asked for _, asked in grouped(text, own)]
            for (text, _), own in zip(kept, keys, strict=True)
        ]
        return cls([answer for _, answer in kept], groups)

    def score(self, matcher: Matcher) -> dict[str, float]:
        """Scores of a matcher alone (``metrics.mark``): best keys and their first objects.

        And ``SHARE`` over the questions whose right key is among theirs: where there are few
        questions, it tells better weights from worse ones that ``metrics.mark`` cannot.
        """
        told, shares = self._read(matcher)
        share = sum(shares) / max(1, len(shares))
        return {**mark(self.answers, told).scores(), SHARE: round(share, 6)}

    def is_better(self, matcher: Matcher, other: Matcher) -> bool:
        """Whether a matcher gives the right keys more probability than another, beyond chance.

        The mean gain in nats over the questions must be ``SURE`` times its standard error: a single
        question that is better understood makes a mean as large as its error.
        """
        gain = np.subtract(self._read(matcher)[1], self._read(other)[1])
        if len(gain) < 2:
            return False
        return bool(gain.mean() > SURE * gain.std(ddof=1) / math.sqrt(len(gain)))

    def _read(self, matcher: Matcher) -> tuple[list[str], list[float]]:
        """The answer to each question, and log p(right key) of those that have it."""
        told: list[str] = []
        shares: list[float] = []
        for group, answer in zip(self.groups, self.answers, strict=True):
            keys = [(one.name, key) for one in group for key in one.keys]
            if not keys:
                told.append("")
                continue
            scores = matcher.scores(group)
            if (right := right_key(group, answer)) is not None:
                shares.append(float(scores.log_softmax(0)[right]))
            name, key = keys[int(scores.argmax())]
            subject = f"{name}（{key.meaning}）" if key.meaning else name
            told.append(str(Triple(subject, key.predicate, key.value)))
        return told, shares


class MatcherLearner:
    """A ``Learner``: a matcher that learns to tell the right key of each example from the others.

    The loss is −log of the right key's share of the softmax over all keys of its question.

    Parameters
    ----------
    matcher : Matcher
    examples : Examples
    dev : DevKeys
    recipe : Recipe
    """

    def __init__(self, matcher: Matcher, examples: Examples, dev: DevKeys, recipe: Recipe) -> None:
        self.network, self._examples, self._dev, self._recipe = matcher, examples, dev, recipe
        self.optimizer = torch.optim.AdamW(
            matcher.parameters(),
            lr=recipe.learning_rate,
            betas=(0.9, 0.98),
            weight_decay=recipe.weight_decay,
        )

    def gradients(self, step: int) -> Tensor:  # noqa: ARG002 - examples are drawn in turn
        """Set the gradients for the next batch; its loss in nats a question."""
        recipe, matcher = self._recipe, self.network
        batch = [self._examples.draw(recipe.templated) for _ in range(recipe.batch_size)]
        texts = matcher.read(chain.from_iterable(one.asked for one in batch))
        scores = matcher(texts.to(next(matcher.parameters()).device))
        sizes = [sum(len(asked.keys) for asked in one.asked) for one in batch]
        losses = [
            -each.log_softmax(0)[one.right]
            for each, one in zip(scores.split(sizes), batch, strict=True)
        ]
        loss = torch.stack(losses).mean()
        loss.backward()
        return loss.detach()

    def scores(self) -> dict[str, float]:
        """Scores on all dev questions."""
        return self._dev.score(self.network)

    def chance(self) -> tuple[Any, ...]:
        """State of the randomness that examples are drawn with."""
        return self._examples.rng.getstate()

    def set_chance(self, state: tuple[Any, ...]) -> None:
        """Go back to a state."""
        version, numbers, gauss = state
        self._examples.rng.setstate((version, tuple(numbers), gauss))
