"""The look-ahead network in training: its settings, gradients, and score on dev questions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor

from ergotext.support.records import Count, NotNegative, Positive, Share, record
from ergotext.tasks.datasets.kgclue.data import Question, Triple
from ergotext.tasks.datasets.kgclue.metrics import mark
from ergotext.tasks.retrieval.candidates import Spotter
from ergotext.tasks.retrieval.lookahead.features import SUBJECT, Asked
from ergotext.tasks.retrieval.lookahead.learned import grouped
from ergotext.tasks.retrieval.lookahead.network import Matcher
from ergotext.tasks.training.lookahead.pairs import Examples
from ergotext.tasks.training.schedule import Cosine

SELDOM = 2
"""Characters that are met no more often than this are not learned."""


@record
class Recipe:
    """Hyperparameters of the look-ahead training.

    Parameters
    ----------
    steps, batch_size : int
    learning_rate, weight_decay : float
    warm_up : int
        Steps in which the rate rises.
    width, hidden : int
        Of a matcher from scratch.
    templated : float
        Share of the examples that are templates, if there are any.
    seed : int

    Raises
    ------
    InputError
        A number is out of its range.
    """

    steps: Count = 8000
    batch_size: Count = 32
    learning_rate: Positive = 1e-3
    weight_decay: NotNegative = 0.05
    warm_up: Count = 100
    width: Count = 96
    hidden: Count = 128
    templated: Share = 0.3
    seed: Annotated[int, Field(ge=0, lt=1 << 63)] = 0

    @property
    def schedule(self) -> Cosine:
        """Length and learning rate."""
        return Cosine(self.steps, self.learning_rate, self.warm_up)


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
        """Scores of a matcher alone (``metrics.mark``): best keys and their first objects."""
        told = []
        for group in self.groups:
            keys = [(one.name, key) for one in group for key in one.keys]
            if not keys:
                told.append("")
                continue
            name, key = keys[int(matcher.scores(group).argmax())]
            subject = f"{name}（{key.meaning}）" if key.meaning else name
            told.append(str(Triple(subject, key.predicate, key.value)))
        return mark(self.answers, told).scores()


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
