"""Minimum length of the JSON texts that a schema admits."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

DEEPEST = 20
"""Schemas inside schemas that are looked into."""


def shortest_json(schema: Any, depth: int = 0) -> int:
    """Bytes that no JSON text of a schema is shorter than, without white space.

    A lower bound: what a schema says in words that are not known here only makes texts longer.
    """
    # Old drafts pass over what stands beside a reference.
    if depth > DEEPEST or not isinstance(schema, Mapping) or "$ref" in schema:
        return 1
    deeper = depth + 1
    bounds = [1]
    if isinstance(values := schema.get("enum"), list) and values:
        bounds.append(min(map(_written, values)))
    if "const" in schema:
        bounds.append(_written(schema["const"]))
    for key in ("anyOf", "oneOf"):
        if isinstance(parts := schema.get(key), list) and parts:
            bounds.append(min(shortest_json(part, deeper) for part in parts))
    if isinstance(parts := schema.get("allOf"), list):
        bounds += [shortest_json(part, deeper) for part in parts]
    kind = schema.get("type")
    kinds = kind if isinstance(kind, list) else [kind]
    bounds.append(min((_of_type(schema, one, deeper) for one in kinds), default=1))
    return max(bounds)


def _of_type(schema: Mapping[str, Any], kind: Any, depth: int) -> int:
    if kind == "string":
        return 2 + _count(schema.get("minLength"))
    if kind == "array":
        items = _count(schema.get("minItems"))
        if not items:
            return 2
        any_item = 1 if "prefixItems" in schema else shortest_json(schema.get("items"), depth)
        return 1 + items * (any_item + 1)
    if kind == "object":
        needed = schema.get("required")
        named = needed if isinstance(needed, list) else []
        names = {name for name in named if isinstance(name, str)}
        known = schema.get("properties")
        inside = known if isinstance(known, Mapping) else {}
        each = [_written(name) + 2 + shortest_json(inside.get(name), depth) for name in names]
        return 2 + sum(each) - bool(each)
    return 4 if kind in ("boolean", "null") else 1


def _count(value: Any) -> int:
    return int(value) if isinstance(value, int | Decimal) and value > 0 else 0


def _written(value: Any) -> int:
    """Bytes of a value: of numbers, which can be written in several ways, one."""
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return 1
    if isinstance(value, Mapping):
        each = [_written(k) + 2 + _written(v) for k, v in value.items()]
        return 2 + sum(each) - bool(each)
    if isinstance(value, list):
        return 2 + sum(_written(one) + 1 for one in value) - bool(value)
    return len(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))
