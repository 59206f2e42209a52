from __future__ import annotations

import json
import math
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ergotext.lm.automata.schema.characters import matching
from ergotext.lm.automata.schema.patterns import PatternError, contents, longest

HARD = '"\\/\n\t\x00\x1f\x7fé海\u2028😀'

atoms = st.sampled_from(
    ["a", "b", '"', r"\\", r"\/", r"\n", ".", r"\d", r"\w", "[^a]", '[^"]', r"[\s\S]",
     '["b-d]', r"[^\\]", "海", r"é", r"\x61", "[]-]".replace("]-", r"\]-")]
)  # fmt: skip
inner = st.recursive(
    atoms,
    lambda below: st.one_of(
        st.tuples(below, below).map("".join),
        st.tuples(below, below).map(lambda pair: f"(?:{pair[0]}|{pair[1]})"),
        st.tuples(below, st.sampled_from(["*", "+", "?", "{2}", "{1,2}", "*?"])).map(
            lambda pair: f"({pair[0]}){pair[1]}"
        ),
    ),
    max_leaves=5,
)
patterns = st.tuples(st.sampled_from(["", "^"]), inner, st.sampled_from(["", "$"])).map("".join)


def matches(pattern: str, text: str) -> bool:
    written = json.dumps(text, ensure_ascii=False)[1:-1]
    return matching(f"start: T\nT: /{contents(pattern)}/", written.encode())


@settings(max_examples=250, deadline=None)
@given(patterns, st.text("ab1_ -]" + HARD, max_size=4))
@example('^[^"]*$', '"')
@example("^[^a]*$", "\\")
@example("$", "a")
@example("^$", "")
def test_a_pattern_means_the_text_and_reads_its_json(pattern: str, text: str) -> None:
    ours = pattern.removesuffix("$") + (r"\Z" if pattern.endswith("$") else "")
    theirs = ours.replace(".", r"[^\n\r\u2028\u2029]")  # what ECMAScript leaves out of the dot
    assert matches(pattern, text) == bool(re.search(theirs, text, re.ASCII))


@pytest.mark.parametrize(
    ("pattern", "fit", "unfit"),
    [
        ("(^a|b$)", ["ax", "xb"], ["xa", "bx"]),
        ("^a|b$", ["ax", "xb"], ["xa", "bx"]),
        ("^(?:x|)y?$", ["", "x", "y", "xy"], ["yx"]),
        ("(^a)?b", ["b", "ab", "xb"], ["a"]),
        (r"^\p{Lu}+$", ["É", "AB"], ["é", ""]),
        (r"^[^\p{L}]+$", ['"', "\\", "1", "\n"], ["a", "é"]),
        (r"^\d$", ["7"], ["٣"]),
        (r"^\s$", ["\u2029", "\ufeff", " "], ["\u200b"]),
        (r"^\u00e9\cJ\x09\0$", ["é\n\t\0"], ["é"]),
        (r"^\ud83d\ude00$", ["😀"], ["?"]),
        (r"^[\b]$", ["\b"], ["b"]),
        ("^.{2}$", ["😀海"], ["😀"]),
    ],
)
def test_what_ecmascript_says(pattern: str, fit: list[str], unfit: list[str]) -> None:
    assert all(matches(pattern, text) for text in fit)
    assert not any(matches(pattern, text) for text in unfit)


@pytest.mark.parametrize(
    "pattern",
    ["(a", "a)", "[a", "a(?=b)", "(?<!a)b", r"(a)\1", r"\bx", "*", "a**", "x^y", "(^a)*", r"\Z",
     r"\p{Foo}", "[b-a]", "a{3,2}", "(?i)a", "\\", r"\ud800", "^*",
     "a{3}{2}", "a{3}?{2}", "a*{2}", "(a+){2}{1,}", "{2}", "a|{2}"],
)  # fmt: skip
def test_what_cannot_be_followed(pattern: str) -> None:
    with pytest.raises(PatternError):
        contents(pattern)


@pytest.mark.parametrize(
    ("pattern", "most"),
    [
        ("", 0),
        ("^ab?$", 2),
        ("a|bcd|ef", 3),
        ("(ab|c){2,3}x", 7),
        (r"\.[+*]\p{L}", 3),
        ("a{2,}", math.inf),
        ("(a*b)?", math.inf),
        ("()*", 0),
        ("(a*){0}b", 1),
        (f"(a*){{{'9' * 400}}}", math.inf),  # more than any float
        (f"a{{{'9' * 400}}}b*", math.inf),
        (f"a{{{'9' * 5000}}}", math.inf),
        ("[a&&b](?=c)", math.inf),  # not understood
    ],
)
def test_the_longest_text(pattern: str, most: float) -> None:
    assert longest(pattern) == most
