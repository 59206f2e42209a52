"""Where the values stand in a JSON text, and which other values a schema lists for them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

MOST = 100
"""Values of a field that are told apart; of more, none is."""
_SPACE = re.compile(r"[ \t\r\n]*")
_SCALAR = json.JSONDecoder()


@dataclass(frozen=True)
class Field:
    """A value in a text for which the schema lists others.

    Parameters
    ----------
    path : str
        Names and numbers from the outside in: ``pets/0/kind``. In names ``~1`` is a slash and
        ``~0`` a tilde, as in JSON pointers, so that no two fields share a path.
    start, stop : int
        The value is ``text[start:stop]``.
    values : tuple
        All values that the schema lists for it; none of them a list or an object.
    """

    path: str
    start: int
    stop: int
    values: tuple[Any, ...]

    @property
    def labels(self) -> list[str]:
        """A text for each value: a string as it is, others as JSON."""
        plain = [one if isinstance(one, str) else json.dumps(one) for one in self.values]
        if len({*plain}) == len(plain):
            return plain
        return [json.dumps(one, ensure_ascii=False) for one in self.values]

    def spellings(self, text: str) -> list[list[str]]:
        """The forms of JSON in which each value counts.

        They are that of the schema; of a whole number also that without a point; and the one that
        stands in the text.
        """
        here = text[self.start : self.stop]
        written, found = _key(json.loads(here)), []
        for one in self.values:
            forms = [json.dumps(one, ensure_ascii=False)]
            if isinstance(one, float) and one.is_integer():
                forms.append(str(int(one)))
            found.append(list(dict.fromkeys([*forms, *([here] if _key(one) == written else [])])))
        return found


def fields_in(text: str, schema: Any) -> list[Field]:
    """The fields of a JSON text whose values the schema lists: by enum, const, boolean or null.

    None of a text that Python does not read (``Generation.value``).

    Parameters
    ----------
    text : str
        JSON that the schema admits.
    schema : dict or bool
    """
    found: list[Field] = []
    try:
        places = list(_places(text, 0, ()))
    except (RecursionError, ValueError):  # deeper, or of longer numbers, than Python reads
        return found
    for path, start, stop in places:
        if text[start] in "[{":
            continue
        values = _listed(schema, _below(schema, schema, path))
        if not path or values is None or not 1 < len(values) <= MOST:
            continue
        if _key(json.loads(text[start:stop])) in map(_key, values):  # else another rule holds here
            found.append(Field("/".join(map(_step, path)), start, stop, tuple(values)))
    return found


def _step(name: str | int) -> str:
    """A step of a path, which holds no slash."""
    return str(name).replace("~", "~0").replace("/", "~1")


def _key(value: Any) -> tuple[bool, Any]:
    """What equal scalars share: 1 is 1.0, and not true."""
    return isinstance(value, bool), value


def _places(
    text: str, at: int, path: tuple[str | int, ...]
) -> Iterator[tuple[tuple[str | int, ...], int, int]]:
    """Path, begin and end of each scalar; of lists and objects too, after what they hold."""
    stop = start = at = _skip(text, at)
    if text[at] not in "[{":
        stop = _SCALAR.raw_decode(text, at)[1]
        yield path, start, stop
        return
    close, number = "]}"["[{".index(text[at])], 0
    at = _skip(text, at + 1)
    while text[at] != close:
        key: str | int = number
        if close == "}":
            key, at = _SCALAR.raw_decode(text, at)
            at = _skip(text, _skip(text, at) + 1)
        for where in _places(text, at, (*path, key)):
            yield where
            stop = where[2]
        number += 1
        at = _skip(text, stop)
        at = _skip(text, at + 1) if text[at] == "," else at
    yield path, start, at + 1


def _skip(text: str, at: int) -> int:
    space = _SPACE.match(text, at)
    assert space is not None
    return space.end()


def _below(root: Any, schema: Any, path: tuple[str | int, ...]) -> Any:
    """The schema of what stands at a path; None if that is not known."""
    for step in path:
        schema = _resolved(root, schema)
        if not isinstance(schema, dict):
            return None
        if isinstance(step, str):
            named = schema.get("properties", {})
            rest = None if schema.get("patternProperties") else schema.get("additionalProperties")
            schema = named.get(step, rest)
        else:
            first = schema.get("prefixItems", [])
            schema = first[step] if step < len(first) else schema.get("items")
    return schema


def _resolved(root: Any, schema: Any) -> Any:
    """A schema in the place of a reference to it, or of a choice between it and null."""
    for _ in range(20):  # references may go in circles
        if not isinstance(schema, dict):
            return schema
        name, any_of = schema.get("$ref"), schema.get("anyOf", schema.get("oneOf"))
        if isinstance(name, str) and name.startswith("#"):
            schema = _at(root, name)
        elif isinstance(any_of, list):
            real = [one for one in any_of if one != {"type": "null"}]
            if len(real) != 1:
                return schema
            schema = real[0]
        else:
            return schema
    return None


def _at(root: Any, name: str) -> Any:
    """What a reference within a schema points to; None for one that goes by an anchor."""
    first, *steps = name.split("/")
    if first != "#":
        return None
    for step in steps:
        step = unquote(step).replace("~1", "/").replace("~0", "~")
        if isinstance(root, list) and step.isdecimal() and int(step) < len(root):
            root = root[int(step)]
        else:
            root = root.get(step) if isinstance(root, dict) else None
    return root


def _listed(root: Any, schema: Any, depth: int = 0) -> list[Any] | None:
    """All values of a schema, if it lists them and all are scalars."""
    if not isinstance(schema, dict) or depth > 20:
        return None
    if isinstance(name := schema.get("$ref"), str):
        return _listed(root, _at(root, name), depth + 1) if name.startswith("#") else None
    any_of = schema.get("anyOf", schema.get("oneOf"))
    values: list[Any] | None = None
    if "const" in schema:
        values = [schema["const"]]
    elif isinstance(schema.get("enum"), list):
        values = schema["enum"]
    elif schema.get("type") in ("boolean", "null"):
        values = [False, True] if schema["type"] == "boolean" else [None]
    elif isinstance(any_of, list):
        each = [_listed(root, one, depth + 1) for one in any_of]
        values = None if None in each else [v for one in each for v in one or ()]
    if values is None or any(isinstance(one, list | dict) for one in values):
        return None
    different: dict[tuple[bool, Any], Any] = {}
    for one in values:
        different.setdefault(_key(one), one)
    return list(different.values())
