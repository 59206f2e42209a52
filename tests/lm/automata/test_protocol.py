"""Every automaton keeps the protocol, accepts what it should, and drives a search."""

from __future__ import annotations

import copy
import pickle
import re
from collections.abc import Callable

import numpy as np
import pytest

from ergotext.lm.automata import (
    KeywordCoverage,
    Pieces,
    Substrings,
    TextSpans,
    completions,
    grammar,
    intersection,
    json_schema,
    regex,
    union,
)
from ergotext.lm.automaton_base import AutomatonBase
from ergotext.lm.protocols import Automaton, Ending
from ergotext.lm.tokenizers.characters import CharacterTokenizer
from ergotext.lm.trie import EditableTrie, build
from ergotext.samplers.search.beam import beam
from ergotext.support.arrays import Ints
from ergotext.support.words import holds_words
from ergotext.testing import check_automaton
from tests.lm.automata.worlds import (
    END,
    LATIN,
    PAD,
    SEA,
    Row,
    TableDecoding,
    check_protocol,
    language,
    listed,
)

DIGITS = Pieces(SEA.alphabet, [b"", b"1", b"2", b'"', b"", b"null", b"nu", b"ll", b" "])
MOST = 3
KEYS = {(1,), (1, 2), (5, 1, 9), (8, 8, 8), (7,)}
PASSAGE = (1, 2, 1, 2, 5, 1)
RUNS = {PASSAGE[i:j] for i in range(6) for j in range(i + 1, 7) if j - i <= MOST}


def trie() -> Automaton:
    return build([(key, None) for key in sorted(KEYS)], LATIN.alphabet)


def changed() -> Automaton:
    tree = EditableTrie(build([((1,), None), ((2, 2), None)], LATIN.alphabet))
    for key in sorted(KEYS - {(1,)}):
        tree.add(key)
    tree.remove((2, 2))
    return tree


def matching(pattern: str, pieces: Pieces) -> set[Row]:
    return listed(pieces, MOST, lambda text: re.fullmatch(pattern, text) is not None)


