"""Random schemas beside another project's validator, which has nothing in common with ours."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ergotext.errors import InputError
from ergotext.lm.automata.grammars import json_schema
from ergotext.lm.protocols import Automaton
from tests.lm.automata.schema.bytewise import BYTES, accepts

VALUES: list[Any] = [
    None, True, False, 0, 1, 2, -1, 0.5, 1.5, "", "a", "b", "ab", '"', [], [1], ["a"], [1, 2],
    [1, 1], [True], {}, {"a": 1}, {"a": "a"}, {"b": 2}, {"a": 1, "b": 1}, {"ab": 1, "c": 0},
    {"a": {"a": 1}}, {"a": [1]}, [[1]], [{"a": 1}],
]  # fmt: skip
names = st.sampled_from(["a", "b", "ab", "c"])
values = st.sampled_from(VALUES)
few = st.integers(0, 3)
numbers = st.sampled_from([0, 1, 2, -1, 0.5, 1.5])
kinds = st.sampled_from(["integer", "number", "string", "array", "object", "null", "boolean"])
leaf = st.one_of(
    st.sampled_from([True, False, {}]),
    st.fixed_dictionaries({"type": kinds}),
    st.fixed_dictionaries({"const": values}),
)


def keywords(below: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Schemas of a few keywords over others."""
    lists = st.lists(below, min_size=1, max_size=3)
    optional = {
        "type": st.one_of(kinds, st.lists(kinds, min_size=1, max_size=3, unique=True)),
        "enum": st.lists(values, min_size=1, max_size=4),
        **dict.fromkeys(["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"], numbers),
        "multipleOf": st.sampled_from([1, 2, 3, 0.5, 4]),
        **dict.fromkeys(["minLength", "maxLength", "minItems", "maxItems"], few),
        **dict.fromkeys(["minProperties", "maxProperties"], few),
        "pattern": st.sampled_from(["a", "^a$", "^[ab]*$", "b$", "^.{1,2}$", '^[^"]*$']),
        "properties": st.dictionaries(names, below, min_size=1, max_size=3),
        "required": st.lists(names, min_size=1, max_size=2, unique=True),
        "additionalProperties": below,
        "patternProperties": st.dictionaries(st.sampled_from(["^a", "b"]), below, max_size=2),
        "propertyNames": st.sampled_from([{"pattern": "^a"}, {"enum": ["a", "b"]}]),
        "items": below, "contains": below, "not": below, "if": below, "then": below, "else": below,
        **dict.fromkeys(["prefixItems", "allOf", "anyOf", "oneOf"], lists),
        "minContains": few, "maxContains": few, "uniqueItems": st.booleans(),
        "dependentRequired": st.dictionaries(names, st.lists(names, max_size=1), max_size=1),
        "unevaluatedProperties": st.just(False),
    }  # fmt: skip
    some = st.lists(st.sampled_from(sorted(optional)), min_size=1, max_size=4, unique=True)
    return some.flatmap(lambda names: st.fixed_dictionaries({n: optional[n] for n in names}))


schemas = st.recursive(leaf, keywords, max_leaves=8)


def orders(value: Any) -> list[str]:
    """The texts of a value, the members of its objects in every order."""
    if isinstance(value, list):
        texts = ["["]
        for k, one in enumerate(value):
            texts = [f"{t}{',' if k else ''}{o}" for t in texts for o in orders(one)]
        return [f"{text}]" for text in texts]
    if isinstance(value, dict) and value:
        found = []
        for name in value:
            rest = {other: below for other, below in value.items() if other != name}
            for one in orders(value[name]):
                for tail in orders(rest):
                    found.append(f"{{{json.dumps(name)}:{one}{',' if rest else ''}{tail[1:]}")
        return found
    return [json.dumps(value)]


def built(schema: Any) -> tuple[Automaton | None, str]:
    """The automaton of a schema, or why there is none."""
    try:
        return json_schema(json.dumps(schema), BYTES), ""
    except InputError as error:
        return None, str(error)


def some_text(automaton: Automaton, seed: int) -> bytes | None:
    """A text that an automaton takes, come by at random."""
    random, state, text = np.random.default_rng(seed), automaton.start(1), b""
    while len(text) < 40:
        _, tokens, after = automaton.candidates(state)
        if not len(tokens) or (automaton.end in tokens and random.random() < 0.5):
            return text if len(tokens) else None
        likely = np.flatnonzero(np.isin(tokens, list(b'0123."ab{}[]:,ntruefals')))
        likely = likely if len(likely) else np.flatnonzero(tokens != automaton.end)
        if not len(likely):
            return text
        at = random.choice(likely)
        text += bytes([tokens[at]])
        state = after[at : at + 1]
    return None


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(schemas)
def test_schemas_mean_what_they_mean_elsewhere(schema: Any) -> None:
    theirs = jsonschema.Draft202012Validator(schema)
    automaton, refused = built(schema)
    if automaton is None:
        assert "no value satisfies" in refused or "cannot handle" in refused, refused
        assert "no value satisfies" not in refused or not any(map(theirs.is_valid, VALUES))
        return
    for value in VALUES:
        ours = any(accepts(automaton, text) for text in orders(value))
        assert ours == theirs.is_valid(value), value
    for seed in range(4):
        text = some_text(automaton, seed)
        assert text is None or theirs.is_valid(json.loads(text)), text


@pytest.mark.parametrize("order", [{"a": 1, "b": [{"c": 1, "d": 2}]}])
def test_all_orders(order: Any) -> None:
    assert len(set(orders(order))) == 4
