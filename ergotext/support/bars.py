"""Progress for people who wait: a line on a terminal, a widget in a notebook, nothing elsewhere."""

from __future__ import annotations

import sys
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

TICK = 0.5
"""Seconds between two looks of a line that tells the time."""
PATIENCE = 2.0
"""Seconds that people wait without asking whether anything happens."""


def in_notebook() -> bool:
    """Whether a kernel runs this, so that what is written goes to a page and not to a terminal."""
    found = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return hasattr(found, "kernel")


def bar(*args: Any, progress: bool = True, **options: Any) -> Any:
    """A ``tqdm`` with these arguments.

    It is disabled unless stderr is a terminal or a notebook shows it, or with ``progress=False``.
    """
    if not in_notebook():
        from tqdm import tqdm

        off = not progress or sys.stderr is None
        return tqdm(*args, **options, disable=off or None)
    with warnings.catch_warnings():
        # Without ipywidgets there is a line in the notebook instead of a widget, as good.
        warnings.simplefilter("ignore")
        from tqdm.autonotebook import tqdm as shown

        return shown(*args, **options, disable=not progress)


@contextmanager
def ticking(*, delay: float = 0.0, progress: bool = True, **options: Any) -> Iterator[Any]:
    """A ``bar`` that tells the time between two steps as well, after ``delay`` seconds."""
    with bar(leave=False, delay=delay, progress=progress, **options) as line:
        if line.disable:
            yield line
            return
        over, began = threading.Event(), time.monotonic()

        def tick() -> None:
            while not over.wait(TICK):
                if time.monotonic() - began >= delay:
                    line.refresh()
                    line.delay = 0  # it is on the screen now, and closing it erases it

        thread = threading.Thread(target=tick, daemon=True)
        thread.start()
        try:
            yield line
        finally:
            over.set()
            thread.join()


@contextmanager
def busy(what: str, progress: bool = True, delay: float = 0.0) -> Iterator[None]:
    """Show what is being done, and for how long, where nobody knows how long it takes."""
    with ticking(desc=what, bar_format="{desc} [{elapsed}]", progress=progress, delay=delay):
        yield
