from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import numpy as np
import pytest

from ergotext.errors import InputError
from ergotext.lm.automata.grammars import json_schema
from ergotext.lm.automata.schema import lark_of
from ergotext.lm.automata.schema.applicators import APPLICATORS
from ergotext.lm.automata.schema.keywords import PLAIN
from tests.lm.automata.schema.bytewise import BYTES, taker, takes

BIG = 12345678901234567890123
D04, D06, D07 = (f"http://json-schema.org/draft-0{k}/schema#" for k in (4, 6, 7))
D19 = "https://json-schema.org/draft/2019-09/schema"


@pytest.mark.parametrize(
    ("schema", "fit", "unfit"),
    [
        # Numbers beyond a double
        ({"const": BIG}, [BIG], [BIG + 1, BIG - 1]),
        ({"enum": [BIG, 1]}, [BIG, 1], [BIG + 1]),
        ({"type": "integer", "minimum": BIG}, [BIG, 10 * BIG], [BIG - 1, 0]),
        ({"type": "integer", "exclusiveMaximum": BIG}, [BIG - 1, -BIG], [BIG]),
        ({"type": "integer", "multipleOf": 10**22}, [0, 3 * 10**22], [10**22 + 1]),
        # Decimals
        ({"type": "number", "maximum": 0.75}, [0.7, 0.75, -3, 0], [0.76, 1]),
        ({"type": "number", "minimum": 3.14}, [3.14, 3.2, 10], [3.139, 3]),
        ({"type": "number", "exclusiveMinimum": 0}, [0.001, 1e-07], [0, -1]),
        ({"type": "number", "multipleOf": 0.01}, [0.07, 1.1, 3], [0.075]),
        ({"type": "integer", "multipleOf": 7, "maximum": 20}, [14, -7], [15, 21]),
        ({"not": {"type": "integer"}, "type": "number"}, [1.5], [1, 2.0]),
        # Values that are listed, beside what else is said of them
        ({"enum": [1, 2, "a", None], "not": {"const": 2}}, [1, "a", None], [2]),
        ({"enum": ["a", "bb", 3], "type": "string", "maxLength": 1}, ["a"], ["bb", 3]),
        ({"enum": [{"a": 1}, {"a": "x"}], "properties": {"a": {"type": "integer"}}},
         [{"a": 1}], [{"a": "x"}]),
        ({"allOf": [{"enum": [[], [1], [2], 2]}, {"not": {"items": {"const": 1}}}]},
         [[2]], [[], [1], 2]),
        ({"enum": [[1, 1], [1, 2]], "uniqueItems": True}, [[1, 2]], [[1, 1]]),
        ({"const": 1}, [1, 1.0], [True]),
        ({"const": "\0001.5"}, ["\0001.5"], [1.5]),
        ({"enum": [1.5, "\0001.5"], "not": {"const": 1.5}}, ["\0001.5"], [1.5]),
        ({"properties": {"a": {"const": "\0001.5"}, "b": {"const": 1.5}}},
         [{"a": "\0001.5", "b": 1.5}], [{"a": 1.5}, {"b": "\0001.5"}]),
        # What is denied
        ({"not": {"type": ["string", "integer"]}}, [1.5, None, [], {}], ["a", 1]),
        ({"not": {"required": ["a"]}}, [{}, {"b": 1}], [{"a": 1}, 3]),
        ({"not": {"properties": {"a": {"type": "null"}}}}, [{"a": 1}], [{"a": None}, {}, 1]),
        ({"type": "array", "not": {"const": []}}, [[1]], [[]]),
        ({"type": "string", "not": {"pattern": '^"'}}, ["a", ""], ['"']),
        ({"oneOf": [{"minimum": 2}, {"maximum": 5}], "type": "integer"}, [1, 6], [2, 3, 5]),
        ({"if": {"properties": {"k": {"const": "n"}}}, "then": {"required": ["v"]},
          "properties": {"k": {"type": "string"}}, "required": ["k"], "type": "object"},
         [{"k": "n", "v": 1}, {"k": "m"}], [{"k": "n"}]),
        # Members
        ({"properties": {"foo": {"type": "integer"}}, "patternProperties": {"^f": {"minimum": 3}}},
         [{"foo": 4}, {"fa": "x"}], [{"foo": 2}, {"foo": "x"}, {"fa": 2}]),
        ({"patternProperties": {"a": {"minimum": 1}, "b": {"maximum": 1}},
          "additionalProperties": False}, [{"a": 2}, {"b": 0}, {"ab": 1}], [{"ab": 2}, {"c": 1}]),
        ({"propertyNames": {"maxLength": 1}, "type": "object"}, [{"a": 1}], [{"ab": 1}]),
        ({"properties": {"a": {}}, "minProperties": 2}, [{"a": 1, "b": 2}], [{"a": 1}]),
        ({"type": "object", "maxProperties": 1}, [{}, {"x": 1}], [{"x": 1, "y": 1}]),
        ({"dependentRequired": {"a": ["b"]}}, [{"a": 1, "b": 1}, {"b": 1}], [{"a": 1}]),
        ({"allOf": [{"properties": {"a": {}}}], "properties": {"b": {}},
          "unevaluatedProperties": False}, [{"a": 1, "b": 2}], [{"c": 1}]),
        ({"type": "object", "propertyNames": {"not": {"propertyNames": {"maxLength": 3}}}},
         [{}], [{"a": 1}, {"abcd": 1}]),
        ({"not": {"propertyNames": {"maxLength": 1}}, "enum": [1, "ab", {"a": 1}, {"ab": 1}]},
         [{"ab": 1}], [1, "ab", {"a": 1}]),
        ({"type": "object", "propertyNames": {"enum": ["a", "b", 1]}, "required": ["b"],
          "patternProperties": {"^a": {"type": "null"}}},
         [{"b": 1}, {"b": 1, "a": None}], [{}, {"a": None}, {"b": 1, "a": 1}, {"b": 1, "c": 1}]),
        ({"type": "object", "propertyNames": {"enum": ["a", "b"]}, "minProperties": 2},
         [{"a": 1, "b": 1}], [{"a": 1}, {}]),
        # Elements
        ({"type": "array", "maxItems": 1}, [[], [1]], [[1, 2]]),
        ({"prefixItems": [{"type": "null"}], "items": {"type": "integer"}, "minItems": 2},
         [[None, 1], [None, 1, 2]], [[None], [1, 1]]),
        ({"contains": {"type": "integer"}, "minContains": 2, "maxContains": 2},
         [[1, "a", 2], "x"], [[1], [1, 2, 3]]),
        ({"items": {"enum": ["a", "b"]}, "uniqueItems": True}, [["b", "a"], []], [["a", "a"]]),
        ({"minLength": 3, "maxLength": 2, "minItems": 1, "maxItems": 0}, [1, {}], ["aaa", []]),
        ({"$schema": D19, "type": "array", "items": [{}], "unevaluatedItems": False},
         [[], [1]], [[1, 2]]),
        ({"$schema": D19, "type": "array", "items": [{}], "unevaluatedItems": {"type": "null"},
          "allOf": [{"items": [{}, {}]}]}, [[1, 2], [1, 2, None]], [[1, 2, 3]]),
        ({"$schema": D19, "type": "array", "items": [{}], "additionalItems": {"type": "null"},
          "unevaluatedItems": False}, [[1, None]], [[1, 2]]),
        # What a draft does not know, where fewer values fit by it
        ({"$schema": D04, "properties": {"a": {"const": 1}}}, [{"a": 1}], [{"a": 2}]),
        ({"$schema": D07, "dependentRequired": {"a": ["b"]}}, [{"b": 1}], [{"a": 1}]),
        ({"dependencies": {"a": ["b"]}}, [{"b": 1}], [{"a": 1}]),
        ({"$schema": D07, "not": {"dependencies": {"a": ["b"]}}}, [{"a": 1}], [{"b": 1}, 1]),
        ({"$schema": D07, "$ref": "#/definitions/a", "prefixItems": [{}],
          "definitions": {"a": {"const": 1}}}, [1], [2, []]),
        # The whole
        (True, [1, {"a": [None]}], []),
        ({}, ["x", []], []),
        ({"$ref": "#/$defs/t", "$defs": {"t": {"type": ["null", "array"],
          "items": {"$ref": "#/$defs/t"}}}}, [None, [[None], []]], [1, [1]]),
    ],
)  # fmt: skip
def test_what_a_schema_takes(schema: Any, fit: list[Any], unfit: list[Any]) -> None:
    assert takes(schema, *fit, *unfit) == [True] * len(fit) + [False] * len(unfit)


