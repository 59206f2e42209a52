"""The same work on many inputs, in this process or by Ray actors: same results, same order."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from ergotext.errors import ErgotextError, InputError
from ergotext.support.extras import install

Work = Callable[[str], str]
"""What is done with one input. An error that concerns this input alone is part of the result."""
Start = Callable[[], Work]
"""What loads whatever the work needs; it travels to other processes."""


def done_here(start: Start, inputs: Iterable[str]) -> Iterator[str]:
    """The result of each input, from this process."""
    yield from map(start(), inputs)


def done_by_ray(start: Start, inputs: Sequence[str], workers: int) -> Iterator[str]:
    """The same results in the same order, from a pool of actors that each start the work once.

    An actor that dies is started again, and what it had not finished is done again.

    Parameters
    ----------
    start : callable
        The files that it names must be there on every machine.
    inputs : sequence of str
    workers : int
        Actors, of one processor each. They run on this machine, or on the cluster that the
        variable RAY_ADDRESS names.

    Raises
    ------
    InputError
        Ray is not installed, or the work cannot be started as asked.
    ErgotextError
        The actors cannot be started, or start no work.
    """
    check_ray()
    if not inputs:
        return
    rows = [{"input": one} for one in inputs]
    with redirect_stdout(_OfThisThread(sys.stdout)), _ray_data(workers) as data:
        results = data.from_items(rows, override_num_blocks=len(rows)).map_batches(
            _Worker,
            fn_constructor_args=(start,),
            batch_size=1,
            compute=data.ActorPoolStrategy(size=workers),
            num_cpus=1,
        )
        for row in results.iter_rows():
            if row["failed"]:
                raise (InputError if row["usage"] else ErgotextError)(row["failed"])
            yield row["result"]


@contextmanager
def _ray_data(workers: int) -> Iterator[Any]:
    """``ray.data`` in a quiet session of ray, which is ended if it was not there before."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is reported to anyone
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    ray: Any = import_module("ray")
    data: Any = import_module("ray.data")
    # Or it tells its plans; when it is imported, it sets the level itself.
    logging.getLogger("ray.data").setLevel(logging.ERROR)
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
            with redirect_stdout(sys.stderr):  # it ends with what it has not said yet
                ray.shutdown()


def check_ray() -> None:
    """Raise InputError where Ray is not installed."""
    if find_spec("ray") is None or find_spec("pyarrow") is None:
        raise InputError(f"Ray is not installed; run: {install('ray')}")


class _OfThisThread:
    """A stdout for results alone: what ray's threads say there of dead workers goes to stderr."""

    def __init__(self, stdout: Any) -> None:
        self._stdout, self._thread = stdout, threading.get_ident()

    def write(self, text: str) -> int:
        """Of a thread, to its own place."""
        own = threading.get_ident() == self._thread
        return int((self._stdout if own else sys.stderr).write(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stdout, name)


class _Worker:
    """The work, over rows of Arrow tables."""

    def __init__(self, start: Start) -> None:
        self.work: Work | None = None
        self.failed, self.usage = "", False
        try:
            self.work = start()
        except Exception as error:  # returned as a row: ray would retry, and print pages
            own = isinstance(error, ErgotextError)
            self.failed = str(error) if own else f"{type(error).__name__}: {error}"
            self.usage = isinstance(error, InputError)

    def __call__(self, rows: dict[str, Any]) -> dict[str, list[Any]]:
        inputs = [str(one) for one in rows["input"]]
        return {
            "result": ["" if self.work is None else self.work(one) for one in inputs],
            "failed": [self.failed] * len(inputs),
            "usage": [self.usage] * len(inputs),
        }


def _last_line(error: Exception) -> str:
    """What ray's account of an error, a page long, ends with."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
