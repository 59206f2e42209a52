"""Import optional libraries on first use, with install instructions if one is missing."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from importlib.util import find_spec
from typing import Any

from packaging.requirements import Requirement

from ergotext.errors import InputError

DEV = "dev"
"""The extra of those who work on ergotext."""
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
    unmet, absent = _unmet(wanted), _absent(others)
    if not (unmet or absent):
        unmet, absent = wanted, list(others.values())
    named = " ".join(f"'{one}'" for one in unmet)
    return _both([f"pip install {named}"] if named else [], absent)


def extras() -> list[str]:
    """The extras that users may install; none where ergotext itself is not installed."""
    try:
        named = metadata("ergotext").get_all("Provides-Extra") or ()
    except PackageNotFoundError:
        return []
    return [name for name in named if name != DEV]


def lacking(extra: str = "") -> list[Requirement]:
    """What is not there, or not as it should be, of an extra; or of what ergotext itself needs."""
    try:
        return _unmet(_wanted(extra))
    except PackageNotFoundError:
        return []


def version_of(package: str) -> str | None:
    """The installed version of a package; None if it is not there."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _wanted(extra: str) -> list[Requirement]:
    """What an extra, or ergotext itself, declares for this system."""
    found: dict[str, Requirement] = {}
    for one in map(Requirement, requires("ergotext") or ()):
        marker, one.marker = one.marker, None
        always = marker is None or marker.evaluate({"extra": ""})
        if always if not extra else not always and marker and marker.evaluate({"extra": extra}):
            # One package may be declared in two lines, each with a bound of its own.
            if one.name in found:
                one.specifier &= found[one.name].specifier
            found[one.name] = one
    return list(found.values())


def _unmet(wanted: list[Requirement]) -> list[Requirement]:
    return [one for one in wanted if not _met(one)]


def _met(wanted: Requirement) -> bool:
    """Whether a package is there, of a version that will do."""
    found = version_of(wanted.name)
    return found is not None and wanted.specifier.contains(found, prereleases=True)


def _absent(packages: Mapping[str, str]) -> list[str]:
    return [told for module, told in packages.items() if find_spec(module) is None]


def _both(commands: list[str], packages: list[str]) -> str:
    return " && ".join([*commands, *(f"pip install {told}" for told in packages)])
