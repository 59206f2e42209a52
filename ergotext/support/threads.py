"""CPU threads of torch: how many, and work that shares them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache
from threading import Barrier
from typing import TypeVar

Found = TypeVar("Found")


def use_threads(count: int | None) -> None:
    """Let torch compute with ``count`` CPU threads; None leaves the choice to torch."""
    if count is not None:
        import torch

        torch.set_num_threads(count)


def side_by_side(tasks: Sequence[Callable[[], Found]]) -> list[Found]:
    """What some functions return, run at the same time, each with its share of torch's threads.

    What is between two products of a small model is Python, and runs on one thread however many
    multiply: two models side by side leave none idle. With fewer threads than functions they are
    run one after the other.

    Raises
    ------
    Exception
        What the first of them that fails raises, when all have ended.
    """
    import torch

    share = torch.get_num_threads() // max(1, len(tasks))
    if len(tasks) < 2 or not share:
        return [task() for task in tasks]
    running = [_workers(len(tasks), share).submit(task) for task in tasks]
    try:
        wait(running)
    except BaseException:
        # Ctrl-C reaches this thread alone, and what the others change may be used again at once.
        wait(running)
        raise
    return [one.result() for one in running]


@cache
def _workers(count: int, share: int) -> ThreadPoolExecutor:
    """Threads that are kept, as torch starts threads of its own for each that it meets."""
    import torch

    most, ready = torch.get_num_threads(), Barrier(count)

    def begin() -> None:
        # Once in each thread: oneDNN forgets its products whenever this is called.
        torch.set_num_threads(share)
        torch.get_num_threads()  # a thread takes the number over when it first asks for it

    pool = ThreadPoolExecutor(count, "side by side", begin)
    wait([pool.submit(ready.wait) for _ in range(count)])
    # It counts for threads that come later as well.
    torch.set_num_threads(most)
    return pool


# A process that is forked has none of these threads, and would wait for them for ever.
os.register_at_fork(after_in_child=_workers.cache_clear)
