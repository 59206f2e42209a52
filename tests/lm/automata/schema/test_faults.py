"""Faults put into the reading of schemas one at a time: each must be caught."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest

from ergotext.errors import ErgotextError
from ergotext.lm.automata import grammars
from ergotext.lm.automata.schema import document, normal_form, patterns, terminals, writer
from tests.faulty import load_with_fault
from tests.lm.automata.schema.bytewise import taker, takes

Check = Callable[[], None]


def numbers() -> None:
    big = taker('{"type": "integer", "minimum": 12345678901234567890123}')
    assert big("12345678901234567890123") and not big("12345678901234567890122")
    assert takes({"type": "number", "maximum": 0.75}, 0.7, 0.75, -1, 0.8) == [True] * 3 + [False]
    assert takes({"type": "number", "exclusiveMinimum": 3}, 3.5, 3, 2) == [True, False, False]
    exact = taker('{"const": 0.1234567890123456789}')
    assert exact("0.1234567890123456789") and not exact("0.12345678901234568")
    assert taker({"maximum": 20})("2e1") and not taker({"maximum": 20})("3e1")


def texts() -> None:
    assert takes({"type": "string", "pattern": '^[^"]*$'}, "a", '"', "\\") == [True, False, True]
    assert takes({"type": "string", "pattern": "b"}, "abc", "ac") == [True, False]
    assert not taker({"type": "string"})('"\\u0061"')
    assert takes({"type": "string", "maxLength": 1}, "\n", '"', "ab") == [True, True, False]


def members() -> None:
    overlap = {"properties": {"fo": {}}, "patternProperties": {"^f": {"type": "null"}}}
    assert takes({**overlap, "type": "object"}, {"fo": None}, {"fo": 1}) == [True, False]
    assert not taker({"minProperties": 2})('{"b":1,"b":2}')
    assert taker({"type": "object"})('{"b":{"b":1},"c":{"b":1}}')
    assert takes({"maxProperties": 1}, {"a": 1}, {"a": 1, "b": 1}) == [True, False]
    assert takes({"properties": {"a": {"type": "null"}}}, {"a": 1}, {"b": 1}) == [False, True]


def elements() -> None:
    unique = {"items": {"enum": [1, 2]}, "uniqueItems": True}
    assert takes(unique, [1, 2], [2, 1], [1, 1]) == [True, True, False]
    twice = {"contains": {"const": 1}, "minContains": 2, "maxContains": 2}
    assert takes(twice, [1, 0, 1], [1], [1, 1, 1]) == [True, False, False]
    assert takes({"minItems": 2, "maxItems": 3}, [0], [0] * 2, [0] * 4) == [False, True, False]


def denied() -> None:
    beside = {"enum": [1, 2, "a"], "not": {"const": 2}}
    assert takes(beside, 1, 2, "a") == [True, False, True]
    overlapping = {"oneOf": [{"minimum": 2}, {"maximum": 5}], "type": "integer"}
    assert takes(overlapping, 1, 3, 6) == [True, False, True]
    chosen = {"if": {"const": 1}, "then": False, "enum": [1, 2]}
    assert takes(chosen, 1, 2) == [False, True]


FAULTS: dict[str, tuple[str, Check, tuple[str, str]]] = {
    "numbers are read as floating point": (
        "document", numbers, ("    number = Decimal(text)\n", "    number = Decimal(float(text))\n")
    ),
    "a bound may be met where it is excluded": (
        "keywords", numbers, ("[*items, equal]", "[*items]")
    ),
    "the escapes of what a set holds are left out": (
        "characters", texts, ("ways += [exactly(chr(code)) for code in has]", "pass")
    ),
    "a quote is an escape like any other": (
        "characters", texts, ("has = [code for code in SPECIAL if any(low <= code <= high for "
                              "low, high in ranges)]", "has = [*SPECIAL]")
    ),
    "a pattern is anchored": ("patterns", texts, ('"" if begins else f"{UNIT}*"', '""')),
    "a name counts as often as it comes": ("names", members, ("if self.name in had", "if False")),
    "names of all objects are one": (
        "names", members, ('frozenset() if char == "{" else None',
                           'frozenset().union(*filter(None, self.around)) if char == "{" else None')
    ),
    "a name that is known is not held to patterns": (
        "normal_form", members, ("self.matched(atom.value.patterns, name)", "frozenset()")
    ),
    "members are not counted": (
        "objects", members, ("more = count + 1 if counted", "more = 0 if counted")
    ),
    "a known name may come among the others": (
        "objects", members, ("[*known, *others]", "others")
    ),
    "an element may come again": ("arrays", elements, ("if k not in some and fit", "if fit")),
    "what must not be contained is anything": (
        "arrays", elements, ("elif one.most is not None:", "elif False:")
    ),
    "values that are listed are not tried": (
        "normal_form", denied, ("for v in listed.values if all(self.fits(v, i) for i in "
                          "(shape.types, *shape.atoms))", "for v in listed.values")
    ),
    "one of several may be two": (
        "applicators", denied, ("if k != at and not apart(", "if False and apart(")
    ),
    "what is asked decides nothing": ("applicators", denied, ("[])), (-asked,", "[])), (asked,")),
}  # fmt: skip

USES: dict[str, tuple[tuple[ModuleType, str], ...]] = {
    "document": ((document, "_decimal"),),
    "keywords": ((normal_form, "PLAIN"),),
    "characters": ((patterns, "Characters"),),
    "patterns": ((terminals, "contents"), (normal_form, "contents")),
    "names": ((grammars, "Names"),),
    "objects": ((writer, "object_"),),
    "arrays": ((writer, "array"),),
    "applicators": ((normal_form, "APPLICATORS"),),
}
"""Where what a module defines is looked up."""


@pytest.mark.parametrize("check", [numbers, texts, members, elements, denied])
def test_without_a_fault(check: Check) -> None:
    check()


@pytest.mark.parametrize("fault", FAULTS)
def test_the_check_sees_it(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, check, change = FAULTS[fault]
    module = load_with_fault(f"lm.automata.schema.{name}", change)
    patterns.contents.cache_clear()
    if name == "normal_form":
        monkeypatch.setattr("ergotext.lm.automata.schema.Logic", module.Logic)
    for user, attribute in USES.get(name, ()):
        monkeypatch.setattr(user, attribute, getattr(module, attribute))
    try:
        with pytest.raises((AssertionError, ErgotextError)):
            check()
    finally:
        patterns.contents.cache_clear()
        normal_form.matches.cache_clear()
