"""Any key of an index inside a schema or grammar, against every spelling of every text."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

from ergotext.errors import InputError
from ergotext.lm.automata import grammar, json_schema
from ergotext.lm.automata.slots import filled, key_texts, piece_tree, strings
from ergotext.lm.automata.slots import grammar as grammar_module
from ergotext.lm.automata.slots.recent import Recent
from ergotext.lm.protocols import Ending
from tests.faulty import load_with_fault
from tests.lm.automata.slots.worlds import (
    PAD,
    PIECES,
    SLOTS,
    WORLDS,
    WRITTEN,
    keys,
    spellings,
)
from tests.lm.automata.worlds import check_protocol, language

MODULES = (filled, grammar_module, piece_tree, strings, key_texts)


def check_language(name: str) -> None:
    world = WORLDS[name]
    automaton, rows = world.made(), spellings(world.texts, world.most)
    assert language(automaton, world.most) == rows
    for row in {row[:cut] for row in rows for cut in range((world.look or world.most - 1) + 1)}:
        state = automaton.start(1)
        for token in row:
            state = automaton.advance(state, np.array([token]))
        tokens = set(automaton.candidates(state)[1].tolist()) - {automaton.end}
        assert tokens == world.following(row), row


@pytest.mark.parametrize("name", WORLDS)
def test_every_spelling_of_every_text_and_nothing_else(name: str) -> None:
    check_language(name)
    assert spellings(WORLDS[name].texts, WORLDS[name].most)


@pytest.mark.parametrize("name", WORLDS)
def test_the_protocol(name: str) -> None:
    check_protocol(WORLDS[name].made(), PAD, PIECES.alphabet.size)


@pytest.mark.parametrize("name", WORLDS)
def test_how_far_it_is_to_an_end(name: str) -> None:
    """No bound is above what a sequence takes, and from everywhere an ending is known."""
    world = WORLDS[name]
    automaton = world.made()
    assert isinstance(automaton, Ending)
    for row in sorted(spellings(world.texts, world.most))[::7]:
        state = automaton.start(1)
        for cut in range(len(row) + 1):
            assert int(automaton.least(state)[0]) <= len(row) - cut
            ending = automaton.ending(int(state[0]))
            assert ending is not None, (row, cut)
            end = state
            for token in (*ending, automaton.end):
                end = automaton.advance(end, np.array([token]))
            assert automaton.accepting(end)[0] and end[0] >= 0
            if cut < len(row):
                state = automaton.advance(state, np.array([row[cut]]))


def test_a_bound_knows_the_rest_of_a_key_and_what_must_follow_it() -> None:
    automaton = grammar(f'start: {SLOTS["long"]} ",a"', PIECES, keys=keys)
    begun = automaton.advance(automaton.start(1), np.array([WRITTEN.index(b"b")]))
    going = automaton.advance(begun, np.array([WRITTEN.index(b"ab")]))
    for _ in range(2):  # before and after the state was looked at
        assert automaton.least(going).tolist() == [2]  # "ab", and ",a"
        automaton.candidates(going)


@pytest.mark.parametrize("again", [copy.copy, lambda one: pickle.loads(pickle.dumps(one))])
def test_they_can_be_copied_and_pickled(again) -> None:
    world = WORLDS["a list"]
    assert language(again(world.made()), 4) == spellings(world.texts, 4)


def test_names_come_once_where_values_are_keys() -> None:
    """Names of one object are compared by their text, and keys may repeat one."""
    schema = {"type": "object", "additionalProperties": {"x-index": "one"}, "maxProperties": 2}
    written = [b"", b"", b"a", b"b", b'"', b":", b",", b"{", b"}", b'":"', b'","']
    pieces = type(PIECES)(type(PIECES.alphabet)(len(written), 0, 1), written)
    automaton = json_schema(schema, pieces, keys=keys)

    def takes(text: str) -> bool:
        state = automaton.start(1)
        for byte in text.encode():
            state = automaton.advance(state, np.array([written.index(bytes([byte]))]))
        return bool(automaton.accepting(state)[0] and state[0] >= 0)

    assert takes('{"a":"a","b":"a"}') and takes('{"":"a"}') and takes("{}")
    assert not takes('{"a":"a","a":"a"}') and not takes('{"a":"b"}')


SMALL = ("a list", "an index or another or values", "one after another", "any number",
         "after free text", "after a comma", "an index that says what follows")  # fmt: skip
FAULTS = {
    "a key that begins another cannot end": (
        "grammar", "                if texts.whole(place):", "                if False:"
    ),
    "a key that begins another cannot go on": (
        "grammar", "place.high - place.low > texts.whole(place)", "not texts.whole(place)"
    ),
    "no token goes past a key": (
        "grammar", "found[row.beyond[self._strings(way.then)[row.left]]] = True", "pass"
    ),
    "a token that goes past a key may write anything": (
        "grammar", "row.beyond[self._strings(way.then)[row.left]]", "row.beyond"
    ),
    "no token begins before a key": (
        "grammar",
        "allowed[strings.entering[at[stays[strings.left[at]]]]] = True", "pass",
    ),
    "what begins before a key may be any": (
        "grammar", "strings.entering[at[stays[strings.left[at]]]]", "strings.entering[at]"
    ),
    "a token in two slots is passed over": (
        "grammar", "any(self._read(way, strings.tree.strings[number]))", "False"
    ),
    "one way of two is followed": (
        "grammar", "for way in ways for end in self._read(way, text)",
        "for way in [*ways][:1] for end in self._read(way, text)",
    ),
    "slots are taken for one another": (
        "grammar", "then = Outside(way.path + bytes([MARK + slot]), after)",
        "then = Outside(way.path + bytes([MARK]), after)",
    ),
    "what is left after a slot is cut off by one": (
        "strings", "self.tree.strings[number][cut:]", "self.tree.strings[number][cut - 1 :]"
    ),
    "keys part a byte later": ("piece_tree", "parts <= depth)", "parts < depth)"),
    "the last key of a range is left out": (
        "key_texts", "KeyRange(low, place.high, place.depth), byte + 1",
        "KeyRange(low, place.high, place.depth), byte",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_the_checks_see(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, old, new = FAULTS[fault]
    where = f"lm.automata.slots.{name}"
    faulty = load_with_fault(where, (old, new))
    for module in MODULES:
        for key, value in vars(module).copy().items():
            if getattr(value, "__module__", None) == f"ergotext.{where}":
                monkeypatch.setattr(module, key, getattr(faulty, key))
    if name == "key_texts":
        monkeypatch.setattr("tests.lm.automata.slots.worlds.KeyTexts", faulty.KeyTexts)
    strings.strings_of.cache_clear()
    monkeypatch.setattr(grammar_module, "strings_of", strings.strings_of.__wrapped__)
    with pytest.raises((AssertionError, KeyError, InputError)):
        _ = [check_language(world) for world in SMALL]


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"x-index": 3}, "3 is not the file of an index"),
        ({"x-index": ""}, "is not the file of an index"),
        ({"x-index": "k", "minLength": 2}, "under no other condition"),
        ({"allOf": [{"x-index": "k"}, {"x-index": "m"}]}, "under no other condition"),
        ({"type": "string", "not": {"x-index": "k"}}, "keeps to its opposite"),
        ({"type": "object", "propertyNames": {"x-index": "k"}}, "under no other condition"),
    ],
)  # fmt: skip
def test_schemas_that_cannot_be_followed(schema: object, said: str) -> None:
    with pytest.raises(InputError, match=said) as told:
        json_schema(schema, PIECES, keys=keys)
    assert "x-index" in str(told.value)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("start: %index", 'names an index as %index "people.ergo"'),
        ("start: %index k", 'names an index as %index "people.ergo"'),
        ('start: KEY\nKEY: %index "k"', "give KEY a name in lower case"),
        ('start: KEY\nKEY.2: "x: "\n  | %index "k"', "give KEY a name in lower case"),
        ('start: %json {"type": "string", "x-index" : "k"}', "give the index to a rule, as %index"),
        ('start: "a" %index "k" <s>', "contains the special token <s>"),
        ('start: %index "k" missing', "unknown name"),
        (" ".join(["start:", *(f'%index "{n}"' for n in range(11))]), "11 indexes .* more than 10"),
    ],
)
def test_grammars_that_cannot_be_read(source: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        grammar(source, PIECES, keys=lambda _: keys("k"))


def test_what_only_looks_like_a_slot() -> None:
    pieces = type(PIECES)(PIECES.alphabet, [b"", b"", b"a", b"%index"])
    plain = grammar('start: "a" // %index "k"\n | "%index" ', pieces)
    assert language(plain, 1) == {(2,), (3,)}
    plain = grammar('start: "a" // "x-index": 1\n | %json {"const": "x-index"}', pieces)
    assert language(plain, 1) == {(2,)}
    after = grammar('start: A\nA: "a"\nb: %index "k"', pieces, keys=lambda _: keys("k"))
    assert language(after, 1) == {(2,)}


def test_indexes_that_nobody_reads() -> None:
    schema, source = {"x-index": "k"}, f"start: {SLOTS['k']}"
    for make in (lambda: json_schema(schema, PIECES), lambda: grammar(source, PIECES)):
        with pytest.raises(InputError, match="not known what the keys of the index 'k' are"):
            make()


def test_a_huge_key_is_one_like_others() -> None:
    """Of 60,000 bytes, beside another that begins alike: masks, bounds and endings of it."""
    huge = [b"ab" * 30_000, b"ab" * 30_000 + b"b", b"b"]
    automaton = grammar('start: %index "k"', PIECES, keys=lambda _: key_texts.KeyTexts(huge, "k"))
    state = automaton.advance(automaton.start(1), np.array([WRITTEN.index(b"ab")]))
    assert automaton.candidates(state)[1].tolist() == [2, 15]
    assert 10_000 < int(automaton.least(automaton.candidates(state)[2])[0]) <= 30_000
    ending = automaton.ending(int(state[0]))
    assert ending is not None and PIECES.joined(ending) == huge[0][2:]


def test_keys_that_the_tokens_cannot_write() -> None:
    with pytest.raises(InputError, match="no text that this tokenizer can write"):
        grammar('start: %index "k"', PIECES, keys=lambda _: key_texts.KeyTexts([b"xyz"], "k"))


def test_what_is_kept_is_bounded() -> None:
    recent = Recent[str, int](10)
    for number, name in enumerate("abcd"):
        recent.keep(name, number, 4)
        recent.get("a")
    assert [recent.get(name) for name in "abcd"] == [0, None, None, 3] and len(recent) == 2
    recent.keep("a", 9, 40)
    assert recent.get("a") == 9 and len(recent) == 1
