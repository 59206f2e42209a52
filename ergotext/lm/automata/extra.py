"""The libraries of the extra ``automata``, imported when they are first needed."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from ergotext.lm.protocols import InputError


def needed(name: str) -> Any:
    """A module of the extra.

    Raises
    ------
    InputError
        It is not installed.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise InputError(
            f"{name} is not installed ({error}): pip install 'ergotext[automata]'."
        ) from error
