"""Import optional libraries on first use, with install instructions if one is missing."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, requires
from typing import Any

from packaging.requirements import Requirement

from ergotext.errors import InputError


def needed(module: str, extra: str) -> Any:
    """A module of an optional library.

    Raises
    ------
    InputError
        It is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise InputError(f"{module} is not installed ({error}); run: {install(extra)}") from error


def install(extra: str) -> str:
    """The command that installs the packages of an extra.

    It names the packages themselves: ergotext is not on PyPI, so ``ergotext[extra]`` would not be
    found, and a clone, a wheel and a git address all differ in how they name it.
    """
    try:
        declared = [Requirement(line) for line in requires("ergotext") or ()]
    except PackageNotFoundError:
        return f"pip install '.[{extra}]' in a clone of ergotext"
    wanted = []
    for one in declared:
        marker, one.marker = one.marker, None
        if marker and marker.evaluate({"extra": extra}) and not marker.evaluate({"extra": ""}):
            wanted.append(f"'{one}'")
    return f"pip install {' '.join(wanted)}"
