"""Training loop of the look-ahead network."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import nn

from ergotext.errors import InputError, ModelError
from ergotext.support.files import replacing
from ergotext.support.records import Count, NotNegative, Positive, Share, record
from ergotext.tasks.datasets.kgclue.data import Triple
from ergotext.tasks.datasets.kgclue.metrics import mark
from ergotext.tasks.retrieval.lookahead.features import SUBJECT, Asked
from ergotext.tasks.retrieval.lookahead.network import Matcher
from ergotext.tasks.training.lookahead.pairs import Examples
from ergotext.tasks.training.settings import check_same

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

    def rate(self, step: int) -> float:
        """The learning rate of a step, counted from 1: a linear rise, a cosine to a twentieth."""
        wave = 0.5 * (1 + math.cos(math.pi * step / self.steps))
        return self.learning_rate * min(1, step / self.warm_up) * (0.05 + 0.95 * wave)


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


class Lessons:
    """A matcher that learns to tell the right key of each example from the others, step by step.

    The loss is −log of the right key's share of the softmax over all keys of its question. Chance
    is torch's, for what training leaves out, and that of the examples: all of it is kept by
    ``save``, so that a run which was put away continues to the same weights.

    Parameters
    ----------
    matcher : Matcher
    examples : Examples
    recipe : Recipe
    data : dict of str to str
        Digests of what is learned from.
    """

    def __init__(
        self, matcher: Matcher, examples: Examples, recipe: Recipe, data: dict[str, str]
    ) -> None:
        self.matcher, self.examples, self.recipe = matcher, examples, recipe
        self.data = data
        self.done = 0
        self._optimizer = torch.optim.AdamW(
            matcher.parameters(),
            lr=recipe.learning_rate,
            betas=(0.9, 0.98),
            weight_decay=recipe.weight_decay,
        )

    def step(self) -> float:
        """Learn from one batch; its loss in nats a question. ModelError if that is no number."""
        self.matcher.train()
        self.done += 1
        for group in self._optimizer.param_groups:
            group["lr"] = self.recipe.rate(self.done)
        batch = [self.examples.draw(self.recipe.templated) for _ in range(self.recipe.batch_size)]
        texts = self.matcher.read(chain.from_iterable(one.asked for one in batch))
        scores = self.matcher(texts.to(self._device))
        sizes = [sum(len(asked.keys) for asked in one.asked) for one in batch]
        losses = [
            -each.log_softmax(0)[one.right]
            for each, one in zip(scores.split(sizes), batch, strict=True)
        ]
        loss = torch.stack(losses).mean()
        if not math.isfinite(loss.item()):
            raise ModelError(
                f"training diverged at step {self.done:,} (loss {loss.item()}): use a lower "
                "learning rate"
            )
        self._optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.matcher.parameters(), 1.0)
        self._optimizer.step()
        self.matcher.eval()
        return loss.item()

    @property
    def about(self) -> dict[str, Any]:
        """Device in the record: a GPU has its own random numbers."""
        return {**asdict(self.recipe), **self.data, "device": self._device.type}

    @property
    def _device(self) -> torch.device:
        return next(self.matcher.parameters()).device

    @property
    def _cuda(self) -> list[torch.device]:
        """The devices with a chance of their own."""
        return [self._device] if self._device.type == "cuda" else []

    def save(self, path: Path) -> None:
        """Save a checkpoint, keeping the one before."""
        state = {
            "about": self.about,
            "done": self.done,
            "matcher": self.matcher.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "examples": self.examples.rng.getstate(),
            "chance": [torch.get_rng_state(), *map(torch.cuda.get_rng_state, self._cuda)],
        }
        with replacing(path) as part:
            torch.save(state, part)
            if path.exists():
                path.replace(earlier(path))

    def restore(self, path: Path) -> list[str]:
        """Restore the last checkpoint, or the one before if it is damaged.

        Returns
        -------
        list of str
            What is wrong with the last one, if anything is.

        Raises
        ------
        InputError
            There is nothing, none can be read, or it is of another recipe or other data.
        """
        places = [one for one in (path, earlier(path)) if one.exists()]
        if not places:
            raise InputError(f"there is no {path} to resume from: start without resume")
        damaged = []
        for place in places:
            try:
                self._restore(place)
            except _DamagedError as error:
                damaged.append(str(error))
            else:
                return damaged
        raise InputError(f"{'; '.join(damaged)}: remove the damaged files, or start a new run")

    def _restore(self, path: Path) -> None:
        try:
            kept: dict[str, Any] = torch.load(path, "cpu", weights_only=True)
            before = dict(kept["about"])
        except Exception as error:  # torch.load raises whatever a damaged file makes it trip over
            raise _DamagedError(f"{path} is damaged ({error!r:.120})") from error
        check_same(f"the run of {path}", before, self.about)
        try:
            self.matcher.load_state_dict(kept["matcher"])
            self._optimizer.load_state_dict(kept["optimizer"])
            version, state, gauss = kept["examples"]
            self.examples.rng.setstate((version, tuple(state), gauss))
            state, *on_device = kept["chance"]
            torch.set_rng_state(state)
            for device, state in zip(self._cuda, on_device, strict=True):
                torch.cuda.set_rng_state(state, device)
            self.done = int(kept["done"])
        except Exception as error:  # what an edited one makes of all of these
            raise _DamagedError(f"{path} is damaged ({error!r:.120})") from error


class _DamagedError(Exception):
    """A checkpoint that cannot be gone on from."""


def earlier(path: Path) -> Path:
    """Path of the checkpoint before the last."""
    return path.with_suffix(f".before{path.suffix}")


def score(
    matcher: Matcher, answers: Sequence[Triple], groups: Sequence[list[Asked]]
) -> dict[str, float]:
    """Scores of the matcher alone (``metrics.mark``): best keys and their first objects."""
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
