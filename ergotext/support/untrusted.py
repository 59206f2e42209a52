"""Read untrusted JSON and TOML: bounded size and depth, checked types, one-line errors.

Whatever a file holds, reading it ends in a value that the caller may walk through without a further
thought (no recursion that overflows, no half of a character), or in one error that names the file.
"""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ergotext.errors import ErgotextError, InputError

CONVERT = "save it as UTF-8, for example by iconv -f GBK -t UTF-8"
"""What to do about a file in another encoding; that of spreadsheets in China is GBK."""
DEEPEST = 64
"""Lists and objects in one another; what people write stays below 20."""
LARGEST = 16 << 20
"""Bytes of a file, where nothing else is said."""

_NAMES = {dict: "an object", list: "a list", str: "a text", int: "an integer"}
_NAMES |= {float: "a number", bool: "true or false"}


def json_of(raw: bytes | str, *, unique: bool = False) -> Any:
    """The value of a JSON text, with or without a byte order mark.

    Parameters
    ----------
    raw : bytes or str
    unique : bool
        Refuse objects that have one name twice; else the last of them counts.

    Raises
    ------
    ValueError
        It is not UTF-8, not JSON, nested more than ``DEEPEST`` deep, or holds half a surrogate
        pair or an integer that is too long for Python. The message says which, and where.
    """
    text = _text(raw)
    try:
        found = json.loads(text, object_pairs_hook=_once if unique else None)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise ValueError(f"not JSON: {error.msg} at {where}") from error
    except ValueError as error:
        raise _told(error) from error
    except RecursionError as error:
        raise _too_deep(DEEPEST) from error
    check_depth(found)
    if "\\u" in text:  # only an escape can make half a pair
        try:
            json.dumps(found, ensure_ascii=False).encode("utf-8")
        except UnicodeEncodeError as error:
            raise ValueError("not UTF-8: an escape is half of a surrogate pair") from error
    return found


def toml_of(raw: bytes | str) -> dict[str, Any]:
    """The tables of a TOML text; errors as ``json_of``."""
    text = _text(raw)
    try:
        found = tomllib.loads(text)
    except RecursionError as error:
        raise _too_deep(DEEPEST) from error
    except ValueError as error:
        raise _told(error, "not TOML: ") from error
    check_depth(found)
    try:
        repr(found)  # or a message that quotes a long integer, read in hexadecimal, would fail
    except ValueError as error:
        raise _told(error) from error
    return found


def read_json(
    path: Path,
    *,
    raises: type[ErgotextError] = InputError,
    advice: str = "fix the file, or use another one",
    largest: int = LARGEST,
    unique: bool = False,
) -> dict[str, Any]:
    """The JSON object in a file.

    Parameters
    ----------
    path : Path
    raises : type of ErgotextError
        ``ModelError`` where the file is part of a model.
    advice : str
        What its reader should do, as the end of the message.
    largest : int
        Bytes; more are not read.
    unique : bool
        As ``json_of``.

    Raises
    ------
    ErgotextError
        Of the class ``raises``: the file cannot be read, is larger, or holds no JSON object.
    """
    try:
        found = json_of(_read(path, largest), unique=unique)
        if not isinstance(found, dict):
            raise ValueError(f"it contains {_kind(found)}, not a JSON object")
    except (OSError, ValueError) as error:
        raise raises(f"cannot read {path} ({_reason(error)}): {advice}") from error
    return found


def read_toml(path: Path, *, advice: str = "fix the file, or use another one") -> dict[str, Any]:
    """The tables of a TOML file; errors as ``read_json``."""
    try:
        return toml_of(_read(path, LARGEST))
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {path} ({_reason(error)}): {advice}") from error


def read_text(
    path: Path,
    *,
    what: str = "the file",
    advice: str = "fix the file, or use another one",
    largest: int = LARGEST,
) -> str:
    """The text of a UTF-8 file without its byte order mark; errors as ``read_json``.

    ``what`` says in messages what the file is.
    """
    try:
        return _text(_read(path, largest))
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {what} {path} ({_reason(error)}): {advice}") from error


def read_bytes(
    path: Path, *, what: str = "the file", advice: str = "give another file", largest: int = LARGEST
) -> bytes:
    """The bytes of a file; errors as ``read_json``, ``what`` as for ``read_text``."""
    try:
        return _read(path, largest)
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {what} {path} ({_reason(error)}): {advice}") from error


def check_types(
    found: Mapping[str, Any], kinds: Mapping[str, type], optional: Iterable[str] = ()
) -> None:
    """ValueError unless it is an object with these and no other names, and values of these types.

    ``True`` is not an integer, and an integer is a number.
    """
    if not isinstance(found, Mapping):
        raise ValueError(f"it is {_kind(found)}, not an object")
    if missing := sorted({*kinds} - {*found} - {*optional}):
        raise ValueError(f"it has no {missing[0]}")
    for name, value in found.items():
        if name not in kinds:
            raise ValueError(f"unknown name {name[:60]!r}")
        kind = kinds[name]
        allowed = (int, float) if kind is float else kind
        if not isinstance(value, allowed) or (isinstance(value, bool) and kind is not bool):
            raise ValueError(f"{name} is {_kind(value)}, not {_NAMES[kind]}")


def _read(path: Path, largest: int) -> bytes:
    # Not by the stated size, which pipes do not have.
    with path.open("rb") as stream:
        raw = stream.read(largest + 1)
    if len(raw) > largest:
        raise ValueError(f"it has more than {largest:,} bytes")
    return raw


def _text(raw: bytes | str) -> str:
    if isinstance(raw, str):
        return raw.removeprefix("\ufeff")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8: {error.reason} at byte {error.start:,}") from error


def check_depth(found: Any, deepest: int = DEEPEST) -> None:
    """Level by level, so that the check itself cannot overflow."""
    level = [found]
    for _ in range(deepest):
        level = [
            inner
            for one in level
            if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return
    raise _too_deep(deepest)


def _too_deep(deepest: int) -> ValueError:
    return ValueError(f"lists and objects are nested more than {deepest} deep")


def _told(error: ValueError, before: str = "") -> ValueError:
    """The same error, in words for the author of a file where Python has others."""
    if "integer string conversion" in str(error):
        return ValueError(f"an integer has more than {sys.get_int_max_str_digits():,} digits")
    return ValueError(f"{before}{error}")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"an object has the key {twice[:60]!r} twice")
    return found


def _kind(value: Any) -> str:
    return _NAMES.get(type(value), "null" if value is None else "something else")


def _reason(error: OSError | ValueError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
