"""Progress for people who wait: a line on a terminal, a widget in a notebook, nothing elsewhere."""

from __future__ import annotations

import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

TICK = 0.5
"""Seconds between two looks of a line that only tells the time."""


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

        return tqdm(*args, **options, disable=None if progress else True)
    with warnings.catch_warnings():
        # Without ipywidgets there is a line in the notebook instead of a widget, as good.
        warnings.simplefilter("ignore")
        from tqdm.autonotebook import tqdm as shown

        return shown(*args, **options, disable=not progress)


@contextmanager
def busy(what: str, progress: bool = True) -> Iterator[None]:
    """Show what is being done, and for how long, where nobody knows how long it takes."""
    form = "{desc} [{elapsed}]"
    with bar(desc=what, leave=False, bar_format=form, progress=progress) as line:
        if line.disable:
            yield
            return
        over = threading.Event()

        def tick() -> None:
            while not over.wait(TICK):
                line.refresh()

        thread = threading.Thread(target=tick, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
