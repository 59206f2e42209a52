"""The thread that runs the models: a bounded queue, batches, time limits, an orderly end.

A network that is used from two threads at once is slower than from one, and its caches are not made
for it. So all requests are answered by one thread, in the order of their arrival, but that those
which can be answered together are: what waits when the thread is free and asks for the same kind of
thing goes with the first of them.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from ergotext.errors import ErgotextError
from ergotext.server.errors import busy, late, stopping
from ergotext.server.metrics import Meters

LINGER = 0.006
"""Seconds that a batch waits for the others of the one before: their clients have just been
answered, and are about to ask again."""

Work = Callable[[Sequence[Any]], Sequence[Any]]
"""An answer for each argument, computed together."""


class StoppedError(ErgotextError):
    """A computation that nobody waits for any more, or that took too long."""


@dataclass(eq=False)
class Job:
    """A request for the worker.

    Parameters
    ----------
    work : Work
    argument : object
        What ``work`` is given, in a list with those of other jobs that are ``alike``.
    alike : hashable, optional
        Jobs of one value are answered together; with None, this one is alone.
    size : int
        How much of a batch it takes, where the greatest batch has ``ModelWorker.widest``.
    seconds : float, optional
        Time limit, where it is lower than the worker's.
    """

    work: Work
    argument: Any
    alike: Hashable | None = None
    size: int = 1
    seconds: float | None = None
    answer: Future[Any] = field(default_factory=Future)
    gone: threading.Event = field(default_factory=threading.Event)
    arrived: float = field(default_factory=time.monotonic)
    waited: float = 0.0
    """seconds, known when its turn comes"""
    together: int = 0
    """jobs that were answered with it, itself among them"""

    def stop(self) -> None:
        """Nobody waits for the answer any more."""
        self.gone.set()


class ModelWorker:
    """Answers jobs, one batch after the other, in a thread of its own.

    Parameters
    ----------
    waiting : int
        Jobs that may wait; more are refused.
    seconds : float
        Time limit of a batch.
    widest : int
        Sizes of jobs that are answered together, added up.
    meters : Meters
    failed : callable
        Is told of errors that are nobody's input.
    """

    def __init__(
        self,
        waiting: int,
        seconds: float,
        widest: int,
        meters: Meters,
        failed: Callable[[BaseException], None],
    ) -> None:
        self.waiting, self.seconds, self.widest = waiting, seconds, widest
        self._meters, self._failed = meters, failed
        self._queue: deque[Job] = deque()
        self._change = threading.Condition()
        self._ending = False
        self._running: list[Job] = []
        self._until = 0.0
        self._last = 1
        self._thread = threading.Thread(target=self._run, name="models", daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def close(self, finish: bool = True) -> None:
        """Take no more jobs, finish what was taken (or drop it), and end the thread."""
        with self._change:
            self._ending = True
            if not finish:
                for job in [*self._queue, *self._running]:
                    job.stop()
            self._change.notify_all()
        if self._thread.is_alive():
            self._thread.join()

    def submit(self, job: Job) -> None:
        """Put a job into the queue.

        Raises
        ------
        RefusalError
            The queue is full, or the server is stopping.
        """
        with self._change:
            if self._ending:
                raise stopping()
            if len(self._queue) >= self.waiting:
                # Of a client that has hung up nobody needs the place.
                self._drop_gone()
            if len(self._queue) >= self.waiting:
                self._meters.refused.inc()
                raise busy(len(self._queue))
            self._queue.append(job)
            self._meters.waiting.set(len(self._queue))
            self._change.notify_all()

    def check(self, *_: object) -> None:
        """Raise StoppedError if all that is computed is for nobody, or the time is up.

        Called before every pass of a network.
        """
        running = self._running
        if running and all(job.gone.is_set() for job in running):
            raise StoppedError("nobody waits for the answer any more")
        if running and time.monotonic() > self._until:
            raise StoppedError("the time is up")

    def _run(self) -> None:
        while (jobs := self._next()) is not None:
            self._meters.batch.observe(len(jobs))
            self._answer(jobs)

    def _next(self) -> list[Job] | None:
        """The jobs to answer next, together; None when the worker shall end."""
        with self._change:
            while True:
                while not self._queue and not self._ending:
                    self._change.wait()
                if self._last > 1 and not self._ending:
                    self._linger()
                self._drop_gone()
                if not self._queue and self._ending:
                    return None
                if jobs := self._taken():
                    break
            self._last = len(jobs)
            self._running = jobs
            self._meters.waiting.set(len(self._queue))
            return jobs

    def _linger(self) -> None:
        """Wait a moment for as many as there were the last time."""
        until = time.monotonic() + LINGER
        while len(self._queue) < self._last and (left := until - time.monotonic()) > 0:
            self._change.wait(left)

    def _drop_gone(self) -> None:
        left = deque[Job]()
        for job in self._queue:
            if job.gone.is_set() or job.answer.cancelled():
                job.answer.cancel()
                self._meters.dropped.inc()
            else:
                left.append(job)
        self._queue = left

    def _taken(self) -> list[Job]:
        """The first job, and those behind it that can go with it."""
        jobs: list[Job] = []
        size, left = 0, deque[Job]()
        for job in self._queue:
            alike = not jobs or (job.alike is not None and job.alike == jobs[0].alike)
            if alike and (not jobs or size + job.size <= self.widest):
                # From here on the answer can no longer be cancelled from outside.
                if not job.answer.set_running_or_notify_cancel():
                    continue
                jobs.append(job)
                size += job.size
            else:
                left.append(job)
        self._queue = left
        now = time.monotonic()
        for job in jobs:
            job.waited, job.together = now - job.arrived, len(jobs)
        return jobs

    def _answer(self, jobs: list[Job]) -> None:
        """Compute; where several together fail, each alone, so that one cannot spoil the others."""
        limits = [self.seconds if job.seconds is None else job.seconds for job in jobs]
        limit = min(self.seconds, max(limits))
        self._running, self._until = jobs, time.monotonic() + limit
        began = time.monotonic()
        try:
            found = jobs[0].work([job.argument for job in jobs])
            self._running = []  # before anybody knows of it: what comes next is another's
            for job, one in zip(jobs, found, strict=True):
                job.answer.set_result(one)
        except BaseException as error:  # whatever a request makes a library, or Rust, trip over
            if len(jobs) > 1 and not isinstance(error, StoppedError):
                for job in jobs:
                    if not job.answer.done():
                        self._answer([job])
                return
            self._fail(jobs, error, limit)
        finally:
            self._meters.computing.inc(time.monotonic() - began)

    def _fail(self, jobs: list[Job], error: BaseException, limit: float) -> None:
        self._running = []
        for job in jobs:
            if job.gone.is_set():
                self._meters.dropped.inc()
            if isinstance(error, StoppedError):
                job.answer.set_exception(late(limit))
            elif isinstance(error, Exception):
                job.answer.set_exception(error)
            else:  # it would end the event loop
                job.answer.set_exception(RuntimeError(type(error).__name__))
        if not isinstance(error, ErgotextError):
            self._failed(error)
