"""Import optional libraries on first use, with install instructions if one is missing."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from typing import Any

from packaging.requirements import Requirement

from ergotext.errors import InputError

PANDAS = {"pandas": "'pandas>=2.2'"}
"""What ``pip install`` is told for tables."""


def needed(module: str, extra: str, packages: Mapping[str, str] | None = None) -> Any:
    """A module of an optional library; see ``install`` for how the others are named.

    Raises
    ------
    InputError
        It is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise InputError(
            f"{module} is not installed ({error}); run: {install(extra, packages)}"
        ) from error


def frame(columns: Mapping[str, Any]) -> Any:
    """A ``pandas.DataFrame`` of these columns; InputError where pandas is not installed."""
    return needed("pandas", "", PANDAS).DataFrame(dict(columns))


def install(extra: str, packages: Mapping[str, str] | None = None) -> str:
    """The commands that install what is missing of an extra, and of further packages.

    They name the packages themselves: ergotext is not on PyPI, so ``ergotext[extra]`` would not be
    found, and a clone, a wheel and a git address all differ in how they name it. Where nothing
    seems to be missing, what is there does not work: then all are named.

    Parameters
    ----------
    extra : str
    packages : mapping, optional
        Packages that no extra may declare: what ``pip install`` is told, by the name of the module.
    """
    others = dict(packages or {})
    try:
        wanted = _wanted(extra)
    except PackageNotFoundError:
        return _both([f"pip install '.[{extra}]' in a clone of ergotext"], _absent(others))
    lacking, absent = [one for one in wanted if not _met(one)], _absent(others)
    if not (lacking or absent):
        lacking, absent = wanted, list(others.values())
    named = " ".join(f"'{one}'" for one in lacking)
    return _both([f"pip install {named}"] if named else [], absent)


def _wanted(extra: str) -> list[Requirement]:
    """What an extra declares for this system."""
    found = []
    for one in map(Requirement, requires("ergotext") or ()):
        marker, one.marker = one.marker, None
        if marker and marker.evaluate({"extra": extra}) and not marker.evaluate({"extra": ""}):
            found.append(one)
    return found


def _met(wanted: Requirement) -> bool:
    """Whether a package is there, of a version that will do."""
    try:
        return wanted.specifier.contains(version(wanted.name), prereleases=True)
    except PackageNotFoundError:
        return False


def _absent(packages: Mapping[str, str]) -> list[str]:
    return [told for module, told in packages.items() if find_spec(module) is None]


def _both(commands: list[str], packages: list[str]) -> str:
    return " && ".join([*commands, *(f"pip install {told}" for told in packages)])
