"""Settings of a run: read TOML, fill in defaults, validate, write TOML."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from hashlib import blake2b
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ergotext.errors import InputError
from ergotext.support.untrusted import read_bytes, read_toml, toml_of

_WHOLE, _NUMBER, _TEXT = (int,), (int, float), (str,)
KINDS: dict[str, tuple[type, ...]] = {
    "model": _TEXT,
    "device": _TEXT,
    "dtype": _TEXT,
    "threads": _WHOLE,
    "context": _TEXT,
    "start": _TEXT,
    "sampler": _TEXT,
    "n": _WHOLE,
    "chains": _WHOLE,
    "steps": _WHOLE,
    "max_length": _WHOLE,
    "max_seconds": _NUMBER,
    "r_hat": _NUMBER,
    "seed": _WHOLE,
    "checkpoint": _TEXT,
    "every": _WHOLE,
    "energy": (dict,),
    "options": (dict,),
}
"""Every name that a run may have, and of what type it is."""
ENERGY: dict[str, tuple[type, ...]] = {
    "fluency": _NUMBER,
    "length": (*_NUMBER, dict),
    "keywords": (list, dict),
    "regex": _TEXT,
    "json_schema": (str, dict),
    "masked": (str, dict),
    "custom": (list,),
}
"""The terms that an energy may have."""
DEFAULTS: dict[str, Any] = {
    "model": "smollm2",
    "device": "auto",
    "dtype": "float32",
    "context": "",
    "max_length": 40,
    "seed": 0,
    "every": 100,
    "energy": {"fluency": 1.0},
    "options": {},
}
MOST_THREADS = 1024
RECORDED = ("versions", "result")
"""Tables that a saved run has besides; they are read over."""

PACKAGES = (
    "ergotext",
    "torch",
    "transformers",
    "numpy",
    "safetensors",
    "llguidance",
    "rapidfuzz",
    "ray",
)


def read(path: Path | None, flags: Mapping[str, Any]) -> dict[str, Any]:
    """A run: a flag, if it was given, before the file, before the default.

    Parameters
    ----------
    path : Path, optional
        A TOML file.
    flags : mapping
        Names and values; None where nothing was given. Terms of the energy and options of the
        sampler join those of the file one by one.

    Raises
    ------
    InputError
        The file cannot be read, or has a name or a type that nothing is made of.
    """
    told = {} if path is None else _load(path)
    where = "the command line" if path is None else str(path)
    given = {name: value for name, value in flags.items() if value is not None}
    merged = {**DEFAULTS, **told, **given}
    for table in ("energy", "options"):
        parts = (DEFAULTS[table], told.get(table, {}), given.get(table, {}))
        if not all(isinstance(part, dict) for part in parts):
            raise InputError(f"{where}: {table} must be a table, [{table}]")
        merged[table] = {name: value for part in parts for name, value in part.items()}
    _check(merged, KINDS, where)
    _check(merged["energy"], ENERGY, f"{where}, [energy]")
    if not 1 <= merged.get("threads", 1) <= MOST_THREADS:
        raise InputError(f"{where}: threads must be 1 to {MOST_THREADS}, got {merged['threads']}")
    return {name: merged[name] for name in KINDS if name in merged}


def _load(path: Path) -> dict[str, Any]:
    told = read_toml(path)
    return {name: value for name, value in told.items() if name not in RECORDED}


def _check(table: Mapping[str, Any], kinds: Mapping[str, tuple[type, ...]], where: str) -> None:
    for name, value in table.items():
        if name not in kinds:
            raise InputError(
                f"{where}: unknown name {name!r}; the known ones are {', '.join(kinds)}"
            )
        if not isinstance(value, kinds[name]) or isinstance(value, bool):
            wanted = " or ".join(_WORDS[kind] for kind in kinds[name] if kind is not int) or "a"
            wanted = "an integer" if kinds[name] == _WHOLE else wanted
            raise InputError(f"{where}: {name} must be {wanted}, got {value!r:.60}")


_WORDS = {float: "a number", str: "a text", dict: "a table", list: "a list"}


def digest(energy: Mapping[str, Any]) -> str | None:
    """The checksum of the file of a schema that an energy names; None if it names none."""
    schema = energy.get("json_schema")
    if not isinstance(schema, str) or schema.lstrip().startswith("{") or not Path(schema).is_file():
        return None
    return blake2b(read_bytes(Path(schema)), digest_size=16).hexdigest()


def energy(
    keyword: list[str] | None,
    length: float | None,
    regex: str | None,
    json_schema: str | None,
    masked: str | None,
) -> dict[str, Any] | None:
    """The terms of an energy that flags name; None if they name none."""
    told: dict[str, Any] = {"keywords": keyword or None, "length": length}
    told |= {"regex": regex, "json_schema": json_schema, "masked": masked}
    return {name: value for name, value in told.items() if value is not None} or None


def option(text: str) -> tuple[str, Any]:
    """``name=value`` of the command line; the value as TOML has it, or a text.

    Raises
    ------
    InputError
        There is no ``=`` in it.
    """
    name, equals, value = text.partition("=")
    if not (equals and name.strip()):
        raise InputError(f"a sampler option must be NAME=VALUE, got {text!r}")
    try:
        return name.strip(), toml_of(f"value = {value}")["value"]
    except ValueError:
        return name.strip(), value.strip()


def versions() -> dict[str, str]:
    """Of this package and what its numbers depend on."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def as_toml(tables: Mapping[str, Any]) -> str:
    """Names and values, then tables, as TOML; None is left out."""
    told = {name: value for name, value in tables.items() if value is not None}
    lines = [f"{name} = {_value(v)}" for name, v in told.items() if not isinstance(v, dict)]
    for name, table in told.items():
        if isinstance(table, dict):
            lines += ["", f"[{name}]"]
            lines += [f"{_key(k)} = {_value(v)}" for k, v in table.items() if v is not None]
    return "\n".join(lines)


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _value(name)


def _value(value: Any) -> str:
    if isinstance(value, dict):
        inner = (f"{_key(k)} = {_value(v)}" for k, v in value.items() if v is not None)
        return f"{{ {', '.join(inner)} }}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(_value(v) for v in value)}]"
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
