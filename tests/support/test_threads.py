"""Work that shares the threads of torch."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from threading import Barrier, Event, Thread, current_thread
from types import ModuleType

import pytest
import torch

from ergotext.support import threads
from tests.faulty import load_with_fault


@pytest.fixture(autouse=True)
def as_many_after() -> Iterator[None]:
    """The number of threads that tests change is the one before."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def shares(module: ModuleType = threads) -> None:
    """At the same time, in order, each with its share; here and later as many as before."""
    torch.set_num_threads(5)
    met = Barrier(2, timeout=60)
    for _ in range(2):
        found = module.side_by_side([lambda: (met.wait() < 2, 1), lambda: (met.wait() < 2, 2)])
        assert found == [(True, 1), (True, 2)]
        assert module.side_by_side([torch.get_num_threads] * 2) == [2, 2]
    later = list[int]()
    one = Thread(target=lambda: later.append(torch.get_num_threads()))
    one.start()
    one.join()
    assert torch.get_num_threads() == 5 == later[0]
    torch.set_num_threads(2)
    assert module.side_by_side([torch.get_num_threads] * 2) == [1, 1]


def in_turn(module: ModuleType = threads) -> None:
    """With fewer threads than functions, or a single one: here, one after the other."""
    torch.set_num_threads(1)
    assert module.side_by_side([current_thread] * 3) == [current_thread()] * 3
    torch.set_num_threads(4)
    assert module.side_by_side([current_thread]) == [current_thread()]
    assert module.side_by_side([]) == []


def errors(module: ModuleType = threads) -> None:
    """The error of the first that fails, when all have ended."""
    torch.set_num_threads(2)
    ended = list[int]()
    slow = Barrier(2, timeout=60)

    def fails() -> None:
        slow.wait()
        raise ValueError("no")

    def works() -> None:
        slow.wait()
        torch.ones(1 << 16).sort()
        ended.append(1)

    for tasks in ([fails, works], [works, fails]):
        with pytest.raises(ValueError, match="no"):
            module.side_by_side(tasks)
        assert ended.pop() == 1
    assert torch.get_num_threads() == 2


def interrupted(module: ModuleType = threads) -> None:
    """After Ctrl-C, which the thread that waits is told of alone, nothing runs any more."""
    torch.set_num_threads(2)
    module.side_by_side([int, int])
    waited, ended = list[int](), list[int]()
    go_on, real = Event(), module.wait

    def works() -> None:
        go_on.wait(60)
        ended.append(1)

    def is_interrupted(running: object) -> None:
        waited.append(1)
        if len(waited) == 1:
            raise KeyboardInterrupt
        go_on.set()
        real(running)

    module.wait = is_interrupted
    try:
        with pytest.raises(KeyboardInterrupt):
            module.side_by_side([works, int])
        assert ended == [1]
    finally:
        module.wait = real
        go_on.set()


def forked(module: ModuleType = threads) -> None:
    """A forked process has threads of its own."""
    torch.set_num_threads(2)
    module.side_by_side([int, int])
    child = os.fork()
    if not child:
        signal.alarm(3)
        os._exit(module.side_by_side([int, int]) != [0, 0])
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize("check", [shares, in_turn, errors, interrupted, forked])
def test_side_by_side(check: Callable[[], None]) -> None:
    check()


FAULTS: dict[str, tuple[Callable[[ModuleType], None], tuple[str, str]]] = {
    "all threads for each": (
        shares, ("torch.get_num_threads() // max(1, len(tasks))", "torch.get_num_threads()")
    ),
    "later threads have the share": (shares, ("    torch.set_num_threads(most)\n", "")),
    "one after the other": (
        shares, ('ThreadPoolExecutor(count, "', 'ThreadPoolExecutor(1, "')
    ),
    "threads of another number are kept": (
        shares, ("_workers(len(tasks), share).submit", "_workers(len(tasks), 2).submit")
    ),
    "a forked process waits": (
        forked, ("os.register_at_fork(after_in_child=_workers.cache_clear)", "")
    ),
    "a single thread is shared": (in_turn, ("or not share", "or share < 0")),
    "errors are lost": (
        errors, ("[one.result() for one", "[one.exception() or one.result() for one")
    ),
    "after Ctrl-C they go on": (
        interrupted, ("        wait(running)\n        raise\n", "        raise\n")
    ),
    "a share that is not taken over": (shares, ("        torch.get_num_threads()  # a", "# a")),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_the_check_sees_it(fault: str) -> None:
    seen_by, change = FAULTS[fault]
    changes = [change]
    if fault == "one after the other":
        changes.append(("Barrier(count)", "Barrier(1)"))
    # What waits for ever for one that never comes ends with the barrier's error.
    with pytest.raises((AssertionError, RuntimeError, pytest.fail.Exception)):
        seen_by(load_with_fault("support.threads", *changes))
