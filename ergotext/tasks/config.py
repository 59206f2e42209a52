"""Settings of a run: read TOML, fill in defaults, validate, write TOML."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any

import tomli_w
from pydantic import Field, with_config
from typing_extensions import TypedDict

from ergotext.errors import InputError
from ergotext.support.records import STRICT, check
from ergotext.support.untrusted import read_bytes, read_text, read_toml, toml_of
from ergotext.support.words import printable


@with_config(STRICT)
class EnergyTable(TypedDict, total=False):
    """The terms that an energy may have."""

    fluency: float
    length: float | dict[str, Any]
    keywords: list[Any] | dict[str, Any]
    regex: str
    json_schema: str | dict[str, Any]
    masked: str | dict[str, Any]
    custom: list[Any]


@with_config(STRICT)
class RunTable(TypedDict, total=False):
    """Every name that a run may have, and of what type it is."""

    model: str
    device: str
    dtype: str
    threads: Annotated[int, Field(ge=1, le=1024)]
    context: str
    start: str
    sampler: str
    n: int
    chains: int
    steps: int
    max_length: int
    max_seconds: float
    r_hat: float
    seed: int
    checkpoint: str
    every: int
    energy: dict[str, Any]
    options: dict[str, Any]


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
    check(RunTable, merged, where)
    check(EnergyTable, merged["energy"], f"{where}, [energy]")
    return {name: merged[name] for name in RunTable.__annotations__ if name in merged}


def shown(path: Path | None, flags: Mapping[str, Any], merged: Mapping[str, Any]) -> str:
    """A run as the file would hold it, after lines that say where each value comes from.

    Parameters
    ----------
    path, flags
        As ``read`` was given them.
    merged : mapping
        What it gave, with the sampler that was chosen.
    """
    given = _names({name: value for name, value in flags.items() if value is not None})
    told = _names({} if path is None else _load(path))
    sources = {
        name: "the command line" if name in given else str(path) if name in told else "defaults"
        for name in _names(merged)
    }
    return with_sources(sources, merged)


def with_sources(sources: Mapping[str, str], tables: Mapping[str, Any]) -> str:
    """Settings as a file would hold them, after lines that say where each name comes from."""
    grouped: dict[str, list[str]] = {}
    for name, source in sources.items():
        grouped.setdefault(source, []).append(name)
    lines = [f"# {printable(source)}: {', '.join(names)}" for source, names in grouped.items()]
    return "\n".join([*lines, "", as_toml(tables)])


def _names(tables: Mapping[str, Any]) -> list[str]:
    """Names of values, those of a table after its own: ``energy.length``."""
    names: list[str] = []
    for name, value in tables.items():
        inner = value if name in ("energy", "options") and isinstance(value, Mapping) else None
        names += [name] if inner is None else [f"{name}.{one}" for one in inner]
    return names


def _load(path: Path) -> dict[str, Any]:
    told = read_toml(path)
    return {name: value for name, value in told.items() if name not in RECORDED}


def digest(energy: Mapping[str, Any]) -> str | None:
    """The checksum of the file of a schema that an energy names; None if it names none."""
    schema = energy.get("json_schema")
    if not isinstance(schema, str) or schema.lstrip().startswith("{") or not Path(schema).is_file():
        return None
    return blake2b(read_bytes(Path(schema)), digest_size=16).hexdigest()


def schema_of(told: Any) -> Any:
    """A schema as an energy names it: itself, or the text of the file that holds it."""
    if isinstance(told, dict) or told.lstrip().startswith("{"):
        return told
    return read_text(
        Path(told), what="the schema", advice="give the file of a JSON schema, or the schema itself"
    )


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
    """Names, values and tables as TOML; None is left out, at every depth."""

    def known(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {name: known(inner) for name, inner in value.items() if inner is not None}
        return [known(one) for one in value] if isinstance(value, list | tuple) else value

    return tomli_w.dumps(known(tables)).rstrip("\n")
