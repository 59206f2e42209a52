"""JSON Schema keywords (draft 2020-12) as conditions, and their negations.

A keyword becomes a list of items that all hold. Its opposite becomes a list of ways, each a list
of items; where there is none to give, an ``Opaque`` one, which can be tried on a value. Of older
drafts, ``definitions``, ``id``, ``dependencies``, lists as ``items`` with ``additionalItems`` and
the boolean ``exclusiveMinimum`` and ``exclusiveMaximum`` are understood. Of a keyword that the
draft of ``$schema`` does not know, see ``Document.words``.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from ergotext.lm.automata.schema.conditions import (
    TYPES,
    Atom,
    Contains,
    Item,
    Items,
    Members,
    OneOf,
    Opaque,
    Other,
    Types,
)  # fmt: skip
from ergotext.lm.automata.schema.document import Fact, fact, fault, shown
from ergotext.lm.automata.schema.formats import PATTERNS, REFUSED
from ergotext.lm.automata.schema.patterns import PatternError, contents
from ergotext.lm.automata.schema.values import key

Ways = list[list[Item]]
MANY = 10_000
"""The greatest number of characters, elements or members that a schema may count to."""


def only(one: Fact, *words: str) -> Fact:
    """The fact of some keywords alone."""
    return fact(
        {word: one.schema[word] for word in words if word in one.schema}, one.base, one.place
    )


def opaque(one: Fact, word: str, *more: str) -> Opaque:
    """The opposite of keywords that a grammar cannot keep to."""
    return Opaque(-only(one, word, *more), word, one.place)


def _type(one: Fact, word: str) -> tuple[list[Item], Ways]:
    names = one.schema[word] if isinstance(one.schema[word], list) else [one.schema[word]]
    known = {*TYPES, "integer"}
    if wrong := [name for name in names if not isinstance(name, str) or name not in known]:
        raise fault("type", f"{one.place}/type", f"{shown(wrong[0])} is no type")
    types = frozenset("number" if name == "integer" else name for name in names)
    whole = frozenset({True} if "number" not in names and "integer" in names else {True, False})
    chosen = Types(types, whole)
    return [chosen], -chosen


def _values(one: Fact, word: str) -> tuple[list[Item], Ways]:
    values = [one.schema[word]] if word == "const" else listed(one, word)
    others: list[Item] = [Other(key(value), value, f"{one.place}/{word}") for value in values]
    keys = frozenset(map(key, values))
    return [OneOf(keys, values, f"{one.place}/{word}")], [others]


def _bound(one: Fact, word: str) -> tuple[list[Item], Ways]:
    place, bound, low = f"{one.place}/{word}", one.schema[word], word.lower().endswith("minimum")
    strict = word.startswith("exclusive")
    if isinstance(bound, bool) and strict:  # draft 4
        return [], []
    strict |= one.schema.get("exclusiveMinimum" if low else "exclusiveMaximum") is True
    _number(bound, word, place)
    meant, opposite = (">=", "<=") if low else ("<=", ">=")
    equal = Other(key(bound), bound, place)
    items: list[Item] = [Atom("number", meant, bound, place)]
    against: list[Item] = [Types(frozenset({"number"})), Atom("number", opposite, bound, place)]
    return ([*items, equal], [against]) if strict else (items, [[*against, equal]])


def _multiple(one: Fact, word: str) -> tuple[list[Item], Ways]:
    place, step = f"{one.place}/{word}", one.schema[word]
    _number(step, word, place)
    if step <= 0:
        raise fault(word, place, f"{shown(step)} is not above zero")
    return [Atom("number", "multiple", step, place)], [
        [Types(frozenset({"number"})), Atom("number", "multiple", step, place, False)]
    ]


def _number(value: Any, word: str, place: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise fault(word, place, f"{shown(value)} is no number")


def _count(type_: str, kind: str) -> Callable[[Fact, str], tuple[list[Item], Ways]]:
    def read(one: Fact, word: str) -> tuple[list[Item], Ways]:
        count, place = _counted(one, word), f"{one.place}/{word}"
        low = word.startswith("min")
        this, that = (">=", "<=") if low else ("<=", ">=")
        if low and not count:
            return [], []
        against: list[Item] = [Types(frozenset({type_}))]
        against.append(Atom(type_, kind + that, count - 1 if low else count + 1, place))
        return [Atom(type_, kind + this, count, place)], [against]

    return read


def _counted(one: Fact, word: str) -> int:
    count, place = one.schema[word], f"{one.place}/{word}"
    _number(count, word, place)
    if not isinstance(count, int) or count < 0:
        raise fault(word, place, f"{shown(count)} is no count")
    if count > MANY and word.startswith("min"):
        raise fault(word, place, f"{count} is more than {MANY}")
    return count


def _pattern(one: Fact, word: str) -> tuple[list[Item], Ways]:
    pattern, place = checked(one.schema[word], word, f"{one.place}/{word}"), f"{one.place}/{word}"
    return [Atom("string", "pattern", pattern, place)], [
        [Types(frozenset({"string"})), Atom("string", "pattern", pattern, place, False)]
    ]


def checked(pattern: Any, word: str, place: str) -> str:
    """A pattern that can be followed."""
    if not isinstance(pattern, str):
        raise fault(word, place, f"{shown(pattern)} is no string")
    try:
        contents(pattern)
    except PatternError as error:
        raise fault(word, place, f"in {shown(pattern)} {error}") from error
    return pattern


def _index(one: Fact, word: str) -> tuple[list[Item], Ways]:
    """Any key of an index: a string."""
    name, place = one.schema[word], f"{one.place}/{word}"
    if not isinstance(name, str) or not name:
        raise fault(word, place, f"{shown(name)} is not the file of an index")
    text = Types(frozenset({"string"}))
    return [text, Atom("string", "index", name, place)], [*-text, [text, opaque(one, word)]]


def _format(one: Fact, word: str) -> tuple[list[Item], Ways]:
    name, place = one.schema[word], f"{one.place}/{word}"
    if name in REFUSED:
        raise fault(word, place, f"{shown(name)} is not a supported format")
    if not isinstance(name, str) or name not in PATTERNS:
        return [], []
    patterns = PATTERNS[name]
    against: Ways = [
        [Types(frozenset({"string"})), Atom("string", "pattern", pattern, place, False)]
        for pattern in patterns
    ]
    return [Atom("string", "pattern", pattern, place) for pattern in patterns], against


def mapped(one: Fact, word: str) -> dict[str, Any]:
    """The object of a keyword, empty without it; InputError if it is something else."""
    value = one.schema.get(word, {})
    if not isinstance(value, dict):
        raise fault(word, f"{one.place}/{word}", "it is no object")
    return value


def listed(one: Fact, word: str) -> list[Any]:
    """The list of a keyword, empty without it; InputError if it is something else."""
    value = one.schema.get(word, [])
    if not isinstance(value, list):
        raise fault(word, f"{one.place}/{word}", "it is no list")
    return value


def _members(one: Fact, word: str) -> tuple[list[Item], Ways]:
    """``properties``, ``patternProperties`` and ``additionalProperties``, read by the first."""
    words = ("properties", "patternProperties", "additionalProperties")
    if word != next(name for name in words if name in one.schema):
        return [], []
    named = tuple((name, one.part(words[0], name)) for name in mapped(one, words[0]))
    patterns = tuple((name, one.part(words[1], name)) for name in mapped(one, words[1]))
    for name, _fact in patterns:
        checked(name, words[1], f"{one.place}/{words[1]}")
    rest = one.part(words[2]) if words[2] in one.schema else None
    items: list[Item] = [Atom("object", "members", Members(named, patterns, rest), one.place)]
    against: Ways = []
    for name, below in named:
        way: list[Item] = [Types(frozenset({"object"})), Atom("object", "has", name, one.place)]
        against.append([*way, Atom("object", "members", Members(((name, -below),)), one.place)])
    if patterns or (rest is not None and rest.schema is not True):
        against.append(
            [Types(frozenset({"object"})), opaque(one, words[1] if patterns else words[2], *words)]
        )
    return items, against


def _required(one: Fact, word: str) -> tuple[list[Item], Ways]:
    names, place = one.schema[word], f"{one.place}/{word}"
    if isinstance(names, bool):  # draft 3, often met in draft 4
        return [], []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise fault(word, place, "it is no list of names")
    has: list[Item] = [Atom("object", "has", name, place) for name in names]
    return has, [
        [Types(frozenset({"object"})), Atom("object", "lacks", name, place)] for name in names
    ]


def _names(one: Fact, word: str) -> tuple[list[Item], Ways]:
    names = Atom("object", "names", one.part(word), f"{one.place}/{word}")
    return [names], [[Types(frozenset({"object"})), opaque(one, word)]]


def _items(one: Fact, word: str) -> tuple[list[Item], Ways]:
    """``prefixItems`` and ``items``, or of old ``items`` and ``additionalItems``."""
    first_word, rest_word = "prefixItems", "items"
    if isinstance(one.schema.get("items"), list):
        first_word, rest_word = "items", "additionalItems"
    if word == "items" and first_word == "prefixItems" and first_word in one.schema:
        return [], []
    count = len(listed(one, first_word))
    first = tuple(one.part(first_word, at) for at in range(count))
    rest = one.part(rest_word) if rest_word in one.schema else None
    items: list[Item] = [Atom("array", "items", Items(first, rest), f"{one.place}/{word}")]
    array: Item = Types(frozenset({"array"}))
    place = f"{one.place}/{word}"
    against: Ways = [
        [array, Atom("array", "items>=", at + 1, place),
         Atom("array", "items", Items((*first[:at], -below), None), place)]
        for at, below in enumerate(first)
    ]  # fmt: skip
    if rest is not None and not first:
        against.append([array, Atom("array", "contains", Contains(-rest, 1, None), place)])
    elif rest is not None and rest.schema is False:
        against.append([array, Atom("array", "items>=", count + 1, place)])
    elif rest is not None and rest.schema is not True:
        against.append([array, opaque(one, word, first_word, rest_word)])
    return items, against


def _contains(one: Fact, word: str) -> tuple[list[Item], Ways]:
    place, below = f"{one.place}/{word}", one.part(word)
    least = _counted(one, "minContains") if "minContains" in one.schema else 1
    most = _counted(one, "maxContains") if "maxContains" in one.schema else None
    array: Item = Types(frozenset({"array"}))
    against: Ways = []
    if least:
        against.append([array, Atom("array", "contains", Contains(below, 0, least - 1), place)])
    if most is not None:
        against.append([array, Atom("array", "contains", Contains(below, most + 1, None), place)])
    return [Atom("array", "contains", Contains(below, least, most), place)], against


def _unique(one: Fact, word: str) -> tuple[list[Item], Ways]:
    if one.schema[word] is not True:
        return [], []
    place, array = f"{one.place}/{word}", frozenset({"array"})
    against: list[Item] = [Types(array), Atom("array", "unique", True, place, False)]
    return [Atom("array", "unique", True, place)], [against]


PLAIN: dict[str, Callable[[Fact, str], tuple[list[Item], Ways]]] = {
    "type": _type,
    "enum": _values,
    "const": _values,
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), _bound),
    "multipleOf": _multiple,
    "minLength": _count("string", "length"),
    "maxLength": _count("string", "length"),
    "pattern": _pattern,
    "format": _format,
    "x-index": _index,
    "minItems": _count("array", "items"),
    "maxItems": _count("array", "items"),
    "prefixItems": _items,
    "items": _items,
    "contains": _contains,
    "uniqueItems": _unique,
    "minProperties": _count("object", "names"),
    "maxProperties": _count("object", "names"),
    "properties": _members,
    "patternProperties": _members,
    "additionalProperties": _members,
    "required": _required,
    "propertyNames": _names,
}
"""What reads each keyword that speaks of values of one type: its items, and its opposite's ways."""
