"""Values, texts and files that nobody should give a command, and some that are fine."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

ODD_TEXTS = [
    "", " ", "\t", "a\nb", "\x00", "\x07", "\ud800", "\udcff", "\u202edog", "\ufeff", "\u200d",
    "e\u0301",
    "ﬁ", "ñandú", "海滩", "각", "👍🏽", "___", "___{0}", "___{2}", "___{99999999}", "a ___ b",
    "___ ___", " ||| ", "<|im_end|>", "<mask>", "</s>", "<s>", "-", "--", "--debug", "%s",
    "{question}", "{", "..",
    "a" * 3000, "a b " * 300, "dog", "summer", "The dog ran.", "\\", '"', "\r", "\x1b[31m", "ſ",
    "İ",
]  # fmt: skip
fine = st.sampled_from(["dog", "The dog ran.", "a ___ b", "How many moons has Mars?"])
texts = st.one_of(fine, st.sampled_from(ODD_TEXTS), st.text(max_size=8))
words = st.one_of(st.sampled_from(["dog", "summer", "a"]), texts)

NUMBERS = [
    "-1", "0", "1", "2", "3", "", " 1", "1.5", "1e3", "-0", "+1", "nan", "inf", "-inf", "x", "１",
    "1_0",
    "0x1", "9" * 20, "1" + "0" * 400, "1e-320", "1e400", "\ud800", "true", "None",
]  # fmt: skip
"""Counts up to 3, and what is none."""
BIG = ["1000000", "2147483648", "9223372036854775808", "1" + "0" * 30]
good = st.sampled_from(["1", "2", "3"])
small = good | st.sampled_from(
    [number for number in NUMBERS if number[:1] != "9" and len(number) < 99]
)
"""For what a run is made of so many: that is no fault, but no test waits for it."""
numbers = good | st.sampled_from([*NUMBERS, *BIG])

PATHS = [
    "", ".", "..", "/", "/dev/null", "/no/such/file", "none", "loop", "folder", "folder/x",
    "file/x",
    "x" * 300, "\x00", "\ud800", "-", "~", "~nobody/x", "link", "../x/../..", "a\nb",
]  # fmt: skip
paths = st.sampled_from(PATHS)
MODELS = [
    "", " ", ".", "..", "/", "none/", "none", "a/b", "a/b/c", "\x00", "\ud800", "x.gguf",
    "bad.gguf",
    "tiny-causal", "tiny-masked", "tiny-retriever", "model", "empty", "~", "loop", "file", "-",
]  # fmt: skip
models = st.sampled_from(["tiny-causal", "tiny-masked", "tiny-retriever"]) | st.sampled_from(MODELS)
REGEXES = [
    "", "(", "[", "a{100000}", "(a*)*b", r"\p{L}+", "(?=a)", "^$", "[^\x00-\x7f]", ".*", r"\1",
    "a|",
    "(?P<x>a)", "[b-a]", "a{2,1}", "\ud800", "\x00", "(?i)dog", "[[:alpha:]]", "a&&b",
    "[ab]{1,3}", "\\",
    "(((((((((a)))))))))", "[a&&b]", "\\d{3}", "<|im_end|>", "(?x) a", "a{0}", "\\b", "$",
]  # fmt: skip
regexes = st.one_of(st.sampled_from(REGEXES), st.text("ab()[]{}|*+?.^$\\-,0123&", max_size=8))

GRAMMARS = [
    "", "start", "start:", 'start: "a"', "start: /[ab]+/", 'start: %index "kb.ergo"',
    "start: %index",
    'start: "is " %index "kb.ergo" "."', 'start: %index "none"', 'start: %index ""',
    'start: %index "',
    'start: K\nK: %index "kb.ergo"', 'start: (%index "kb.ergo")+', 'start: %index "/"', "\x00",
    'start: %index "\\u0000"', 'start: %index "memory:1"', "start: start", 'start: start "a" | ""',
    "start: <s>", "%llguidance {}", "start: %json {}", 'start: %index "g.lark"',
    "start: <[slot 0]>",
    'start: %index "\\ud800"', "start: " + "(" * 500,
]  # fmt: skip
grammars = st.one_of(st.sampled_from(GRAMMARS), texts)

ODD_JSON: list[Any] = [
    None, True, False, -1, 0, 1, 2.5, 10**23, 10**400, 1e308, "", "x", "\ud800", "\x00", [], {},
    [[]],
    [1, "a"], {"a": 1}, "1" * 50, ["dog", "summer"], [""], "string", "object", "(", -0.0,
]  # fmt: skip
values = st.recursive(
    st.sampled_from(ODD_JSON),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(texts | st.just("type"), inner, max_size=3)
    ),
    max_leaves=6,
)
KEYWORDS = [
    "type", "enum", "const", "properties", "required", "items", "minItems", "maxItems", "minLength",
    "maxLength", "pattern", "format", "minimum", "maximum", "exclusiveMinimum", "multipleOf",
    "allOf",
    "anyOf", "oneOf", "not", "$ref", "$defs", "additionalProperties", "patternProperties",
    "propertyNames", "minProperties", "maxProperties", "x-guidance", "if", "then", "prefixItems",
    "uniqueItems", "contains", "dependentRequired", "title", "$schema", "x-index",
]  # fmt: skip
DEEP = 2000
RAW_JSON = [
    "", "{", "[" * DEEP + "]" * DEEP, '{"a":' * DEEP + "1" + "}" * DEEP, "NaN", "Infinity", "1e999",
    '{"a": 1, "\\u0061": 2}', '"\\ud800"', "\ufeff{}", "[1,]", "{} {}", "null", "true", '["dog"]',
    "\x00",
    '["dog", "summer"]', '["dog", 3]', '[["dog"]]', '{"id": 1}', "1" * 5000,
]  # fmt: skip


def dumped(value: Any) -> str:
    try:
        return json.dumps(value)
    except ValueError:  # more digits than Python writes
        return "1"


schemas = st.one_of(
    st.dictionaries(st.sampled_from(KEYWORDS), values, max_size=4).map(dumped),
    values.map(dumped),
    st.sampled_from(RAW_JSON),
    st.sampled_from([
        '{"type": "integer"}', '{"enum": [1, "a", null]}', '{"type": "string", "maxLength": 3}',
        '{"type": "object", "properties": {"a": {"type": "boolean"}}, "required": ["a"]}',
        '{"type": "array", "items": {"const": 1}, "maxItems": 2}',
        '{"x-index": "kb.ergo"}', '{"x-index": "none"}', '{"x-index": "s.json"}', '{"x-index": ""}',
        '{"type": "array", "items": {"x-index": "kb.ergo"}, "maxItems": 2}',
        '{"x-index": "\\u0000"}',
        '{"minLength": 1000000, "type": "string"}', '{"$ref": "#"}', '{"const": ' + "9" * 23 + "}",
    ]),
)  # fmt: skip
json_lines = st.lists(
    st.one_of(
        st.sampled_from(RAW_JSON),
        values.map(dumped),
        st.fixed_dictionaries(
            {},
            optional={
                "id": values, "question": texts, "answer": values | st.just("a ||| b ||| c"),
                "text": texts, "score": values,
            },
        ).map(dumped),
        st.builds(
            lambda one, two: json.dumps({"id": one, "question": two,
            "answer": "Mars ||| moons ||| 2"}),
            st.integers(0, 3), texts,
        ),
    ),
    max_size=4,
).map("\n".join)  # fmt: skip
fields = st.sampled_from(
    ["", " ", "Mars", "moons", "2", "火星", " ||| ", "\x00", "\ufeff", "（x）", "a" * 2000]
)
tables = st.lists(st.lists(fields | texts, min_size=1, max_size=4).map("\t".join), max_size=4).map(
    "\n".join
)
"""Lines with tabs."""


@st.composite
def mutated(draw: st.DrawFn, whole: bytes) -> bytes:
    """A file that is cut short, or in which bytes are changed, moved or put in between."""
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(whole)) | st.integers(0, min(len(whole), 400)))
        some = draw(st.binary(max_size=8) | st.sampled_from([b"\xff" * 8, b"\0" * 8, b"[" * 3000]))
        how = draw(st.sampled_from(["cut", "over", "between", "out"]))
        if how == "cut":
            whole = whole[:at]
        elif how == "over":
            whole = whole[:at] + some + whole[at + len(some) :]
        elif how == "between":
            whole = whole[:at] + some + whole[at:]
        else:
            whole = whole[:at] + whole[at + len(some) :]
    return whole


@st.composite
def altered(draw: st.DrawFn, found: dict[str, Any]) -> dict[str, Any]:
    """The object of a configuration, some of whose values are others, or gone."""
    changed = dict(found)
    for name in draw(st.lists(st.sampled_from(sorted(found)), min_size=1, max_size=3)):
        value = draw(values | st.sampled_from([-1, 0, 1, 3, 10**9, "x", None]))
        if draw(st.booleans()):
            changed[name] = value
        else:
            changed.pop(name, None)
    return changed


def surrogates_pass(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def as_file(of: st.SearchStrategy[str]) -> st.SearchStrategy[bytes]:
    """The bytes of a text, with a mark before them, in another encoding, or none of a text."""
    return st.one_of(
        of.map(surrogates_pass),
        of.map(lambda text: b"\xef\xbb\xbf" + surrogates_pass(text)),
        of.map(lambda text: text.encode("utf-16", "surrogatepass")),
        st.binary(max_size=12),
    )


TOML = [
    "sampler", "n", "chains", "steps", "max_length", "max_seconds", "r_hat", "seed", "checkpoint",
    "every", "model", "device", "dtype", "threads", "context", "start", "versions", "result", "x",
]  # fmt: skip
literals = st.one_of(
    values.map(dumped),
    st.sampled_from(["nan", "1979-05-27", "'''a'''", "{a = 1}", "[[1]]", "0x1", "-inf", "1" * 30,
    "3"]),
)  # fmt: skip
ENERGY = ["fluency", "length", "keywords", "regex", "json_schema", "masked", "custom", "rhyme"]
settings = st.builds(
    lambda plain, energy, options: "\n".join(
        [
            *(f"{name} = {value}" for name, value in plain),
            *(["[energy]"] if energy else []),
            *(f"{name} = {value}" for name, value in energy),
            *(["[options]"] if options else []),
            *(f"{name} = {value}" for name, value in options),
        ]
    ),
    st.lists(st.tuples(st.sampled_from(TOML[6:]), literals), max_size=2),
    st.lists(st.tuples(st.sampled_from(ENERGY), literals), max_size=2),
    st.lists(
        st.tuples(st.sampled_from(["temperature", "hot", "moves", "schedule"]), literals),
        max_size=1,
    ),
) | st.sampled_from(
    ["[" * DEEP, "a = " + "[" * DEEP + "]" * DEEP, "energy = 1", "[energy", "a.b.c = 1"]
)
"""A configuration of ``sample``; how many chains and steps there are is said by the command."""
