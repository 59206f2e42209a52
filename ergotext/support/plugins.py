"""Load user functions and classes from ``file.py:name``; their errors name the line."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Sequence
from functools import lru_cache, wraps
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from ergotext.errors import ErgotextError, InputError


class OwnCodeError(ErgotextError, RuntimeError):
    """The user's own code raised an error."""


def own(place: str, called: Sequence[str] = ()) -> Any:
    """The function or class that ``file.py:name`` names; its errors are one sentence.

    Parameters
    ----------
    place : str
    called : sequence of str
        The methods of a class that are called; it is made by ``__init__``.

    Raises
    ------
    InputError
        There is no such file, or nothing callable of that name in it, or the file does not run.
    """
    path, _, name = place.rpartition(":")
    file = Path(path)
    found = _loaded(file).get(name) if path else None
    if not callable(found):
        raise InputError(f"{place!r} names no function or class; write file.py:name")
    return _guarded_class(found, file, called) if isinstance(found, type) else _guarded(found, file)


def _guarded_class(found: type, file: Path, called: Sequence[str]) -> type:
    """The same class, with an OwnCodeError where a method that the file defines goes wrong."""
    methods: dict[str, Any] = {}
    for name in ("__init__", *called):
        owner = next((one for one in found.__mro__ if name in vars(one)), object)
        if owner.__module__ == found.__module__:
            method, label = vars(owner)[name], f"{found.__name__}.{name}"
            if isinstance(method, staticmethod | classmethod):
                methods[name] = type(method)(_guarded(method.__func__, file, label))
            elif callable(method):
                methods[name] = _guarded(method, file, label)
    about = {"__doc__": found.__doc__, "__module__": str(file)}
    return type(found.__name__, (found,), {**about, **methods})


def _guarded(function: Callable[..., Any], file: Path, name: str = "") -> Callable[..., Any]:
    label = name or getattr(function, "__name__", "it")

    @wraps(function)
    def guarded(*given: Any, **named: Any) -> Any:
        try:
            return function(*given, **named)
        except ErgotextError:  # says by itself what is wrong
            raise
        except (Exception, SystemExit) as error:  # whatever the user's own code raises
            raise OwnCodeError(
                f"{label} of {file} failed {_where(error, file)}; fix it there"
            ) from error

    return guarded


def _loaded(file: Path) -> dict[str, Any]:
    if not file.is_file():
        raise InputError(f"there is no Python file {file}")
    known = file.stat()
    return _run(file, known.st_mtime_ns, known.st_size)


@lru_cache(maxsize=32)
def _run(file: Path, changed: int, size: int) -> dict[str, Any]:  # noqa: ARG001 - keys of the cache
    """What the file defines; run once, and again when it was changed."""
    name = str(file.resolve())
    spec = spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise InputError(f"there is no Python file {file}")
    module = sys.modules[name] = module_from_spec(spec)  # where dataclasses look it up
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # whatever the user's own code raises
        raise InputError(f"{file} failed {_where(error, file)}") from error
    return vars(module)


def _where(error: BaseException, file: Path) -> str:
    """In which line of the file, if in any, and what happened."""
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).resolve() == file.resolve()
    ]
    line = lines[-1] if lines else None
    if isinstance(error, SyntaxError) and error.filename in (str(file), str(file.absolute())):
        line = error.lineno  # and not that of another file, which this one imports
    place = "outside of its lines" if line is None else f"in line {line}"
    return f"{place}: {type(error).__name__}: {error}"
