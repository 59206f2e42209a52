"""JSON Schema keywords that combine other schemas (anyOf, not, if, …), and their negations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ergotext.lm.automata.schema.conditions import Atom, Either, Item, Types
from ergotext.lm.automata.schema.document import Document, Fact, fact, fault
from ergotext.lm.automata.schema.keywords import Ways, listed, mapped, only

Apart = Callable[..., bool]
"""Whether it is plain that no value fits all of some facts."""

_OBJECT = Types(frozenset({"object"}))
_BRANCHES = (
    "anyOf",
    "oneOf",
    "if",
    "dependentSchemas",
    "dependencies",
    "$dynamicRef",
    "$recursiveRef",
)
"""What speaks of the same value, but not always."""


def _listed(one: Fact, word: str) -> list[Fact]:
    if not isinstance(one.schema[word], list) or not one.schema[word]:
        raise fault(word, f"{one.place}/{word}", "it is no list of schemas")
    return [one.part(word, at) for at in range(len(one.schema[word]))]


def _all(one: Fact, word: str, _: Document, __: Apart) -> tuple[list[Item], Ways]:
    parts = _listed(one, word)
    return [*parts], [[-part] for part in parts]


def _any(one: Fact, word: str, _: Document, __: Apart) -> tuple[list[Item], Ways]:
    parts = _listed(one, word)
    return [Either(tuple((part,) for part in parts))], [[-part for part in parts]]


def _one(one: Fact, word: str, _: Document, apart: Apart) -> tuple[list[Item], Ways]:
    parts, beside = _listed(one, word), only(one, "type", "properties", "required")
    meet = [
        [k for k, other in enumerate(parts) if k != at and not apart(part, other, beside)]
        for at, part in enumerate(parts)
    ]
    ways = tuple((part, *(-parts[k] for k in meet[at])) for at, part in enumerate(parts))
    # What is beside need not hold where the whole is denied.
    against: Ways = [[-part for part in parts]]
    against += [[a, b] for k, a in enumerate(parts) for b in parts[:k] if not apart(a, b)]
    return [Either(ways)], against


def _not(one: Fact, word: str, _: Document, __: Apart) -> tuple[list[Item], Ways]:
    part = one.part(word)
    return [-part], [[part]]


def _if(one: Fact, word: str, _: Document, __: Apart) -> tuple[list[Item], Ways]:
    asked = one.part(word)
    then = one.part("then") if "then" in one.schema else None
    other = one.part("else") if "else" in one.schema else None
    if then is None and other is None:
        return [], []
    ways = (asked, *([then] if then else [])), (-asked, *([other] if other else []))
    against: Ways = [[asked, -then]] if then else []
    against += [[-asked, -other]] if other else []
    return [Either(ways)], against


def _ref(one: Fact, word: str, document: Document, _: Apart) -> tuple[list[Item], Ways]:
    target = document.target(one, word)
    return [target], [[-target]]


def _dependent(one: Fact, word: str, _: Document, __: Apart) -> tuple[list[Item], Ways]:
    place, items, against = f"{one.place}/{word}", list[Item](), Ways()
    for name, value in mapped(one, word).items():
        if isinstance(value, list):
            then = fact({"required": value}, one.base, f"{place}/{name}")
        else:
            then = one.part(word, name)
        has: list[Item] = [_OBJECT, Atom("object", "has", name, place)]
        items.append(Either(((Atom("object", "lacks", name, place),), (*has, then))))
        against.append([*has, -then])
    return items, against


def _unevaluated(one: Fact, word: str, document: Document, _: Apart) -> tuple[list[Item], Ways]:
    """As ``additionalProperties`` or ``items``, after all that always speaks of the same value."""
    place, rest = f"{one.place}/{word}", one.schema[word]
    of_items = word == "unevaluatedItems"
    named: dict[str, Any] = {}
    patterns: dict[str, Any] = {}
    count, todo, seen = 0, [one], set[Fact]()
    while todo:
        at = todo.pop()
        if at in seen or isinstance(at.schema, bool):
            continue
        seen.add(at)
        branches = (*_BRANCHES, "contains") if of_items else _BRANCHES
        if rest is not True and (near := [name for name in branches if name in at.schema]):
            raise fault(word, place, f"it depends on the {near[0]} at {at.place}")
        first = listed(at, "prefixItems")
        all_ = ("items", word) if of_items else ("additionalProperties", word)
        if of_items and isinstance(at.schema.get("items"), list):
            first, all_ = at.schema["items"], ("additionalItems", word)
        if any(name in at.schema and (at is not one or name != word) for name in all_):
            return [], []
        named |= dict.fromkeys(mapped(at, "properties"), True)
        patterns |= dict.fromkeys(mapped(at, "patternProperties"), True)
        count = max(count, len(first))
        todo += [at.part("allOf", k) for k in range(len(listed(at, "allOf")))]
        todo += [document.target(at)] if "$ref" in at.schema else []
    if of_items:
        meant = {"items": [True] * count, "additionalItems": rest}
    else:
        meant = {"properties": named, "patternProperties": patterns, "additionalProperties": rest}
    told = fact(meant, one.base, place)
    return [told], [[-told]]


APPLICATORS: dict[str, Callable[[Fact, str, Document, Apart], tuple[list[Item], Ways]]] = {
    "allOf": _all,
    "anyOf": _any,
    "oneOf": _one,
    "not": _not,
    "if": _if,
    **dict.fromkeys(("$ref", "$dynamicRef", "$recursiveRef"), _ref),
    **dict.fromkeys(("dependentRequired", "dependentSchemas", "dependencies"), _dependent),
    **dict.fromkeys(("unevaluatedItems", "unevaluatedProperties"), _unevaluated),
}
"""What reads each keyword that speaks of the same value by other schemas."""
