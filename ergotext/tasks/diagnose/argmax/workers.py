"""Decide tokens one by one in processes of one thread each."""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from ergotext.errors import ErgotextError
from ergotext.support.arrays import Floats
from ergotext.tasks.diagnose.argmax.program import Solved, solve

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def solved(
    rows: Floats, tokens: Sequence[int], has_bias: bool, workers: int, deadline: float
) -> Iterator[tuple[int, Solved]]:
    """Each token and what ``solve`` proves of it, as they come; stops at the deadline.

    Raises
    ------
    ErgotextError
        A process ended before its work did, for want of memory or by a signal.
    """
    spawn: Any = multiprocessing.get_context("spawn")
    with TemporaryDirectory() as folder:
        file = Path(folder) / "rows.npy"
        np.save(file, rows)  # mapped by all processes, copied by none
        results = spawn.Queue()
        workers = min(workers, len(tokens))
        processes = [
            spawn.Process(
                target=_work,
                args=(str(file), list(tokens[k::workers]), has_bias, deadline, results),
                daemon=True,
            )
            for k in range(workers)
        ]
        try:
            with _one_thread():
                for process in processes:
                    process.start()
            left = len(tokens)
            while left and time.time() < deadline:
                try:
                    yield results.get(timeout=0.2)
                    left -= 1
                except queue.Empty:
                    if any(process.exitcode for process in processes):
                        raise ErgotextError(
                            "a process that decides tokens ended early; free some memory or use "
                            "fewer --threads"
                        ) from None
        finally:
            for process in processes:
                if process.pid is not None:
                    process.terminate()
                    process.join()


def _work(file: str, tokens: list[int], has_bias: bool, deadline: float, results: Any) -> None:
    """What a process does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends this one
    rows = np.load(file, mmap_mode="r")
    for token in tokens:
        results.put((token, solve(rows, token, has_bias, deadline)))


@contextmanager
def _one_thread() -> Iterator[None]:
    """Processes that start now use one thread each."""
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
