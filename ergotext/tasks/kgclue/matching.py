"""Trains the matcher, the learned look-ahead of the retriever."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

import torch
from torch import nn

from ergotext.lm.matcher import Matcher
from ergotext.lm.matcher_input import SUBJECT, Asked
from ergotext.lm.protocols import InputError
from ergotext.tasks.kgclue.data import Triple
from ergotext.tasks.kgclue.metrics import mark
from ergotext.tasks.kgclue.pairs import Examples

SELDOM = 2
"""Characters that are met no more often than this are not learned."""


@dataclass(frozen=True)
class Recipe:
    """How long and how fast a matcher learns."""

    steps: int = 6000
    batch_size: int = 32
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    warm_up: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch_size < 1:
            raise InputError(
                f"steps ({self.steps}) and batch_size ({self.batch_size}) must be at least 1"
            )

    def rate(self, step: int) -> float:
        """The learning rate of a step, counted from 1: a linear rise, a cosine to a twentieth."""
        wave = 0.5 * (1 + math.cos(math.pi * step / self.steps))
        return self.learning_rate * min(1, step / self.warm_up) * (0.05 + 0.95 * wave)


def characters(examples: Examples) -> str:
    """What a matcher shall know: characters of questions, templates and keys, often ones first."""
    groups = [group for _, asked in examples.known for group in asked]
    texts: Iterable[str] = chain(
        (group.rest for group in groups),
        (field for group in groups for key in group.keys for field in key),
        chain.from_iterable(examples.templates.values()),
        examples.templates,
    )
    count = Counter(chain.from_iterable(texts))
    return "".join(c for c, n in count.most_common() if n > SELDOM and c != SUBJECT)


def train(
    matcher: Matcher,
    examples: Examples,
    recipe: Recipe,
    told: Callable[[int, float], None] | None = None,
) -> None:
    """Teach a matcher to tell the right key of each example from the others.

    The loss is −log of the right key's share of the softmax over all keys of its question.
    ``told`` hears of each step its number and loss (nats).
    """
    optimizer = torch.optim.AdamW(
        matcher.parameters(),
        lr=recipe.learning_rate,
        betas=(0.9, 0.98),
        weight_decay=recipe.weight_decay,
    )
    matcher.train()
    for step in range(1, recipe.steps + 1):
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate(step)
        batch = [examples.draw() for _ in range(recipe.batch_size)]
        scores = matcher(matcher.read(chain.from_iterable(one.asked for one in batch)))
        sizes = [sum(len(asked.keys) for asked in one.asked) for one in batch]
        losses = [
            -each.log_softmax(0)[one.right]
            for each, one in zip(scores.split(sizes), batch, strict=True)
        ]
        loss = torch.stack(losses).mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(matcher.parameters(), 1.0)
        optimizer.step()
        if told is not None:
            told(step, loss.item())
    matcher.eval()


def score(
    matcher: Matcher, answers: Sequence[Triple], groups: Sequence[list[Asked]]
) -> dict[str, float]:
    """What the matcher alone scores (``metrics.mark``): best keys and their first objects."""
    told = []
    for group in groups:
        keys = [(one.name, key) for one in group for key in one.keys]
        if not keys:
            told.append("")
            continue
        name, key = keys[int(matcher.scores(group).argmax())]
        subject = f"{name}（{key.meaning}）" if key.meaning else name
        told.append(str(Triple(subject, key.predicate, key.value)))
    return mark(answers, told).scores()
