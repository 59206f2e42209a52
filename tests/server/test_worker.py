"""The thread of the models: order, batches, bounds, limits, hang-ups, an orderly end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any

import pytest

from ergotext.errors import InputError
from ergotext.server import worker as real
from ergotext.server.errors import RefusalError
from ergotext.server.metrics import Meters
from tests.faulty import load_with_fault

failures: list[BaseException] = []


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
        assert self.go.wait(10)
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
    assert slow.begun.wait(5)
    return first


def test_what_waits_is_answered_together(slow: Slow) -> None:
    worker = made(widest=3)
    first = held(worker, slow)
    names = [("a", 1), ("b", 2), ("c", 1), ("d", 1), ("e", 1), ("f", None)]
    jobs = [real.Job(slow, name, alike) for name, alike in names]
    for job in jobs:
        worker.submit(job)
    slow.go.set()
    assert [job.answer.result(5) for job in [first, *jobs]] == [
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
        job.answer.result(5)
    assert after.answer.result(5) == "after" and isinstance(failures[0], Panic)
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


def looping(worker: Any, stop: Callable[[], bool] = lambda: False) -> Callable[[Any], Any]:
    """Work that goes on until it is stopped, as a network that is run again and again."""

    def work(each: Any) -> Any:
        until = time.monotonic() + 2.5
        while time.monotonic() < until and not stop():
            worker.check()
            time.sleep(0.002)
        return each

    return work


def limits(module: ModuleType) -> None:
    worker = made(module, seconds=0.2)
    worker.start()
    job = module.Job(looping(worker), "x")
    began = time.monotonic()
    worker.submit(job)
    with pytest.raises(RefusalError, match=r"more than 0\.2 seconds") as refused:
        job.answer.result(2)
    assert refused.value.status == 400 and time.monotonic() - began < 2
    shorter = module.Job(looping(worker), "x", seconds=0.05)
    worker.submit(shorter)
    with pytest.raises(RefusalError, match=r"more than 0\.05 seconds"):
        shorter.answer.result(2)
    worker.close()


def test_a_computation_has_a_time_limit() -> None:
    limits(real)


def hang_up(module: ModuleType) -> None:
    worker = made(module, seconds=30)
    worker.start()
    work = looping(worker)
    two = [module.Job(work, "x", 1), module.Job(work, "y", 1)]
    blocked, go = threading.Event(), threading.Event()

    def block(each: Any) -> Any:
        blocked.set()
        go.wait(5)
        return each

    worker.submit(module.Job(block, "z"))
    assert blocked.wait(5)
    for job in two:
        worker.submit(job)
    go.set()
    while not two[0].together:
        time.sleep(0.002)
    two[0].stop()
    time.sleep(0.1)
    assert not two[1].answer.done()  # somebody still waits
    began = time.monotonic()
    two[1].stop()
    after = module.Job(lambda each: each, "after")
    worker.submit(after)
    assert after.answer.result(2) == "after" and time.monotonic() - began < 2
    worker.close()


def test_what_nobody_waits_for_is_stopped() -> None:
    hang_up(real)


def finish(module: ModuleType, slow: Slow) -> None:
    worker = made(module)
    held(worker, slow, module)
    jobs = [module.Job(slow, k) for k in range(3)]
    for job in jobs:
        worker.submit(job)
    threading.Timer(0.05, slow.go.set).start()
    worker.close()
    assert [job.answer.result(0) for job in jobs] == ["0!", "1!", "2!"]
    with pytest.raises(RefusalError) as refused:
        worker.submit(module.Job(slow, "late"))
    assert refused.value.status == 503


def test_a_worker_that_ends_finishes_what_it_took(slow: Slow) -> None:
    finish(real, slow)


def test_a_worker_can_drop_what_it_took(slow: Slow) -> None:
    worker = made(seconds=30)
    worker.start()
    running = real.Job(looping(worker), "x")
    worker.submit(running)
    later = real.Job(slow, "y")
    worker.submit(later)
    while not running.together:
        time.sleep(0.002)
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


def test_a_batch_waits_a_moment_for_those_of_the_last_one() -> None:
    """Clients in step stay together: not one alone and the others after it."""
    worker = made(waiting=64, widest=64)
    sizes: list[int] = []

    def work(each: Sequence[Any]) -> Sequence[Any]:
        sizes.append(len(each))
        time.sleep(0.01)
        return each

    def client() -> None:
        for _ in range(20):
            job = real.Job(work, 0, "alike")
            worker.submit(job)
            job.answer.result(5)

    worker.start()
    clients = [threading.Thread(target=client) for _ in range(8)]
    for one in clients:
        one.start()
    for one in clients:
        one.join()
    worker.close()
    # Two halves that take turns are in step, too; without the moment every other one is alone.
    assert sum(sizes) == 160 and sizes.count(1) <= 4


FAULTS: dict[str, tuple[Any, tuple[str, str]]] = {
    "no bound": (full, ("if len(self._queue) >= self.waiting:\n                self._meters",
                        "if False:\n                self._meters")),
    "places of those who hung up": (full, ("                self._drop_gone()\n            if len",
                                           "                pass\n            if len")),
    "no limit": (limits, ("if running and time.monotonic() > self._until", "if False")),
    "one who hung up stops all": (hang_up, ("if running and all(", "if running and any(")),
    "nobody is stopped": (hang_up, ("if running and all(job.gone.is_set() for job in running)",
                                    "if False")),
    "what waits is dropped": (finish, ("if not self._queue and self._ending:", "if self._ending:")),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_faults_are_seen(name: str, slow: Slow) -> None:
    check, change = FAULTS[name]
    module = load_with_fault("server.worker", change)
    needs_slow = check in (full, finish)
    with pytest.raises(BaseException):  # noqa: B017, PT011 - whatever the fault makes of it
        check(module, slow) if needs_slow else check(module)
