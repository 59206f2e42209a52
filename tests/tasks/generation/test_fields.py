"""Places of values in JSON texts, and the values that schemas list for them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ergotext.tasks.generation.fields import fields_in

SCHEMA: dict[str, Any] = {
    "properties": {
        "mood": {"$ref": "#/$defs/mood"},
        "pets": {
            "items": {
                "properties": {"kind": {"enum": ["cat", "dog", 3]}, "old": {"type": "boolean"}}
            }
        },
        "pair": {"prefixItems": [{"const": 1}, {"anyOf": [{"type": "null"}, {"const": "x"}]}]},
        "maybe": {"anyOf": [{"properties": {"a": {"type": "boolean"}}}, {"type": "null"}]},
        "free": {"type": "string"},
    },
    "$defs": {"mood": {"enum": ["up", "down"]}},
    "additionalProperties": {"type": ["boolean"]},
}  # fmt: skip
VALUE = {
    "mood": "up", "pets": [{"kind": "dog", "old": True}, {"kind": 3}], "pair": [1, None],
    "maybe": {"a": False}, "free": "enum", "é\"": True,
}  # fmt: skip


@pytest.mark.parametrize("indent", [None, 1])
def test_fields_and_their_values(indent: int | None) -> None:
    text = json.dumps(VALUE, indent=indent, ensure_ascii=False)
    found = {one.path: one for one in fields_in(text, SCHEMA)}
    assert {path: one.values for path, one in found.items()} == {
        "mood": ("up", "down"), "pets/0/kind": ("cat", "dog", 3), "pets/0/old": (False, True),
        "pets/1/kind": ("cat", "dog", 3), "pair/1": (None, "x"), "maybe/a": (False, True),
    }  # fmt: skip
    for path, one in found.items():
        value: Any = VALUE
        for step in path.split("/"):
            value = value[int(step)] if isinstance(value, list) else value[step]
        assert json.loads(text[one.start : one.stop]) == value
    assert found["pets/0/old"].labels == ["false", "true"]


def test_an_anchor_is_not_the_root() -> None:
    inner = {"$anchor": "inner", "properties": {"b": {"enum": ["p", "q"]}}}
    schema = {
        "properties": {"a": {"$ref": "#inner"}, "b": {"enum": ["x", "y"]}},
        "$defs": {"inner": inner},
    }
    found = fields_in('{"a":{"b":"p"},"b":"x"}', schema)
    assert {one.path: one.values for one in found} == {"b": ("x", "y")}


def test_labels_are_told_apart() -> None:
    (one,) = fields_in('{"a":"1"}', {"properties": {"a": {"enum": ["1", 1]}}})
    assert one.labels == ['"1"', "1"]


def test_no_two_fields_share_a_path() -> None:
    inner = {"properties": {"b": {"enum": ["p", "q"]}}}
    schema = {"properties": {"a/b": {"enum": ["x", "y"]}, "a": inner, "~1": {"type": "boolean"}}}
    found = fields_in('{"a/b":"x","a":{"b":"p"},"~1":true}', schema)
    values = {one.path: one.values for one in found}
    assert values == {"a~1b": ("x", "y"), "a/b": ("p", "q"), "~01": (False, True)}


def test_patterns_of_names_come_before_the_rest() -> None:
    schema = {
        "patternProperties": {"^a": {"enum": ["x", "y"]}},
        "additionalProperties": {"enum": ["x", "q"]},
    }
    assert fields_in('{"a":"x"}', schema) == []


def test_values_of_another_rule_are_not_told() -> None:
    choice = [{"properties": {"a": {"const": "z"}}}, {"properties": {"a": {"const": "w"}}}]
    schema = {"properties": {"a": {"enum": ["x", "y"]}}}
    assert fields_in('{"a":"z"}', {**schema, "anyOf": choice}) == []
    assert len(fields_in('{"a":"x"}', schema)) == 1


def test_references_to_escaped_names_and_into_lists() -> None:
    pair = [{"enum": ["x", "y"]}, {"enum": ["u", "v"]}]
    schema = {
        "$defs": {"a b": pair[0], "all": {"allOf": pair}},
        "items": {"$ref": "#/$defs/a%20b"},
        "prefixItems": [{"$ref": "#/$defs/all/allOf/1"}],
    }
    found = fields_in('["u","y"]', schema)
    assert [one.values for one in found] == [("u", "v"), ("x", "y")]


def test_equal_numbers_are_one_value_and_no_boolean() -> None:
    schema = {"items": {"enum": [1, 1.0, True, 2.5, -0.0, 0, "1"]}}
    (one, other) = fields_in("[1.0,true]", schema)
    assert [repr(value) for value in one.values] == ["1", "True", "2.5", "-0.0", "'1'"]
    assert one.spellings("[1.0,true]")[0] == ["1", "1.0"]
    assert other.spellings("[1.0,true]")[:4] == [["1"], ["true"], ["2.5"], ["-0.0", "0"]]
    (one,) = fields_in("[25e-1]", schema)
    assert one.spellings("[25e-1]")[2] == ["2.5", "25e-1"]


def test_a_text_that_is_not_read_has_no_fields() -> None:
    for text in ("[" * 3000 + "]" * 3000, f"[{'1' * 5000},true]"):
        assert fields_in(text, {"items": {"type": "boolean"}}) == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(value=JSON, spaced=st.booleans())
@settings(max_examples=60, deadline=None, derandomize=True, database=None)
def test_every_scalar_is_found(value: Any, spaced: bool) -> None:
    """Wherever it stands, by a schema that lists them all everywhere."""
    top = value if isinstance(value, list) else value.values() if isinstance(value, dict) else ()
    scalars = [one for one in top if not isinstance(one, list | dict)]
    schema: dict[str, Any] = {"anyOf": [{"type": "boolean"}, {"enum": ["x", *scalars]}]}
    text = json.dumps(value, indent=2 if spaced else None, ensure_ascii=False)
    everywhere: dict[str, Any] = {"properties": {}, "additionalProperties": schema, "items": schema}
    found = fields_in(text, everywhere)
    assert [json.loads(text[f.start : f.stop]) for f in found] == scalars


@pytest.mark.parametrize("schema", [True, {}, {"$ref": "#"}, {"anyOf": [{"$ref": "#"}]}])
def test_nothing_is_listed_where_nothing_is_told(schema: Any) -> None:
    assert fields_in('{"a":[true,{"b":1}]}', schema) == []
