"""Warnings that point at the line of a user's own."""

from __future__ import annotations

import sys
import warnings
from types import FrameType

_PACKAGE = __name__.partition(".")[0]


def warn(said: str, category: type[Warning]) -> None:
    """Give a warning as one of the nearest line outside of this package."""
    level = 1
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and _inside(frame):
        frame, level = frame.f_back, level + 1
    warnings.warn(said, category, stacklevel=level + 1)


def _inside(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0] == _PACKAGE
