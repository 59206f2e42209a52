"""Equality of JSON values, and the texts that write them."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

NAMES = {"null": type(None), "boolean": bool, "string": str, "array": list, "object": dict}

MARK = float("nan")
"""What stands in a key before a number that is not whole: JSON cannot write it."""


def type_of(value: Any) -> str:
    """The type of a value, as JSON Schema calls it; ``number`` for all numbers."""
    return next((name for name, kind in NAMES.items() if isinstance(value, kind)), "number")


def key(value: Any) -> str:
    """Key that equal values share: numbers by value, objects in any order."""
    return json.dumps(value, sort_keys=True, default=_exact)


def _exact(number: Decimal) -> list[float | str]:
    """A mark that no JSON value has, and the digits of a number that is not whole."""
    return [MARK, format(number, "f").rstrip("0")]


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal."""
    return key(one) == key(other)


def integral(number: int | Decimal) -> bool:
    """Whether a number is an integer."""
    return isinstance(number, int) or number == number.to_integral_value()


def quoted(text: str) -> str:
    """The one spelling of a string: its characters as they are, or by their shortest escape."""
    return json.dumps(text, ensure_ascii=False)