def test_numbers_keep_all_their_digits() -> None:
    take = taker('{"enum": [0.1234567890123456789012345, 1e-30]}')
    assert take("0.1234567890123456789012345") and take("1e-30")
    assert not take("0.1234567890123456789012346") and not take("0.12345678901234568")


def test_a_whole_number_may_end_with_zeros_behind_the_point() -> None:
    take = taker({"type": "integer"})
    assert take("1.0") and take("-0") and not take("1.5") and not take("01")


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "integer"},
        {"type": "integer", "minimum": 3},
        {"type": ["integer", "string"]},
        {"type": "integer", "enum": [14, 1, "a"]},
        {"type": "integer", "multipleOf": 2},
        {"type": "integer", "multipleOf": 7, "maximum": 1000},
        {"allOf": [{"type": "number"}, {"not": {"not": {"type": "integer"}}}]},
    ],
)
def test_draft_04_knows_no_integer_with_a_point(schema: dict[str, Any]) -> None:
    take = taker({"$schema": D04, **schema})
    assert take("14") and not take("14.0") and not take("1.4e1") and not take("14.5")
    if "multipleOf" not in schema:
        assert taker({"$schema": D06, **schema})("14.0")


@pytest.mark.parametrize(
    "schema",
    [
        {"enum": [[1]], "items": {"type": "integer"}},
        {"enum": [[1], [2]], "additionalItems": {"type": "integer"}, "items": []},
        {"items": {"type": "integer", "enum": [1, 2]}, "uniqueItems": True, "type": "array"},
    ],
)
def test_nor_does_it_in_what_is_listed(schema: dict[str, Any]) -> None:
    """jsonschema's Draft4Validator refuses [1.0] too."""
    take = taker({"$schema": D04, **schema})
    assert take("[1]") and not take("[1.0]")
    assert taker({"$schema": D06, **schema})("[1.0]")


