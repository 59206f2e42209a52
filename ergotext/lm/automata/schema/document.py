"""Parse a JSON schema: exact numbers, resolved references, a location for each part."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import unquote, urldefrag, urljoin

from ergotext.errors import InputError
from ergotext.lm.automata.schema.values import MARK
from ergotext.support.untrusted import check_depth

OLD = ("draft-04", "draft-06", "draft-07")
"""Drafts in which what stands beside a ``$ref`` is passed over."""

_NEW: dict[str, tuple[str, ...]] = {
    "draft-04": (),
    "draft-06": ("const", "contains", "propertyNames"),
    "draft-07": ("if",),
    "2019-09": (
        *("dependentRequired", "dependentSchemas", "unevaluatedItems", "unevaluatedProperties"),
        *("minContains", "maxContains", "$recursiveRef"),
    ),
    "2020-12": ("prefixItems", "$dynamicRef"),
}
"""The keywords that each draft brought."""

_GONE = {"2019-09": ("dependencies",), "2020-12": ("dependencies", "$recursiveRef")}
"""The keywords that a draft has no more."""

_WIDER = frozenset({"minContains", "prefixItems"})
"""Keywords that let more through than there is without them."""

_DENIES = frozenset({"not", "oneOf", "if", "maxContains"})
"""Keywords under which a schema may count where it does not fit."""

DEEPEST = 256
"""Levels of lists and objects: how many Python itself can follow depends on its version."""
DIGITS = 400
"""The largest power of ten, either way, that a number of a schema may have."""

_MAPS: tuple[str, ...] = (
    "properties",
    "patternProperties",
    "$defs",
    "definitions",
    "dependentSchemas",
)
_LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")
_ONE: tuple[str, ...] = (
    "additionalProperties",
    "unevaluatedProperties",
    "propertyNames",
    "additionalItems",
)
_ONE += ("items", "unevaluatedItems", "contains", "not", "if", "then", "else", "contentSchema")


@dataclass(frozen=True)
class Fact:
    """A value satisfies a part of a schema or, where ``holds`` is False, does not.

    Two facts are equal where their parts say the same, wherever these stand.
    """

    schema: Any = field(compare=False)
    key: str
    base: str
    place: str = field(compare=False)
    holds: bool = True

    def __neg__(self) -> Fact:
        return Fact(self.schema, self.key, self.base, self.place, not self.holds)

    def part(self, *path: str | int) -> Fact:
        """The fact that a value fits a part of this part."""
        schema, place = self.schema, self.place
        for step in path:
            schema = schema[step]
            place += f"/{str(step).replace('~', '~0').replace('/', '~1')}"
        return fact(schema, base_of(schema, self.base), place)


def fact(schema: Any, base: str = "", place: str = "#") -> Fact:
    """The fact that a value satisfies a schema.

    Raises
    ------
    InputError
        The schema is neither an object nor a boolean.
    """
    if not isinstance(schema, dict | bool):
        raise InputError(
            f"a schema must be an object, true or false; got {shown(schema)} at {place}"
        )
    key = json.dumps(schema, default=lambda number: [MARK, str(number)])
    return Fact(schema, key, base, place)


def base_of(schema: Any, base: str) -> str:
    """Base URI of the references in a schema."""
    name = schema.get("$id", schema.get("id")) if isinstance(schema, dict) else None
    return urljoin(base, name) if isinstance(name, str) and not name.startswith("#") else base


def fault(keyword: str, place: str, why: str) -> InputError:
    """The error for an unsupported keyword."""
    return InputError(f"cannot handle {keyword} at {place} of the schema: {why}")


def shown(value: Any) -> str:
    """The beginning of a value, for a message."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:60] + "…"


def parsed(given: str | bool | Mapping[str, Any]) -> Any:
    """The schema as Python's values; numbers as ``int`` or ``Decimal``, all their digits kept.

    Raises
    ------
    InputError
        It is no JSON, nested more than ``DEEPEST`` deep, or has a number of too many digits.
    """
    text = given if isinstance(given, str) else ""
    try:
        text = text or json.dumps(given, ensure_ascii=False)
        text.encode()
        read = json.loads(text, parse_float=_decimal, parse_int=_decimal, parse_constant=_no_number)
        check_depth(read, DEEPEST)
        for part in strings(read):
            part.encode()
    except RecursionError as error:
        raise InputError("the schema is nested too deeply to be read") from error
    except UnicodeEncodeError as error:
        raise InputError(
            "the schema contains half of a surrogate pair, which is not valid text"
        ) from error
    except (ValueError, TypeError, InvalidOperation) as error:
        start = text if len(text) <= 200 else text[:200] + "…"
        raise InputError(f"the schema is not valid JSON ({error}): {start!r}") from error
    if not isinstance(read, dict | bool):
        raise InputError(f"the schema must be a JSON object, true or false; got {shown(read)}")
    return read


def _decimal(text: str) -> int | Decimal:
    number = Decimal(text)
    if number and not (-DIGITS <= number.adjusted() <= DIGITS and len(text) <= DIGITS):
        raise ValueError(f"{text[:20]} has more than {DIGITS} digits")
    return int(number) if number == number.to_integral_value() else number


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is not a number")


def strings(value: Any) -> Iterator[str]:
    """All strings of a JSON value, names among them."""
    todo = [value]
    while todo:
        one = todo.pop()
        if isinstance(one, dict):
            todo += [*one, *one.values()]
        elif isinstance(one, list):
            todo += one
        elif isinstance(one, str):
            yield one


