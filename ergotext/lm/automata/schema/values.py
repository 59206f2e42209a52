"""JSON values: when two are the same, and the texts that write one."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

NAMES = {"null": type(None), "boolean": bool, "string": str, "array": list, "object": dict}


def type_of(value: Any) -> str:
    """The type of a value, as JSON Schema calls it; ``number`` for all numbers."""
    return next((name for name, kind in NAMES.items() if isinstance(value, kind)), "number")


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal: numbers by value, objects whatever their order."""
    if type_of(one) != type_of(other):
        return False
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    return bool(one == other)


def distinct(values: list[Any]) -> bool:
    """Whether no two values are equal."""
    return not any(same(one, other) for k, one in enumerate(values) for other in values[:k])


def integral(number: int | Decimal) -> bool:
    """Whether a number is whole."""
    return isinstance(number, int) or number == number.to_integral_value()


def quoted(text: str) -> str:
    """The one spelling of a string: its characters as they are, or by their shortest escape."""
    return json.dumps(text, ensure_ascii=False)
