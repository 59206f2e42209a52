"""The learned look-ahead: what a matcher thinks of the keys whose subjects stand in a question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ergotext.lm.matcher import Matcher
from ergotext.lm.matcher_input import SUBJECT, Asked, Key
from ergotext.tasks.candidates import Candidates, Mention
from ergotext.tasks.fitted import Fitted

TOGETHER = 256
"""Keys that the matcher reads at a time: fewer leave the processor idle, more its caches."""


@dataclass(frozen=True, eq=False)
class Matched:
    """A potential: ``scale`` times the matcher's score of each key, in nats.

    Subjects that lie inside longer ones are out of the question (-inf).

    Parameters
    ----------
    matcher : Matcher
    scale : float
        What a nat of the score counts beside one of the model's log-probability.
    """

    matcher: Matcher
    scale: float = Fitted().scale

    @classmethod
    def load(cls, folder: str | Path) -> Matched:
        """The matcher in a model's folder, at its fitted scale; errors as both ``load`` have."""
        return cls(Matcher.load(folder), Fitted.load(Path(folder)).scale)

    def __call__(self, question: str, keys: Candidates) -> NDArray[np.float64]:
        return self.many([question], [keys])[0]

    def many(
        self, questions: Sequence[str], keys: Sequence[Candidates]
    ) -> list[NDArray[np.float64]]:
        """The same for each question, at most ``TOGETHER`` keys read at a time."""
        found = [np.full(len(each), -np.inf) for each in keys]
        batch: list[tuple[int, NDArray[np.int64], Asked]] = []
        size = 0
        for number, (question, each) in enumerate(zip(questions, keys, strict=True)):
            for rows, asked in grouped(question, each):
                for part in np.split(rows, range(TOGETHER, len(rows), TOGETHER)):
                    if batch and size + len(part) > TOGETHER:
                        self._fill(found, batch)
                        batch, size = [], 0
                    at = int(np.searchsorted(rows, part[0]))
                    some = asked._replace(keys=asked.keys[at : at + len(part)])
                    batch.append((number, part, some))
                    size += len(part)
        self._fill(found, batch)
        return found

    def _fill(
        self,
        found: list[NDArray[np.float64]],
        batch: list[tuple[int, NDArray[np.int64], Asked]],
    ) -> None:
        """Put the scores of a batch where they belong: question, its rows, what is asked."""
        scores = self.scale * self.matcher.scores([asked for _, _, asked in batch]).numpy()
        begin = 0
        for number, rows, _ in batch:
            found[number][rows] = scores[begin : begin + len(rows)]
            begin += len(rows)


def grouped(question: str, keys: Candidates) -> list[tuple[NDArray[np.int64], Asked]]:
    """For each of the longest subjects in a question its candidates' numbers and what is asked."""
    spans = [(n, mention) for n, mention in enumerate(keys.mentions) if _outside(mention, keys)]
    found = []
    for number, mention in spans or [(-1, Mention("", 0, 0))]:
        rows = np.flatnonzero(keys.mention == number)
        rest = question
        if number >= 0:
            rest = question[: mention.start] + SUBJECT + question[mention.stop :]
        found.append((rows, Asked(rest, mention.text, [_key(keys, row) for row in rows.tolist()])))
    return [one for one in found if len(one[0])]


def _outside(mention: Mention, keys: Candidates) -> bool:
    """Whether no longer subject covers this one."""
    return not any(
        other.start <= mention.start
        and mention.stop <= other.stop
        and len(other.text) > len(mention.text)
        for other in keys.mentions
    )


def _key(keys: Candidates, number: int) -> Key:
    predicate, _, meaning = keys.rests[number].partition("\t")
    values = keys.values(number)
    return Key(predicate, values[0] if values else "", meaning)
