"""Answer questions in batches, in this process or with Ray actors."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Protocol

from ergotext.errors import ErgotextError
from ergotext.tasks.datasets.kgclue.data import Triple
from ergotext.tasks.workers import Work, done_by_ray


class HitLike(Protocol):
    """Interface of an answer (``tasks.retrieval``)."""

    @property
    def fields(self) -> dict[str, str]:
        """Subject and predicate, or key."""

    @property
    def values(self) -> list[str]:
        """Objects."""

    @property
    def score(self) -> float:
        """Score that hits are ranked by, in nats."""

    @property
    def log_prob(self) -> float:
        """In nats."""

    @property
    def probability(self) -> float:
        """Among all keys; NaN where it is not known."""

    @property
    def probability_low(self) -> float:
        """The least that it can be."""

    @property
    def probability_high(self) -> float:
        """The most that it can be."""


NUMBERS = ("score", "log_prob", "probability", "probability_low", "probability_high")
Ask = Callable[[Sequence[str]], Sequence[Sequence[HitLike]]]
"""What finds the hits of each question, best first."""
Make = Callable[[], Ask]
"""What loads one; it travels to other processes."""


@dataclass(frozen=True)
class Reply:
    """Outcome of a question.

    Parameters
    ----------
    answer : str, optional
        ``subject ||| predicate ||| object``, or a title; empty where the retriever gave no answer,
        None where it failed.
    hit : dict, optional
        The first hit: its fields, values and ``NUMBERS``; of titles, all of them.
    error : str, optional
        What the retriever failed with.
    """

    answer: str | None
    hit: dict[str, Any] | None = None
    error: str | None = None


class Asker:
    """Answers batches of questions; what a question fails with is its reply and ends nothing."""

    def __init__(self, make: Make) -> None:
        self.ask = make()

    def __call__(self, questions: Sequence[str]) -> list[Reply]:
        """One reply a question."""
        try:
            return [_reply(hits) for hits in self._hits(questions)]
        except Exception as error:
            _pass_on_signals(error)
            if len(questions) > 1:  # whichever it was: the others shall not suffer
                return [reply for one in questions for reply in self([one])]
            return [Reply(None, error=" ".join(f"{type(error).__name__}: {error}".split()))]

    def _hits(self, questions: Sequence[str]) -> Sequence[Sequence[HitLike]]:
        found = self.ask(questions)
        if len(found) != len(questions):
            raise ErgotextError(f"got {len(found)} answers to {len(questions)} questions")
        return found


def here(make: Make, batches: Iterable[Sequence[str]]) -> Iterator[list[Reply]]:
    """The replies to each batch, from this process."""
    asker = Asker(make)
    yield from map(asker, batches)


def by_ray(make: Make, batches: Sequence[Sequence[str]], workers: int) -> Iterator[list[Reply]]:
    """The same replies in the same order, from a pool of actors that each load a retriever.

    Parameters and errors are those of ``done_by_ray``. An input is a batch, so that questions are
    read in the company that they have here.
    """
    texts = [json.dumps(list(batch)) for batch in batches]
    for replies in done_by_ray(partial(_batches, make), texts, workers):
        yield [Reply(**one) for one in json.loads(replies)]


def _batches(make: Make) -> Work:
    """The work on batches that are written as JSON."""
    asker = Asker(make)
    return lambda batch: json.dumps([asdict(one) for one in asker(json.loads(batch))])


def _reply(hits: Sequence[HitLike]) -> Reply:
    if not hits:
        return Reply("")
    best = hits[0]
    numbers = {name: getattr(best, name) for name in NUMBERS}
    told = {name: None if math.isnan(value) else value for name, value in numbers.items()}
    subject, *key = best.fields.values()
    if not key:
        titles = [text for hit in hits for text in hit.fields.values()]
        return Reply(titles[0], {"titles": titles, "values": best.values, **told})
    predicate = " ".join(key)
    if not best.values:
        raise ErgotextError(f"the entry {subject}, {predicate} has no objects")
    answer = Triple(subject, predicate, best.values[0])
    if not answer.is_told_apart:
        raise ErgotextError(
            f"the entry {answer!s:.80} contains |||, the separator of the fields of an answer, so "
            "it cannot be submitted"
        )
    none = getattr(hits, "none", math.nan)
    more = {"named": getattr(hits, "subject", None), "none": None if math.isnan(none) else none}
    return Reply(str(answer), {**best.fields, "values": best.values, **told, **more})


def _pass_on_signals(error: BaseException) -> None:
    """Ctrl-C and SIGTERM end the run, also where a lazy import has made an error of them."""
    cause: BaseException | None = error
    while cause is not None:
        if not isinstance(cause, Exception):
            raise cause
        cause = cause.__cause__ or cause.__context__