@pytest.mark.parametrize(
    "schema",
    [
        {"$schema": "http://json-schema.org/draft-03/schema#"},
        {"$schema": "https://json-schema.org/draft/next/schema"},
        {"$schema": D04, "properties": {"a": {"$schema": D07}}},
        {"properties": {"a": {"$schema": D07, "dependencies": {"a": ["b"]}}}},
    ],
)
def test_drafts_that_are_not_known_or_mixed_are_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"schema at #/"):
        taker(schema)


def test_a_schema_may_name_its_draft_within_and_no_draft_at_all() -> None:
    assert taker({"$schema": D04, "properties": {"a": {"$schema": D04}}})("{}")
    assert taker({"$schema": "http://json-schema.org/schema#", "const": 1})("1")


def test_no_name_comes_twice_in_one_object() -> None:
    take = taker({"type": "object", "properties": {"a": {"type": "integer"}}})
    assert take('{"a":1,"b":{"a":1,"b":["b","b"]},"c":2}')
    for text in ('{"a":1,"a":"s"}', '{"a":1,"\\u0061":"s"}', '{"b":1,"b":2}', '{"":1,"":2}',
                 '{"b":[{"c":1,"c":1}]}', '{"\\"":1,"\\"":1}'):  # fmt: skip
        assert not take(text), text
    least = taker({"type": "object", "minProperties": 2})
    assert least('{"b":1,"c":2}') and not least('{"b":1,"b":2}')


@pytest.mark.parametrize(
    "more", [{}, {"minProperties": 1}, {"patternProperties": {"b": {"type": "integer"}}}]
)
def test_where_no_name_is_left_no_comma_follows(more: Any) -> None:
    names = {"type": "object", "propertyNames": {"enum": ["a", "b"]}, **more}
    automaton = json_schema(names, BYTES)
    state = automaton.start(1)
    for byte in b'{"a":1,"b":2':
        state = automaton.advance(state, np.array([byte]))
    _, tokens, _ = automaton.candidates(state)
    assert ord("}") in tokens and ord(",") not in tokens


def test_a_string_has_one_spelling() -> None:
    take = taker({"type": "string"})
    assert take('"/\\n\\u001f\\"é"')
    assert not any(map(take, ['"\\/"', '"\\u000a"', '"\\u00e9"', '"\\u001F"', '"\n"']))


def test_white_space_around_all_parts() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "array"}}}
    loose, tight = taker(schema, whitespace=True), taker(schema)
    text = '\n { "a" : [ 1 , { "b" : [ ] } ] , "c" : { } }\t'
    assert loose(text) and not tight(text)
    assert tight("".join(text.split())) and loose("".join(text.split()))


@pytest.mark.parametrize("value", [True, False, None, "x", [1], {"whitespace_flexible": True}])
def test_options_of_llguidance_are_a_note_like_any_other(value: Any) -> None:
    take = taker({"x-guidance": value, "type": "object", "properties": {"a": {"type": "null"}}})
    assert take('{"a":null}') and not take('{"a" : null}')