WORLDS: dict[str, tuple[Callable[[], Automaton], Callable[[], set[Row]], Pieces]] = {
    "trie": (trie, lambda: KEYS, LATIN),
    "changed trie": (changed, lambda: KEYS, LATIN),
    "regex": (lambda: regex("(a|ba)+ ?a?", LATIN), lambda: matching("(a|ba)+ ?a?", LATIN), LATIN),
    "regex over parts of characters": (
        lambda: regex("(海|a)+", SEA), lambda: matching("(海|a)+", SEA), SEA
    ),
    "schema": (
        lambda: json_schema({"enum": [1, None]}, DIGITS),
        lambda: {(1,), (5,), (6, 7)},
        DIGITS,
    ),
    "grammar": (
        lambda: grammar('start: "a" start "b" | " "', LATIN),
        lambda: {row for n in range(4) for row in matching("a" * n + " " + "b" * n, LATIN)},
        LATIN,
    ),
    "keywords": (
        lambda: KeywordCoverage(["a", "ba"], LATIN),
        lambda: listed(LATIN, MOST, lambda text: holds_words(text, ["a", "ba"])),
        LATIN,
    ),
    "keywords in any order, over parts of characters": (
        lambda: KeywordCoverage(["a", "海"], SEA, any_order=True),
        lambda: listed(SEA, MOST, lambda text: holds_words(text, ["a", "海"], any_order=True)),
        SEA,
    ),
    "substrings": (lambda: Substrings(PASSAGE, LATIN.alphabet), lambda: RUNS, LATIN),
    "spans": (
        lambda: TextSpans("abba a", LATIN),
        lambda: listed(LATIN, MOST, lambda text: bool(text) and text in "abba a"),
        LATIN,
    ),
    "spans behind a space, over parts of characters": (
        lambda: TextSpans("海a海", SEA, after_space=True),
        lambda: listed(SEA, MOST, lambda t: t[:1] == " " and len(t) > 1 and t[1:] in "海a海"),
        SEA,
    ),
    "union": (
        lambda: union(trie(), Substrings(PASSAGE, LATIN.alphabet)), lambda: KEYS | RUNS, LATIN
    ),
    "intersection": (
        lambda: intersection(regex("[ab]*", LATIN), KeywordCoverage(["ab"], LATIN)),
        lambda: matching("ab", LATIN),
        LATIN,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WORLDS)
def test_the_protocol(name: str) -> None:
    make, _, pieces = WORLDS[name]
    check_protocol(make(), PAD, pieces.alphabet.size)


@pytest.mark.parametrize("name", WORLDS)
def test_what_follows_from_candidates_is_what_it_says(name: str) -> None:
    """The defaults, on the candidates of every automaton, against its own."""
    make, _, pieces = WORLDS[name]
    automaton, size = make(), pieces.alphabet.size

    class Plain(AutomatonBase):
        end = automaton.end
        start = automaton.start

        def candidates(self, states: Ints) -> tuple[Ints, Ints, Ints]:
            return automaton.candidates(states)

    plain, states = Plain(), np.append(automaton.start(2), -1)
    check_automaton(plain, size)
    for _ in range(MOST + 1):
        every = np.tile(np.arange(size), len(states))
        many = np.repeat(states, size)
        assert np.array_equal(plain.advance(many, every), automaton.advance(many, every))
        assert np.array_equal(plain.mask(states, size), automaton.mask(states, size))
        assert np.array_equal(plain.accepting(states), automaton.accepting(states))
        assert (plain.least(states) <= automaton.least(states)).all()
        states = np.append(np.unique(automaton.candidates(states)[2])[-20:], -1)


def test_classes_are_as_few_as_positions() -> None:
    """Tokens that lead alike are one class, though every token has a state of its own."""
    automaton = regex("(a|b|ab)+ ?a", LATIN)
    classes = automaton.classes(automaton.start(1))
    tokens = automaton.candidates(automaton.start(1))[1]
    assert sorted(classes.tokens.tolist()) == tokens.tolist()
    assert 1 < len(classes.row) < len(tokens)


def test_classes_of_a_trie_that_changes_are_new() -> None:
    tree = EditableTrie(build([((1,), None), ((2, 2), None)], LATIN.alphabet))
    assert tree.classes(tree.start(1)).tokens.tolist() == [1, 2]
    tree.add((5, 1))
    assert tree.classes(tree.start(1)).tokens.tolist() == [1, 2, 5]


def test_classes_are_kept_by_state_and_dropped_when_many(monkeypatch: pytest.MonkeyPatch) -> None:
    automaton, asked = trie(), []
    found = type(automaton).candidates
    monkeypatch.setattr(
        type(automaton), "candidates", lambda a, s: asked.extend(s.tolist()) or found(a, s)
    )
    for _ in range(3):
        automaton.classes(automaton.start(4))
    assert asked == automaton.start(1).tolist()
    assert not copy.deepcopy(automaton)._classes_kept and automaton._classes_kept
    monkeypatch.setattr("ergotext.lm.automaton_base.MOST_KEPT", 0)
    after = automaton.candidates(automaton.start(1))[2]
    automaton.classes(after)
    assert set(automaton._classes_kept) == set(after.tolist()), "what is asked for is there"


@pytest.mark.parametrize("name", WORLDS)
def test_the_language(name: str) -> None:
    make, expected, _ = WORLDS[name]
    assert language(make(), MOST) == expected()
    assert expected()


EXACT = ("trie", "substrings", "spans", "keywords")


@pytest.mark.parametrize("name", WORLDS)
def test_how_far_it_is_to_an_end(name: str) -> None:
    """Never more than the shortest way takes, by listing; that itself where nothing is opaque."""
    automaton = WORLDS[name][0]()
    rows = language(automaton, MOST + 1)
    shortest: dict[Row, int] = {}
    for row in rows:
        for cut in range(len(row) + 1):
            shortest[row[:cut]] = min(len(row) - cut, shortest.get(row[:cut], len(row)))
    for row, rest in shortest.items():
        for look_first in (False, True):
            state = automaton.start(1)
            for token in row:
                if look_first:  # what was not looked behind yet has a bound as well
                    automaton.candidates(state)
                state = automaton.advance(state, np.array([token]))
            least = int(automaton.least(state)[0])
            assert least <= rest
            assert least == rest or not name.startswith(EXACT) or len(row) + rest > MOST
            if isinstance(automaton, Ending) and (ending := automaton.ending(int(state[0]))):
                assert accepted(automaton, state, ending)
    assert automaton.least(np.array([-1])).tolist() == [0]


def accepted(automaton: Automaton, state: Ints, tokens: Row) -> bool:
    for token in (*tokens, automaton.end):
        state = automaton.advance(state, np.array([token]))
    return bool(automaton.accepting(state)[0])


@pytest.mark.parametrize("name", ["regex", "schema", "grammar", "intersection of grammars"])
def test_endings_are_found(name: str) -> None:
    if name == "intersection of grammars":
        automaton = intersection(regex("[ab]*b", LATIN), regex("[ab ]+", LATIN))
    else:
        automaton = WORLDS[name][0]()
    assert isinstance(automaton, Ending)
    ending = automaton.ending(int(automaton.start(1)[0]))
    assert ending is not None and accepted(automaton, automaton.start(1), ending)


def test_an_ending_is_found_behind_a_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many bytes that may follow one another for ever, only one leads on."""
    tokenizer = CharacterTokenizer("abcdefghijklmnopqrstuvwxyz ,.)")
    for expression, most in ((r"[a-z ,]+\.", 2), (r"b[a-z ,]*,\)\.", 4)):
        automaton = regex(expression, Pieces.of(tokenizer))
        ending = automaton.ending(1)
        assert ending is not None and len(ending) <= most, expression
        assert accepted(automaton, automaton.start(1), ending)
    monkeypatch.setattr(completions, "PATIENCE", 1 << 20)
    assert regex(r"[a-z ,]+\.", Pieces.of(tokenizer)).ending(1) is None


def test_an_ending_shrinks_as_the_text_grows() -> None:
    """Whatever letters a text takes in place of those of the ending, it needs fewer of them."""
    tokenizer = CharacterTokenizer("abc:")
    automaton = regex("[abc]{3,}:[abc]*", Pieces.of(tokenizer))
    for text in ("cbcc", "abab", "bca:c"):
        state = automaton.start(1)
        for place, token in enumerate(tokenizer.encode(text)):
            ending = automaton.ending(int(state[0]))
            assert ending is not None and len(ending) == max(4 - place, ":" not in text[:place])
            state = automaton.advance(state, np.array([token]))


def test_an_ending_names_nothing_twice() -> None:
    tokenizer = CharacterTokenizer('ab0":{},')
    schema = {"minProperties": 2, "type": "object", "additionalProperties": {"type": "integer"}}
    automaton = json_schema(schema, Pieces.of(tokenizer))
    assert isinstance(automaton, Ending)
    for begun in ("", '{"a":0', '{"":0,"b'):
        state = automaton.start(1)
        for token in tokenizer.encode(begun):
            state = automaton.advance(state, np.array([token]))
        ending = automaton.ending(int(state[0]))
        assert ending is not None and accepted(automaton, state, ending), begun


@pytest.mark.parametrize("name", WORLDS)
@pytest.mark.parametrize("again", [copy.copy, lambda one: pickle.loads(pickle.dumps(one))])
def test_they_can_be_copied_and_pickled(name: str, again: Callable[[Automaton], Automaton]) -> None:
    make, expected, _ = WORLDS[name]
    used = make()
    language(used, 1)
    assert language(again(used), MOST) == expected()


@pytest.mark.parametrize("name", WORLDS)
def test_a_search_finds_the_language_in_order(name: str) -> None:
    make, expected, pieces = WORLDS[name]
    decoding = TableDecoding.of(pieces.alphabet.size, [1, 2])
    found = beam(decoding, make(), k=1000, max_length=MOST + 1)
    for number, result in enumerate(found):
        scores = {row: decoding.log_prob(number, row, END) for row in expected()}
        assert {h.tokens for h in result.hypotheses} == set(scores)
        ranked = [h.log_prob for h in result.hypotheses]
        assert ranked == pytest.approx(sorted(scores.values(), reverse=True))
