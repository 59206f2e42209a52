"""Load user functions from ``file.py:function``, with their location in error messages."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from functools import wraps
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from ergotext.errors import ErgotextError, InputError


class OwnCodeError(ErgotextError, RuntimeError):
    """A function of the user's own raised an error."""


def function_of(place: Any) -> tuple[Callable[..., Any], str]:
    """A function and its name, from ``file.py:function``.

    Raises
    ------
    InputError
        There is no such file, or no such function in it, or the file does not run.
    """
    file, _, name = str(place).rpartition(":")
    function = _loaded(Path(file)).get(name) if file else None
    if not callable(function):
        raise InputError(
            "custom must be a list of file.py:function, functions of a list of texts; got "
            f"{place!r}"
        )
    return _told(function, Path(file), name), name


def _told(function: Callable[..., Any], file: Path, name: str) -> Callable[..., Any]:
    """The same function, with errors that name its location."""

    @wraps(function)
    def telling(*given: Any) -> Any:
        try:
            return function(*given)
        except (Exception, SystemExit) as error:  # whatever the user's own code raises
            raise OwnCodeError(
                f"{name} of {file} failed {_where(error, file)}; fix it there"
            ) from error

    return telling


def _loaded(file: Path) -> dict[str, Any]:
    spec = spec_from_file_location(file.stem, file) if file.is_file() else None
    if spec is None or spec.loader is None:
        raise InputError(f"there is no Python file {file}")
    module = module_from_spec(spec)
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
    line = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else None
    place = "outside of its lines" if line is None else f"in line {line}"
    return f"{place}: {type(error).__name__}: {error}"
