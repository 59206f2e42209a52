from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

from ergotext.errors import ErgotextError, InputError
from ergotext.lm.automata import Pieces, explored, grammar, json_schema, regex
from ergotext.lm.protocols import Automaton
from ergotext.lm.tokenizers.characters import CharacterTokenizer
from tests.lm.automata.worlds import LATIN, PAD, SEA, check_protocol, language, listed

letters = st.sampled_from(["a", "b", " ", "[ab]", ".", "[^a]", "海"])
patterns = st.recursive(
    letters,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda pair: f"({pair[0]}|{pair[1]})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{1,2}"])).map(
            lambda pair: f"({pair[0]}){pair[1]}"
        ),
    ),
    max_leaves=6,
)


@settings(max_examples=80, deadline=None)
@given(patterns, st.sampled_from([LATIN, SEA]))
def test_what_matches_is_accepted(pattern: str, pieces: Pieces) -> None:
    expected = listed(pieces, 3, lambda text: re.fullmatch(pattern, text) is not None)
    try:
        automaton = regex(pattern, pieces)
    except InputError:
        assert not expected
        return
    assert language(automaton, 3) == expected
    check_protocol(automaton, PAD, pieces.alphabet.size, most=2)


def test_ways_to_one_text_meet() -> None:
    automaton = regex("(a|b)*", LATIN)
    language(automaton, 4)
    assert len(automaton) <= 2**9 < len(listed(LATIN, 4, lambda text: " " not in text))


def accepts(automaton: Automaton, ids: list[int]) -> bool:
    states = automaton.start(1)
    for token in [*ids, automaton.end]:
        states = automaton.advance(states, np.array([token]))
    return bool(automaton.accepting(states)[0])


SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 8}, "age": {"type": "integer"}},
    "required": ["name"],
    "additionalProperties": False,
}


def test_a_schema_over_a_trained_tokenizer(tokenizer: PreTrainedTokenizerFast) -> None:
    pieces = Pieces.of(tokenizer, size=430)
    automaton = json_schema(SCHEMA, pieces)

    def fits(value: object, **how: Any) -> bool:
        text = json.dumps(value, ensure_ascii=False, **how)
        return accepts(automaton, tokenizer.encode(text, add_special_tokens=False))

    tight = {"separators": (",", ":")}
    assert fits({"name": "summer", "age": 12}, **tight) and fits({"name": "夏天"}, **tight)
    assert not fits({"name": "summer", "age": 12}, indent=1)
    assert not fits({"age": 12}, **tight) and not fits({"name": "summer rain"}, **tight)
    loose = json_schema(json.dumps(SCHEMA), pieces, whitespace=True)
    assert accepts(loose, tokenizer.encode('{ "name" : "a" }', add_special_tokens=False))


def test_special_tokens_are_never_text(tokenizer: PreTrainedTokenizerFast) -> None:
    pieces = Pieces.of(tokenizer, size=430)
    automaton = regex("(?s:.*)", pieces)
    allowed = automaton.candidates(automaton.start(1))[1]
    named = set(tokenizer.convert_tokens_to_ids(["<s>", "<mask>", "<unused0>"]))
    assert not named & set(allowed.tolist()) and (allowed < len(tokenizer)).all()
    # The name of a special token is text that others can write.
    assert accepts(automaton, [tokenizer.convert_tokens_to_ids(c) for c in "<s>"])


def test_our_own_tokenizer() -> None:
    pieces = Pieces.of(CharacterTokenizer("ab海"))
    tokenizer = CharacterTokenizer("ab海")
    automaton = regex("海é[ab]{2}", pieces)
    assert accepts(automaton, tokenizer.encode("海éab"))
    assert not accepts(automaton, tokenizer.encode("海éa"))


@pytest.mark.parametrize("pattern", ["(a", r"(a)\1", "a(?=b)", r"\bword", "*"])
def test_malformed_expressions(pattern: str) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        regex(pattern, LATIN)


