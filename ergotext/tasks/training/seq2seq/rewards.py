"""Candidate keys with their rewards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ergotext.lm.trie.lines import subject_and_predicate
from ergotext.tasks.datasets.kgclue.data import Triple
from ergotext.tasks.datasets.kgclue.metrics import mark
from ergotext.tasks.retrieval.candidates import Candidates, Spotter


@dataclass(frozen=True)
class Rivals:
    """Keys of the base that may answer a question.

    Parameters
    ----------
    keys : tuple of str [n]
    answers : tuple of Triple [n]
        The entry of each, its first object if there are several.
    """

    keys: tuple[str, ...] = ()
    answers: tuple[Triple, ...] = ()

    def __len__(self) -> int:
        return len(self.keys)

    @classmethod
    def of(cls, found: Candidates) -> Rivals:
        """Of the candidates of a question."""
        keys, answers = [], []
        for number, (mention, rest) in enumerate(zip(found.mention, found.rests, strict=True)):
            key = f"{found.mentions[mention].subject}\t{rest}"
            parts = subject_and_predicate(key)
            if parts is not None:
                keys.append(key)
                answers.append(Triple(*parts, next(iter(found.values(number)), "")))
        return cls(tuple(keys), tuple(answers))

    def some(self, places: Sequence[int]) -> Rivals:
        """Those at these places."""
        return Rivals(
            tuple(self.keys[place] for place in places),
            tuple(self.answers[place] for place in places),
        )

    def worth(self, gold: Triple) -> NDArray[np.float64]:
        """float64 [n]: EMF1 of each key's object, from 0 to 1."""
        return mark([gold] * len(self), [str(answer) for answer in self.answers]).emf1


def rivals_in(spotter: Spotter, questions: Sequence[str]) -> list[Rivals]:
    """For each question the keys of triples whose mention occurs in it; maybe none."""
    found, _ = spotter.find(questions)
    return [Rivals.of(one) for one in found]
