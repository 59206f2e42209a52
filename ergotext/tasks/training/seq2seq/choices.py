"""Batches of questions with candidate keys to choose from."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch

from ergotext.tasks.retrieval.candidates import Spotter
from ergotext.tasks.training.examples import Example
from ergotext.tasks.training.seq2seq.rewards import Rivals, rivals_in
from ergotext.tasks.training.seq2seq.scoring import Batch, Coder

Drawn = tuple[Rivals, list[float]]
"""Keys, and the log of the chance that each had to be drawn, in nats."""
Sampler = Callable[[Sequence[str], int], list[Drawn]]
"""Keys of a base for questions, drawn for the batch with this number."""


class Choices:
    """Makes the batches that ``objectives.listwise`` and ``objectives.shortfall`` take.

    Besides what a question and all keys are read from, such a batch has ``row`` (the question of
    each key), ``true`` (the place of each question's true key), ``worth`` and ``log_chance``.

    Parameters
    ----------
    coder : Coder
    spotter : Spotter
        Of the base: rivals are the keys whose mention occurs in the question.
    most : int
        Keys of a question, the true one among them. Of more rivals some are taken by chance, unless
        there is a sampler.
    seed : int
    sampler : Sampler, optional
        What gives the rivals of questions that have none or too many.
    """

    def __init__(
        self, coder: Coder, spotter: Spotter, most: int, seed: int, sampler: Sampler | None = None
    ) -> None:
        self._coder, self._spotter, self._most = coder, spotter, most
        self._seed, self._sampler = seed, sampler

    def __call__(self, examples: Sequence[Example], number: int) -> Batch:
        """The batch with this number."""
        texts = [one.question for one in examples]
        rivals = rivals_in(self._spotter, texts)
        drawn = self._drawn(texts, rivals, number)
        keys: list[str] = []
        row: list[int] = []
        true: list[int] = []
        worth: list[float] = []
        chance: list[float] = []
        for place, (one, (found, chances)) in enumerate(zip(examples, drawn, strict=True)):
            values = _worth(one, found)
            at = found.keys.index(one.key) if one.key in found.keys else len(found)
            true.append(len(keys) + at)
            missing = at == len(found)
            keys += [*found.keys, one.key] if missing else found.keys
            worth += [*values, 1.0] if missing else values
            # The true key is always there, and represents itself alone.
            chance += [*chances[:at], 0.0, *chances[at + 1 :]]
            row += [place] * (len(found) + missing)
        return {
            **self._coder.batch(texts, keys),
            "row": torch.tensor(row),
            "true": torch.tensor(true),
            "worth": torch.tensor(worth),
            "log_chance": torch.tensor(chance),
        }

    def _drawn(self, texts: Sequence[str], rivals: Sequence[Rivals], number: int) -> list[Drawn]:
        """At most ``most`` keys of each question, room left for the true one."""
        rng = np.random.default_rng([self._seed, number, 2])
        found: list[Drawn] = []
        for each in rivals:
            kept = min(len(each), self._most - 1)
            places = np.sort(rng.choice(len(each), size=kept, replace=False)).tolist()
            chance = math.log(kept / len(each)) if kept else 0.0
            found.append((each.some(places), [chance] * kept))
        if self._sampler is not None:
            open_ = [n for n, each in enumerate(rivals) if not 0 < len(each) < self._most]
            if open_:
                new = self._sampler([texts[n] for n in open_], number)
                for n, one in zip(open_, new, strict=True):
                    found[n] = one
        return found


def _worth(example: Example, found: Rivals) -> list[float]:
    """EMF1 of each key's object; of made-up examples, whether it is the true key."""
    if example.answer is None or not len(found):
        return [float(key == example.key) for key in found.keys]
    return [float(value) for value in found.worth(example.answer)]