@pytest.mark.parametrize("pattern", [r"[^\s\S]", "c", "ac", "a{2}c?c"])
def test_expressions_that_no_tokens_can_match(pattern: str) -> None:
    with pytest.raises(InputError, match="no text that this tokenizer can write"):
        regex(pattern, LATIN)


@pytest.mark.parametrize("schema", ["{bad", "[1]", '{"type": "nope"}', '{"minimum": "x"}'])
def test_malformed_schemas(schema: str) -> None:
    with pytest.raises(
        InputError, match=r"schema is not valid JSON|must be a JSON object|cannot handle"
    ):
        json_schema(schema, LATIN)


@pytest.mark.parametrize("pattern", ["a*+", "a?+", "a{2}+", "[ab]++", "a{1,}+b"])
def test_possessive_counts_mean_different_things_to_engines(pattern: str) -> None:
    with pytest.raises(InputError, match="has a possessive count"):
        regex(pattern, LATIN)


@pytest.mark.parametrize(
    "pattern", [r"\p{L}+", r"[a*+]+", r"(a*)+", r"(?:a{2})+", r"\x{61}+", r"[^]*+]+"]
)
def test_what_only_looks_like_a_possessive_count(pattern: str) -> None:
    assert accepts(regex(pattern, LATIN), [1, 1])


@pytest.mark.parametrize("pattern", ["\\", "a\\", "a\\\\\\"])
def test_a_lone_backslash_at_the_end(pattern: str) -> None:
    with pytest.raises(InputError, match="single backslash"):
        regex(pattern, LATIN)


@pytest.mark.parametrize("inner", ["a/b", r"a\/b", "a//b", "a\nb"])
def test_marks_of_a_grammar_in_an_expression(inner: str) -> None:
    with pytest.raises(InputError, match="no text that this tokenizer can write"):
        regex(inner, LATIN)
    assert accepts(regex(f"(?:{inner})?ab", LATIN), [5])


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("start: missing", 'line 1, character 8: unknown name: "missing"'),
        ('start: "a"\nstart: "b"', 'line 2, character 8: duplicate rule: "start"'),
        ("start: /(/", "unclosed group"),
        ("start", "Expected token"),
        ("", "no start rule found"),
    ],
)
def test_malformed_grammars(source: str, said: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match="cannot be read") as told:
        grammar(source, LATIN)
    message = str(told.value)
    assert said in message and "llguidance" not in message and " | " not in message
    assert "\n" not in message and capfd.readouterr().err == ""


@pytest.mark.parametrize("source", ["start: <|endoftext|>", 'start: "a" <b>', "start: <|a|> /x/"])
def test_special_tokens_in_a_grammar(source: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match="contains the special token <"):
        grammar(source, LATIN)
    assert capfd.readouterr().err == ""
    assert accepts(grammar('start: "a" // <|x|>\n', LATIN), [1])


def test_options_of_llguidance_are_our_own() -> None:
    for source in ('%llguidance {"no_forcing": false}\nstart: "a"', 'start: "a"\n%llguidance {}'):
        with pytest.raises(InputError, match="cannot set options"):
            grammar(source, LATIN)


def test_a_grammar_too_large_to_match_says_so() -> None:
    names = [f"r{i}" for i in range(2100)]
    rules = [f'{name}: "a" {name} "b" | " "' for name in names]
    with pytest.raises(ErgotextError, match="max is 2000"):
        grammar("\n".join([f"start: {' | '.join(names)}", *rules]), LATIN)


def test_emptiness_is_claimed_only_when_seen() -> None:
    def chain(length: int) -> explored.Explored[int]:
        """Accepts nothing, but only after so many tokens."""
        last = length if length >= 0 else 1 << 30
        return explored.Explored(
            4, 0, 0, lambda at, _: at + 1,
            lambda at: (np.arange(1, 2 if at < last else 1), False),
        )  # fmt: skip

    assert explored.surely_empty(chain(0)) and explored.surely_empty(chain(20))
    assert not explored.surely_empty(chain(-1))
