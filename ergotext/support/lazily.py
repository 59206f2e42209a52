"""Packages whose names are imported on first use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module


def getter(package: str, homes: Mapping[str, str]) -> Callable[[str], object]:
    """``__getattr__`` of a package: imports the module of a name when it is asked for.

    Parameters
    ----------
    package : str
    homes : mapping
        The module of each name, as seen from the package; after a colon, its name there.
    """

    def get(name: str) -> object:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module, _, other = homes[name].partition(":")
        return getattr(import_module(f"{package}.{module}"), other or name)

    return get
