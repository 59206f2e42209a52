"""Settings with validated types and ranges, through pydantic."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from typing import Annotated, Any, TypeVar, dataclass_transform

import numpy as np
from pydantic import BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from ergotext.errors import InputError
from ergotext.support.suggestions import meant


def _plain(value: Any) -> Any:
    """numpy's integers as Python's; everything else as it is."""
    return int(value) if isinstance(value, np.integer) else value


Integer = Annotated[int, BeforeValidator(_plain)]
Count = Annotated[Integer, Field(ge=1)]
"""A whole number of at least one."""
Whole = Annotated[Integer, Field(ge=0)]
"""A whole number of at least zero."""
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
"""From 0 to 1."""
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]

STRICT = ConfigDict(strict=True, extra="forbid", arbitrary_types_allowed=True)
"""``True`` is no number and "1" is none either; a whole number may stand for a number."""
_KINDS = {
    "int": "an integer",
    "float": "a number",
    "finite_number": "a finite number",
    "string": "a text",
    "bool": "true or false",
    "dict": "a table",
    "dataclass": "a table",
    "list": "a list",
    "none": "left out",
}
_T = TypeVar("_T")


@dataclass_transform(frozen_default=True)
def record(cls: type[_T]) -> type[_T]:
    """A frozen dataclass whose fields must have the types and ranges of their annotations.

    Raises
    ------
    InputError
        When one is made with a value that does not fit: which name, which value, what is wanted.
    """
    made: Any = dataclass(frozen=True, config=STRICT)(cls)
    made.__init__ = _told(made.__init__, list(made.__dataclass_fields__))
    return made  # type: ignore[no-any-return]  # pydantic's decorator is typed for its own use


def check(kind: Any, table: Mapping[str, Any], where: str) -> None:
    """InputError that begins with ``where`` unless a table is one of a kind (a TypedDict)."""
    try:
        TypeAdapter(kind).validate_python(dict(table), strict=True)
    except ValidationError as error:
        raise InputError(f"{where}: {sentence(error, kind.__annotations__)}") from error


def _told(init: Callable[..., None], names: Iterable[str]) -> Callable[..., None]:
    @wraps(init)
    def made(self: Any, *values: Any, **named: Any) -> None:
        try:
            init(self, *values, **named)
        except ValidationError as error:
            raise InputError(sentence(error, names)) from error

    return made


def sentence(error: ValidationError, names: Iterable[str]) -> str:
    """The first thing that is wrong, in words."""
    every = error.errors(include_url=False)
    first = every[0]
    kind, given, about = first["type"], first["input"], first.get("ctx", {})
    place = first["loc"][0] if first["loc"] else ""
    name = [*names][place] if isinstance(place, int) else place  # a number: given by position
    if kind in ("extra_forbidden", "unexpected_keyword_argument"):
        known = list(names)
        return (
            f"unknown name {name!r}; the known ones are {', '.join(known)}{meant(str(name), known)}"
        )
    if kind in ("missing", "missing_argument"):
        return f"{name} is missing"
    if kind == "value_error":
        return str(about["error"])
    if kind == "literal_error":
        return f"{name} must be one of {about['expected']}, got {given!r:.60}"
    # Where a value may be of several kinds, there is an error for each.
    kinds = dict.fromkeys(wanted(one) for one in every if one["loc"][:1] == first["loc"][:1])
    return f"{name} must be {' or '.join(kinds)}, got {given!r:.60}"


def reason(error: ValidationError) -> str:
    """The same of a single value, which has no name here: ``must be at least 1, got 0``."""
    first = error.errors(include_url=False)[0]
    if first["type"] == "value_error":
        return str(first["ctx"]["error"]).rstrip(".")
    return f"must be {wanted(first)}, got {first['input']!r:.60}"


def wanted(error: Any) -> str:
    """What a value should be of which pydantic says that it is not: ``at least 1``."""
    limits = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
    for key, words in limits.items():
        if key in (about := error.get("ctx", {})):
            return f"{words} {about[key]:g}"
    thing, of = ("a text", "characters") if "string" in error["type"] else ("a list", "entries")
    if error["type"].endswith("too_short"):
        least = error["ctx"]["min_length"]
        return f"{thing} of at least {least:,} {of}" if least > 1 else f"{thing} that is not empty"
    if error["type"].endswith("too_long"):
        return f"{thing} of at most {error['ctx']['max_length']:,} {of}"
    return next((words for key, words in _KINDS.items() if error["type"].startswith(key)), "valid")