@pytest.mark.parametrize(
    ("schema", "keyword", "place"),
    [
        ({"items": {"uniqueItems": True}}, "uniqueItems", "#/items/uniqueItems"),
        ({"multipleOf": BIG}, "multipleOf", "#/multipleOf"),
        ({"type": "number", "multipleOf": 0.7}, "multipleOf", "#/multipleOf"),
        ({"properties": {"a/b": {"pattern": "(?=a)"}}}, "pattern", "#/properties/a~1b/pattern"),
        ({"format": "iri"}, "format", "#/format"),
        ({"$ref": "http://example.org/other"}, "$ref", "#/$ref"),
        ({"not": {"additionalProperties": False}}, "additionalProperties", "#/not"),
        ({"anyOf": [{"properties": {"a": {}}}], "unevaluatedProperties": False},
         "unevaluatedProperties", "#/unevaluatedProperties"),
        ({"$schema": D07, "contains": {"type": "integer"}, "minContains": 0},
         "minContains", "#/minContains"),
        ({"$schema": D07, "prefixItems": [{}], "items": False}, "prefixItems", "#/prefixItems"),
        ({"$schema": D19, "prefixItems": [{}], "items": False}, "prefixItems", "#/prefixItems"),
        ({"$schema": D07, "not": {"dependentRequired": {"a": ["b"]}}},
         "dependentRequired", "#/not/dependentRequired"),
        ({"$schema": D04, "not": {"const": 1}}, "const", "#/not/const"),
        ({"$schema": D04, "not": {"$ref": "#/x-a"}, "x-a": {"items": {"const": 1}}},
         "const", "#/x-a/items/const"),
        ({"$schema": D04, "if": {}, "else": {}}, "if", "#/if"),
        ({"$schema": D06, "oneOf": [{}, {"if": {}, "then": False}]}, "if", "#/oneOf/1/if"),
        ({"$schema": D19, "not": {"dependencies": {"a": ["b"]}}},
         "dependencies", "#/not/dependencies"),
        ({"not": {"dependencies": {"a": ["b"]}}}, "dependencies", "#/not/dependencies"),
        ({"$defs": {"t": {"const": 1}},
          "items": {"id": "x", "$ref": "#/$defs/t", "$defs": {"t": {}}}},
         "$ref", "#/items/$ref"),
        ({"$schema": D04, "definitions": {"t": {"$id": "x"}}, "$ref": "#/definitions/t"},
         "$ref", "#/$ref"),
        ({"$schema": D19, "$recursiveAnchor": True, "items": {"$id": "x", "$recursiveAnchor": True,
          "items": {"$recursiveRef": "#"}}, "maxItems": 1},
         "$recursiveRef", "#/items/items/$recursiveRef"),
        ({"minLength": 10**6}, "minLength", "#/minLength"),
        ({"maxProperties": 10**6}, "maxProperties", "#/maxProperties"),
        ({"type": "nope"}, "type", "#/type"),
        ({"minimum": "x"}, "minimum", "#/minimum"),
        ({"maxLength": -1}, "maxLength", "#/maxLength"),
        ({"required": "a"}, "required", "#/required"),
        ({"allOf": {}}, "allOf", "#/allOf"),
    ],
)  # fmt: skip
def test_what_cannot_be_followed_is_named(schema: Any, keyword: str, place: str) -> None:
    with pytest.raises(InputError, match="cannot handle") as told:
        json_schema(schema, BYTES)
    assert str(told.value).startswith(f"cannot handle {keyword} at {place} of the schema")
    assert "\n" not in str(told.value) and len(str(told.value)) < 300


@pytest.mark.parametrize(
    "schema",
    ["[" * 100_000 + "]" * 100_000, '{"not":' * 5000 + "{}" + "}" * 5000, "{bad", "[1]", "null",
     '{"maximum": NaN}', '{"maximum": 1e999}', '{"const": "\\ud800"}', '{"properties": {"a": 1}}',
     '{"$id": "http://[", "$ref": "x"}', f'{{"const": {"9" * 500}}}'],
)  # fmt: skip
def test_what_is_no_schema_is_refused_in_a_line(schema: str) -> None:
    with pytest.raises(InputError) as told:
        json_schema(schema, BYTES)
    assert "\n" not in str(told.value) and len(str(told.value)) < 400


