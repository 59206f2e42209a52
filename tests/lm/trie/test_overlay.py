from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ergotext.errors import InputError
from ergotext.lm.protocols import Automaton
from ergotext.lm.trie.builder import build
from ergotext.lm.trie.file import load, save
from ergotext.lm.trie.overlay import EditableTrie
from tests.lm.trie.test_tree import END, PAD, SMALL, Model, allowed, keys, model_of, ordered, pairs

changes = st.lists(
    st.one_of(
        st.tuples(st.just("add"), keys, st.lists(st.sampled_from(["", "a", "京"]), max_size=2)),
        st.tuples(st.just("remove"), st.integers(0, 50)),
        st.tuples(st.just("add again"), st.integers(0, 50)),
        st.tuples(st.just("compact")),
        st.tuples(st.just("reload")),
    ),
    max_size=12,
)


def change(trie: EditableTrie, model: Model, step: tuple) -> EditableTrie:
    if step[0] == "add":
        trie.add(step[1], *step[2])
        model.setdefault(step[1], []).extend(step[2])
    elif step[0] == "compact":
        assert list(trie.compact(run_bytes=100).keys()) == ordered(model)
    elif step[0] == "reload":
        with tempfile.TemporaryDirectory() as folder:
            save(trie.compact(), Path(folder) / "kb.ergo")
            return EditableTrie(load(Path(folder) / "kb.ergo"))
    elif model:
        key = ordered(model)[step[1] % len(model)]
        if step[0] == "remove":
            trie.remove(key)
            del model[key]
        else:
            trie.add(key, "again")
            model[key].append("again")
    return trie


def check(trie: EditableTrie, model: Model) -> None:
    assert len(trie) == len(model)
    assert list(trie.keys()) == ordered(model)
    prefixes = sorted({key[:n] for key in model for n in range(len(key) + 1)} | {()})
    for prefix in prefixes:
        assert trie.get(prefix).tolist() == allowed(model, prefix)
        assert list(trie.keys(prefix)) == [
            key for key in ordered(model) if key[: len(prefix)] == prefix
        ]
        assert trie.count(prefix) == sum(key[: len(prefix)] == prefix for key in model)
        assert (prefix in trie) == (prefix in model)
        assert trie.objects(prefix) == model.get(prefix, [])
        assert trie.walk((*prefix, 7)) == -1 and (*prefix, 7) not in trie
    states = np.array([trie.walk(p) for p in prefixes] + [-1])
    assert states[0] == trie.start(1)[0]
    row, token, following = trie.candidates(states)
    for i, prefix in enumerate(prefixes):
        assert token[row == i].tolist() == allowed(model, prefix)
    assert (trie.advance(states[row], token) == following).all()
    assert trie.accepting(states).tolist() == [p in model for p in prefixes] + [False]
    sink = trie.candidates(following[token == END])
    assert sink[1].tolist() == [PAD] * len(sink[0]) and trie.accepting(sink[2]).all()


@settings(max_examples=80, deadline=None)
@given(pairs, changes)
def test_changes_do_what_they_do_to_a_dict(rows: list, steps: list) -> None:
    trie, model = EditableTrie(build(rows, SMALL)), model_of(rows)
    for step in steps:
        trie = change(trie, model, step)
        assert list(trie.keys()) == ordered(model)
    check(trie, model)


def test_it_is_an_automaton_and_names_what_cannot_be() -> None:
    trie = EditableTrie(build([((1,), None)], SMALL))
    assert isinstance(trie, Automaton)
    with pytest.raises(InputError, match="no key \\(2,\\) to remove"):
        trie.remove((2,))
    for key in [(), (PAD,), (1, END), (99,)]:
        with pytest.raises(InputError, match="item 1 is a key"):
            trie.add(key)
    assert list(trie.keys()) == [(1,)]


def test_an_object_that_is_no_text() -> None:
    trie = EditableTrie(build([((1,), "a")], SMALL))
    for wrong, message in [
        ("\ud800", "lone surrogate"),
        (5, "not a token id"),
        (b"x", "not a token id"),
    ]:
        with pytest.raises(InputError, match=message):
            trie.add((2,), "b", wrong)
        assert list(trie.keys()) == [(1,)] and trie.get(()).tolist() == [1]


def test_no_way_leads_through_removed_keys() -> None:
    """Whether a row walks or advances token by token; the keys beside them stay."""
    trie = EditableTrie(build([(1, 2, 3), (1, 2, 5), (1, 8), (2,)], SMALL))
    trie.remove((1, 2, 3))
    trie.remove((1, 2, 5))
    for prefix in [(1, 2), (1, 2, 3), (1, 2, 5), (1, 2, 3, END)]:
        state = trie.start(1)
        for token in prefix:
            state = trie.advance(state, np.array([token]))
        assert trie.walk(prefix) == state[0] == -1
        assert trie.get(prefix).tolist() == [] == list(trie.keys(prefix))
        assert prefix not in trie and trie.count(prefix) == 0
    assert trie.get((1,)).tolist() == [8] and trie.walk((1, 8)) > 0
    trie.add((1, 2, 5), "back")
    assert trie.get((1, 2)).tolist() == [5] and trie.walk((1, 2, 3)) == -1


def test_plain_keys() -> None:
    trie = EditableTrie(build([((1,), "a")], SMALL))
    trie.add_many([[2, 3], (2, 5), ((1,), "b")])
    assert list(trie.keys()) == [(1,), (2, 3), (2, 5)] and trie.objects((1,)) == ["a", "b"]


def test_keys_of_500_tokens() -> None:
    rng = np.random.default_rng(0)
    long = [tuple(rng.integers(5, 9, 500).tolist()) for _ in range(6)]
    rows = [(key, str(i)) for i, key in enumerate([*long[:3], long[0][:499], long[1][:7]])]
    trie, model = EditableTrie(build(rows, SMALL)), model_of(rows)
    steps = [
        *(("add", key, [f"new {i}"]) for i, key in enumerate([*long[2:], long[4][:499]])),
        ("add", (*long[0][:400], 1), []),
        ("add", (*long[0], 1), ["longer"]),
    ]
    for step in steps:
        change(trie, model, step)
    trie.remove(long[1])
    del model[long[1]]
    for _ in range(2):
        assert list(trie.keys()) == ordered(model) and len(trie) == len(model)
        assert all(trie.objects(key) == values for key, values in model.items())
        for key in (*long, (*long[0], 1)):
            for n in (0, 6, 7, 399, 400, 498, 499, 500):
                assert trie.get(key[:n]).tolist() == allowed(model, key[:n])
        assert trie.compact(run_bytes=3000).longest == 502
