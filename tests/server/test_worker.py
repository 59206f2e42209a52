"""The thread of the models: order, batches, bounds, limits, hang-ups, an orderly end."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any

import pytest

from ergotext.errors import InputError
from ergotext.server import worker as real
from ergotext.server.errors import RefusalError
from ergotext.server.metrics import Meters
from tests.faulty import load_with_fault
from tests.waiting import until

failures: list[BaseException] = []
MANY = 1000
"""Passes after which work ends by itself: the limits of tests are over long before."""


def made(module: ModuleType = real, waiting: int = 8, seconds: float = 5.0, widest: int = 8) -> Any:
    failures.clear()
    return module.ModelWorker(waiting, seconds, widest, Meters(), failures.append)


class Slow:
    """Work that waits until it is let go, and remembers what came together."""

    def __init__(self) -> None:
        self.go, self.begun = threading.Event(), threading.Event()
        self.batches: list[list[Any]] = []

    def __call__(self, each: Sequence[Any]) -> list[Any]:
        self.batches.append(list(each))
        self.begun.set()
        assert self.go.wait(60)
        if "bad" in each:
            raise InputError("bad input")
        if "odd" in each:
            raise ZeroDivisionError("secret")
        return [f"{one}!" for one in each]


@pytest.fixture
def slow() -> Iterator[Slow]:
    work = Slow()
    yield work
    work.go.set()


def held(worker: Any, slow: Slow, module: ModuleType = real) -> Any:
    """A worker that is busy with a first job."""
    worker.start()
    first = module.Job(slow, "first")
    worker.submit(first)
    assert slow.begun.wait(60)
    return first


def test_what_waits_is_answered_together(slow: Slow) -> None:
    worker = made(widest=3)
    first = held(worker, slow)
    names = [("a", 1), ("b", 2), ("c", 1), ("d", 1), ("e", 1), ("f", None)]
    jobs = [real.Job(slow, name, alike) for name, alike in names]
    for job in jobs:
        worker.submit(job)
    slow.go.set()
    assert [job.answer.result(60) for job in [first, *jobs]] == [
        "first!", "a!", "b!", "c!", "d!", "e!", "f!",
    ]  # fmt: skip
    assert slow.batches == [["first"], ["a", "c", "d"], ["b"], ["e"], ["f"]]
    assert [job.together for job in jobs] == [3, 1, 3, 3, 1, 1]
    assert all(job.waited > 0 for job in jobs)
    worker.close()


def test_sizes_of_a_batch_are_added_up(slow: Slow) -> None:
    worker = made(widest=4)
    held(worker, slow)
    jobs = [real.Job(slow, name, 1, size) for name, size in [("a", 3), ("b", 2), ("c", 1)]]
    for job in [*jobs, real.Job(slow, "wide", 2, 99)]:
        worker.submit(job)
    slow.go.set()
    worker.close()
    assert slow.batches == [["first"], ["a", "c"], ["b"], ["wide"]]


def test_one_bad_input_does_not_spoil_the_others(slow: Slow) -> None:
    worker = made()
    held(worker, slow)
    jobs = [real.Job(slow, name, 1) for name in ("a", "bad", "odd", "b")]
    for job in jobs:
        worker.submit(job)
    slow.go.set()
    worker.close()
    assert jobs[0].answer.result() == "a!" and jobs[3].answer.result() == "b!"
    with pytest.raises(InputError, match="bad input"):
        jobs[1].answer.result()
    with pytest.raises(ZeroDivisionError):
        jobs[2].answer.result()
    assert [type(one) for one in failures] == [ZeroDivisionError]


class Panic(BaseException):
    """As what Rust raises when it gives up: no Exception."""


def test_what_is_no_exception_does_not_end_the_thread() -> None:
    def panic(_: Any) -> Any:
        raise Panic("secret")

    worker = made()
    worker.start()
    job, after = real.Job(panic, "x"), real.Job(lambda each: each, "after")
    worker.submit(job)
    worker.submit(after)
    with pytest.raises(RuntimeError, match=r"^Panic$"):
        job.answer.result(60)
    assert after.answer.result(60) == "after" and isinstance(failures[0], Panic)
    worker.close()


def full(module: ModuleType, slow: Slow) -> None:
    worker = made(module, waiting=2)
    held(worker, slow, module)
    waiting = [module.Job(slow, "a"), module.Job(slow, "b")]
    for job in waiting:
        worker.submit(job)
    with pytest.raises(RefusalError) as refused:
        worker.submit(module.Job(slow, "c"))
    assert refused.value.status == 429 and "2 requests are waiting" in refused.value.message
    # A client that has hung up gives its place away.
    waiting[0].stop()
    last = module.Job(slow, "d")
    worker.submit(last)
    slow.go.set()
    worker.close()
    assert last.answer.result() == "d!" and waiting[0].answer.cancelled()
    assert slow.batches == [["first"], ["b"], ["d"]]


def test_a_full_queue_refuses(slow: Slow) -> None:
    full(real, slow)


class Looping:
    """Work that goes on as a network that is run again and again, until it is stopped or let go.

    It ends by itself after ``most`` passes, where nothing else ends it.
    """

    def __init__(self, worker: Any, most: float = math.inf) -> None:
        self.worker, self.most, self.passes, self.over = worker, most, 0, threading.Event()

    def __call__(self, each: Any) -> Any:
        while self.passes < self.most and not self.over.wait(0.002):
            self.passes += 1
            self.worker.check()
        return each


def limits(module: ModuleType) -> None:
    worker = made(module, seconds=0.2)
    worker.start()
    job = module.Job(Looping(worker, MANY), "x")
    worker.submit(job)
    with pytest.raises(RefusalError, match=r"more than 0\.2 seconds") as refused:
        job.answer.result(60)
    assert refused.value.status == 400
    shorter = module.Job(Looping(worker, MANY), "x", seconds=0.05)
    worker.submit(shorter)
    with pytest.raises(RefusalError, match=r"more than 0\.05 seconds"):
        shorter.answer.result(60)
    worker.close()


def test_a_computation_has_a_time_limit() -> None:
    limits(real)


def hang_up(module: ModuleType) -> None:
    worker = made(module, seconds=600)
    worker.start()
    work = Looping(worker)
    two = [module.Job(work, "x", 1), module.Job(work, "y", 1)]
    blocked, go = threading.Event(), threading.Event()

    def block(each: Any) -> Any:
        blocked.set()
        go.wait(60)
        return each

    def passed() -> None:
        """Until the work has gone through some passes more, or has ended."""
        before = work.passes
        until(lambda: work.passes > before + 3 or two[1].answer.done())

    try:
        worker.submit(module.Job(block, "z"))
        assert blocked.wait(60)
        for job in two:
            worker.submit(job)
        go.set()
        until(lambda: work.passes > 0)
        two[0].stop()
        passed()
        assert not two[1].answer.done()  # somebody still waits
        two[1].stop()
        passed()
        assert two[1].answer.done()
        after = module.Job(lambda each: each, "after")
        worker.submit(after)
        assert after.answer.result(60) == "after"
    finally:
        work.over.set()
    worker.close()


def test_what_nobody_waits_for_is_stopped() -> None:
    hang_up(real)


def finish(module: ModuleType, slow: Slow) -> None:
    worker = made(module)
    held(worker, slow, module)
    jobs = [module.Job(slow, k) for k in range(3)]
    for job in jobs:
        worker.submit(job)
    closing = threading.Thread(target=worker.close)
    closing.start()
    until(lambda: worker._ending)
    slow.go.set()
    closing.join(60)
    assert [job.answer.result(0) for job in jobs] == ["0!", "1!", "2!"]
    with pytest.raises(RefusalError) as refused:
        worker.submit(module.Job(slow, "late"))
    assert refused.value.status == 503


def test_a_worker_that_ends_finishes_what_it_took(slow: Slow) -> None:
    finish(real, slow)


def test_a_worker_can_drop_what_it_took(slow: Slow) -> None:
    worker = made(seconds=600)
    worker.start()
    work = Looping(worker)
    worker.submit(real.Job(work, "x"))
    later = real.Job(slow, "y")
    worker.submit(later)
    until(lambda: work.passes > 0)
    worker.close(finish=False)
    assert later.answer.cancelled() and slow.batches == []


def test_an_answer_that_was_cancelled_from_outside_harms_nobody(slow: Slow) -> None:
    worker = made()
    held(worker, slow)
    jobs = [real.Job(slow, name, 1) for name in "ab"]
    for job in jobs:
        worker.submit(job)
    assert jobs[0].answer.cancel()
    slow.go.set()
    worker.close()
    assert jobs[1].answer.result() == "b!" and slow.batches[1:] == [["b"]]


def in_step(module: ModuleType, slow: Slow) -> None:
    """Clients in step stay together: not one alone and the others after it."""
    module.LINGER = 60.0  # but it waits no longer than until all are there again
    worker = made(module)
    linger, waits = worker._linger, threading.Event()
    worker._linger = lambda: (waits.set(), linger())
    held(worker, slow, module)
    first = [module.Job(slow, name, 1) for name in "ab"]
    for job in first:
        worker.submit(job)
    slow.go.set()
    assert [job.answer.result(60) for job in first] == ["a!", "b!"]
    again = [module.Job(slow, name, 1) for name in "cd"]
    worker.submit(again[0])
    until(lambda: waits.is_set() or again[0].together > 0)
    worker.submit(again[1])
    assert [job.answer.result(30) for job in again] == ["c!", "d!"]
    worker.close()
    assert slow.batches == [["first"], ["a", "b"], ["c", "d"]]


def test_a_batch_waits_a_moment_for_those_of_the_last_one(slow: Slow, monkeypatch) -> None:
    monkeypatch.setattr(real, "LINGER", real.LINGER)  # it is set back afterwards
    in_step(real, slow)


FAULTS: dict[str, tuple[Any, tuple[str, str]]] = {
    "no bound": (full, ("if len(self._queue) >= self.waiting:\n                self._meters",
                        "if False:\n                self._meters")),
    "places of those who hung up": (full, ("                self._drop_gone()\n            if len",
                                           "                pass\n            if len")),
    "no limit": (limits, ("if running and time.monotonic() > self._until", "if False")),
    "one who hung up stops all": (hang_up, ("if running and all(", "if running and any(")),
    "nobody is stopped": (hang_up, ("if running and all(job.gone.is_set() for job in running)",
                                    "if False")),
    "no waiting for the others": (in_step, ("                self._linger()",
                                            "                pass")),
    "what waits is dropped": (finish, ("if not self._queue and self._ending:", "if self._ending:")),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_faults_are_seen(name: str, slow: Slow) -> None:
    check, change = FAULTS[name]
    module = load_with_fault("server.worker", change)
    needs_slow = check in (full, finish, in_step)
    with pytest.raises(BaseException):  # noqa: B017, PT011 - whatever the fault makes of it
        check(module, slow) if needs_slow else check(module)