class Document:
    """A schema with its references.

    Parameters
    ----------
    schema : dict or bool
        As ``parsed`` gives it.
    """

    def __init__(self, schema: Any) -> None:
        self.root = fact(schema, base_of(schema, ""))
        draft = schema.get("$schema") if isinstance(schema, dict) else None
        self.old = isinstance(draft, str) and any(name in draft for name in OLD)
        self.draft = _draft_of(draft, "#/$schema") or "2020-12"
        later = [*_NEW][[*_NEW].index(self.draft) + 1 :]
        foreign = {*_GONE.get(self.draft, ()), *(word for name in later for word in _NEW[name])}
        denies = not _DENIES.isdisjoint(strings(schema))
        self._refused = frozenset(foreign if denies else foreign & _WIDER)
        self._named: dict[str, Fact] = {"": self.root, self.root.base: self.root}
        self._dynamic: list[str] = []
        self._recursive = 0
        self._renamed = ""
        self._index(self.root)

    def words(self, one: Fact) -> list[str]:
        """The keywords of a schema that count.

        One that the draft does not know counts all the same, as people write them so and fewer
        values fit; but not where more could.

        Raises
        ------
        InputError
            There is one that the draft does not know, and more values could fit by it.
        """
        words = ["$ref"] if self.old and "$ref" in one.schema else [*one.schema]
        if word := next((word for word in words if word in self._refused), None):
            raise fault(word, f"{one.place}/{word}", f"{self.draft} has no such keyword")
        return words

    def target(self, source: Fact, keyword: str = "$ref") -> Fact:
        """Resolve a reference.

        Raises
        ------
        InputError
            Nothing in this schema.
        """
        place, name = f"{source.place}/{keyword}", source.schema[keyword]
        if not isinstance(name, str):
            raise fault(keyword, place, "it is no string")
        if self._renamed:
            raise fault(keyword, place, f"{self.draft} knows no {self._renamed}")
        if keyword == "$recursiveRef" and self._recursive > 1:
            raise fault(keyword, place, "what it points to depends on who refers to it")
        # A name such as urn:uuid:… has no path that a reference could be joined to.
        base = urldefrag(source.base)[0]
        whole = base + name if name.startswith("#") else urljoin(base, name)
        address, fragment = urldefrag(whole)
        if whole in self._named:
            found = self._named[whole]
            dynamic = keyword != "$ref" and found.schema.get("$dynamicAnchor") == fragment
            if dynamic and self._dynamic.count(fragment) > 1:
                raise fault(keyword, place, "what it points to depends on who refers to it")
            return found
        resource = self._named.get(address)
        if resource is None or (fragment and not fragment.startswith("/")):
            raise fault(keyword, place, f"{shown(name)} is not in the schema itself")
        value, base = resource.schema, resource.base
        try:
            for step in unquote(fragment).split("/")[1:]:
                step = step.replace("~1", "/").replace("~0", "~")
                value = value[int(step) if isinstance(value, list) else step]
                base = base_of(value, base)
        except (LookupError, ValueError, TypeError) as error:
            raise fault(keyword, place, f"{shown(name)} points to nothing") from error
        return fact(value, base, name)

    def _index(self, root: Fact) -> None:
        todo = [root]
        while todo:
            one = todo.pop()
            if not isinstance(one.schema, dict):
                continue
            self._named.setdefault(one.base, one)
            place = f"{one.place}/$schema"
            if (_draft_of(one.schema.get("$schema"), place) or self.draft) != self.draft:
                raise fault("$schema", place, f"the schema around it is one of {self.draft}")
            self._recursive += one.schema.get("$recursiveAnchor") is True
            foreign = "$id" if self.draft == "draft-04" else "id"
            name = one.schema.get(foreign)
            if one is not root and isinstance(name, str) and not name.startswith("#"):
                self._renamed = f"{one.place}/{foreign}"
            for keyword in ("$anchor", "$dynamicAnchor", "$id", "id"):
                name = one.schema.get(keyword)
                if isinstance(name, str) and (keyword[-2:] != "id" or name.startswith("#")):
                    name = name.removeprefix("#")
                    self._named.setdefault(f"{one.base.split('#')[0]}#{name}", one)
                    if keyword == "$dynamicAnchor":
                        self._dynamic.append(name)
            todo += list(_parts(one))


def _draft_of(name: object, place: str) -> str | None:
    """The draft that a ``$schema`` names; none if it names the newest, or no draft at all.

    Raises
    ------
    InputError
        It names another draft than those that are known.
    """
    if not isinstance(name, str):
        return None
    known = next((draft for draft in _NEW if draft in name), None)
    if known is None and re.search(r"json-schema\.org/draft[-/]", name):
        raise fault("$schema", place, f"{shown(name)} is none of {', '.join(_NEW)}")
    return known


def _parts(one: Fact) -> Iterator[Fact]:
    """The schemas directly below a schema."""
    for keyword, value in one.schema.items():
        if keyword in (*_MAPS, "dependencies") and isinstance(value, dict):
            paths: list[tuple[str | int, ...]] = [(keyword, name) for name in value]
        elif keyword in (*_LISTS, "items") and isinstance(value, list):
            paths = [(keyword, at) for at in range(len(value))]
        else:
            paths = [(keyword,)] if keyword in _ONE else []
        for path in paths:
            below = value[path[1]] if len(path) > 1 else value
            if isinstance(below, dict | bool):
                yield one.part(*path)