@pytest.mark.parametrize(
    "beside",
    [{}, {"unevaluatedItems": False}, {"unevaluatedProperties": False},
     {"oneOf": [{"type": "array"}, {"type": "object"}]}],
)  # fmt: skip
@pytest.mark.parametrize("value", [None, True, 0, "a", [], [None], {"a": None}, {"a": [None]}])
def test_whatever_a_keyword_has_for_a_value(value: Any, beside: dict[str, Any]) -> None:
    """It is followed, or refused by name, read before what stands beside it and after it."""
    words = {*PLAIN, *APPLICATORS, "then", "else", "additionalItems", "minContains", "$defs"}
    for word in sorted(words - beside.keys()):
        for schema in ({word: value, **beside}, {**beside, word: value}):
            for whole in (schema, {"not": schema}):
                with suppress(InputError):
                    lark_of(whole)


@pytest.mark.parametrize(
    "schema",
    [False, {"type": "integer", "minimum": 0.2, "maximum": 0.8}, {"enum": []},
     {"type": "string", "pattern": "^a$", "minLength": 2}, {"allOf": [{"const": 1}, {"const": 2}]},
     {"type": "object", "required": ["a"], "properties": {"a": False}},
     {"type": "array", "minItems": 2, "maxItems": 1}, {"$ref": "#"},
     {"type": "array", "items": {"$ref": "#"}, "minItems": 1}],
)  # fmt: skip
def test_schemas_that_no_value_fits(schema: Any) -> None:
    if schema == {"$ref": "#"}:  # says nothing, so that all fits
        assert takes(schema, 1) == [True]
        return
    with pytest.raises(InputError, match="no value satisfies"):
        json_schema(schema, BYTES)


@pytest.mark.parametrize("count", [100, 101, 2000])
def test_many_names(count: int) -> None:
    names = {"type": "object", "propertyNames": {"enum": [f"n{k}" for k in range(count)]}}
    fit = {"n3": 1, f"n{count - 1}": 1}
    assert takes(names, fit, {"n3": 1, f"n{count}": 1}) == [True, False]


def test_many_values_and_many_choices() -> None:
    numbers = {"enum": [*range(3000), *map(str, range(3000))]}
    assert takes(numbers, 2999, "2999", 3000) == [True, True, False]
    others = {"type": "string", "not": {"enum": [str(k) for k in range(1000)]}}
    assert takes(others, "999", "1000") == [False, True]
    kinds = [{"properties": {"kind": {"const": k}}, "required": ["kind"]} for k in range(30)]
    chosen = {"type": "object", "oneOf": kinds}
    assert takes(chosen, {"kind": 29}, {"kind": 30}, {}) == [True, False, False]


def test_nested_as_deep_as_people_write() -> None:
    schema: Any = {"type": "integer"}
    value: Any = 1
    for _ in range(60):
        schema = {"type": "object", "properties": {"a": schema}, "required": ["a"]}
        value = {"a": value}
    assert takes(json.dumps(schema), value, 1) == [True, False]


@pytest.mark.parametrize(
    ("name", "fit", "unfit"),
    [
        ("date", ["2024-02-29", "2000-02-29", "1999-12-31"],
         ["2023-02-29", "1900-02-29", "2024-1-1"]),
        ("time", ["12:00:00Z", "23:59:60Z", "01:02:03.5+01:00"], ["12:00:00", "12:00:60Z"]),
        ("date-time", ["2024-02-29T12:00:00Z"], ["2024-02-30T12:00:00Z", "2024-02-29"]),
        ("email", ["a.b@example.org"], ["a", "a@", ".a@b", f"{'a' * 65}@b"]),
        ("hostname", ["a-b.example"], ["-a", "a_b", ".".join(["a" * 60] * 5)]),
        ("ipv4", ["127.0.0.1"], ["256.0.0.1", "01.0.0.1"]),
        ("ipv6", ["::1", "1::2:3", "::ffff:1.2.3.4"], ["1::2::3", "12345::"]),
        ("uuid", ["2eb8aa08-aa98-11ea-b4aa-73b441d16380"], ["2eb8aa08aa9811eab4aa73b441d16380"]),
        ("uri", ["http://a.b/c?d#e"], ["/a", "http://a b"]),
        ("anything-else", ["x", ""], []),
    ],
)  # fmt: skip
def test_formats(name: str, fit: list[str], unfit: list[str]) -> None:
    found = takes({"type": "string", "format": name}, *fit, *unfit)
    assert found == [True] * len(fit) + [False] * len(unfit)
