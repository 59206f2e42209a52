"""Answer questions in batches, in this process or with Ray actors."""

from __future__ import annotations

import json
import logging
import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Protocol

from ergotext.errors import ErgotextError, InputError
from ergotext.support.extras import install
from ergotext.tasks.datasets.kgclue.data import Triple


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

    Parameters
    ----------
    make : callable
        What it names (index, model) must be there on every machine.
    batches : sequence of sequence of str
    workers : int
        Actors, of one processor each. They run on this machine, or on the cluster that the
        variable RAY_ADDRESS names.

    Raises
    ------
    InputError
        Ray is not installed.
    ErgotextError
        The actors cannot be started, or load no retriever.
    """
    check_ray()
    # A row is a batch, so that questions are read in the company that they have here.
    rows = [{"batch": json.dumps(list(batch))} for batch in batches]
    with _ray_data(workers) as data:
        replies = data.from_items(rows, override_num_blocks=len(rows)).map_batches(
            _Actor,
            fn_constructor_args=(make,),
            batch_size=1,
            compute=data.ActorPoolStrategy(size=workers),
            num_cpus=1,
        )
        for row in replies.iter_rows():
            if row["failed"]:
                raise (InputError if row["usage"] else ErgotextError)(row["failed"])
            yield [Reply(**one) for one in json.loads(row["replies"])]


@contextmanager
def _ray_data(workers: int) -> Iterator[Any]:
    """``ray.data`` in a quiet session of ray, which is ended if it was not there before."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is reported to anyone
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    logging.getLogger("ray.data").setLevel(logging.ERROR)  # or it tells its plans
    ray: Any = import_module("ray")
    data: Any = import_module("ray.data")
    mine = not ray.is_initialized()
    if mine:
        address = os.environ.get("RAY_ADDRESS")
        # Of a machine with fewer processors than workers, these shall not wait for each other.
        local = {} if address else {"num_cpus": workers + 1, "include_dashboard": False}
        ray.init(address=address, log_to_driver=False, logging_level="ERROR", **local)
    context = data.DataContext.get_current()
    before = context.enable_progress_bars, context.execution_options.preserve_order
    context.enable_progress_bars, context.execution_options.preserve_order = False, True
    try:
        yield data
    except ray.exceptions.RayError as error:
        raise ErgotextError(f"Ray workers failed: {_last_line(error)}") from error
    finally:
        context.enable_progress_bars, context.execution_options.preserve_order = before
        if mine:
            ray.shutdown()


def check_ray() -> None:
    """Raise InputError where Ray is not installed."""
    if find_spec("ray") is None or find_spec("pyarrow") is None:
        raise InputError(f"Ray is not installed; run: {install('ray')}")


class _Actor:
    """An ``Asker`` over rows of Arrow tables."""

    def __init__(self, make: Make) -> None:
        self.asker: Asker | None = None
        self.failed, self.usage = "", False
        try:
            self.asker = Asker(make)
        except Exception as error:  # returned as a row: ray would retry, and print pages
            own = isinstance(error, ErgotextError)
            self.failed = str(error) if own else f"{type(error).__name__}: {error}"
            self.usage = isinstance(error, InputError)

    def __call__(self, rows: dict[str, Any]) -> dict[str, list[Any]]:
        batches = [json.loads(batch) for batch in rows["batch"]]
        replies = [[] if self.asker is None else self.asker(batch) for batch in batches]
        return {
            "replies": [json.dumps([asdict(one) for one in each]) for each in replies],
            "failed": [self.failed] * len(batches),
            "usage": [self.usage] * len(batches),
        }


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
    named = getattr(hits, "subject", None)
    return Reply(str(answer), {**best.fields, "values": best.values, **told, "named": named})


def _pass_on_signals(error: BaseException) -> None:
    """Ctrl-C and SIGTERM end the run, also where a lazy import has made an error of them."""
    cause: BaseException | None = error
    while cause is not None:
        if not isinstance(cause, Exception):
            raise cause
        cause = cause.__cause__ or cause.__context__


def _last_line(error: Exception) -> str:
    """What ray's account of an error, a page long, ends with."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
