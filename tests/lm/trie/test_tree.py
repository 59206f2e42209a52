from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ergotext.errors import ErgotextError, InputError
from ergotext.lm.protocols import Automaton
from ergotext.lm.tokenizers.characters import Alphabet, CharacterTokenizer
from ergotext.lm.trie.builder import TrieBuilder, build
from ergotext.lm.trie.external_sort import Runs
from ergotext.lm.trie.sort import KeyRows
from ergotext.lm.trie.states import DEAD
from ergotext.lm.trie.tree import TokenTrie

PAD, END = 0, 4
SMALL = Alphabet(9, PAD, END)
"""The end token lies in the middle: some tokens sort before it, some behind."""

Model = dict[tuple[int, ...], list[str]]
keys = st.lists(st.sampled_from([1, 2, 3, 5, 8]), min_size=1, max_size=7).map(tuple)
pairs = st.lists(
    st.tuples(keys, st.one_of(st.none(), st.text("aé\x00京", max_size=3))), max_size=60
)


def model_of(rows: list[tuple[tuple[int, ...], str | None]]) -> Model:
    model: Model = {}
    for key, value in rows:
        model.setdefault(key, []).extend([] if value is None else [value])
    return model


def ordered(model: Model) -> list[tuple[int, ...]]:
    return sorted(model, key=lambda key: (*key, END))


def allowed(model: Model, prefix: tuple[int, ...]) -> list[int]:
    n = len(prefix)
    return sorted({(*key, END)[n] for key in model if key[:n] == prefix})


def check(trie: TokenTrie, model: Model) -> None:
    """Everything that a trie says, against a dict of its keys."""
    assert len(trie) == len(model)
    assert list(trie.keys()) == ordered(model)
    prefixes = sorted({key[:n] for key in model for n in range(len(key) + 1)} | {()})
    for prefix in prefixes:
        assert trie.get(prefix).tolist() == allowed(model, prefix)
        below = [key for key in ordered(model) if key[: len(prefix)] == prefix]
        assert trie.count(prefix) == len(below)
        assert list(trie.keys(prefix)) == below
        assert (prefix in trie) == (prefix in model)
        assert trie.objects(prefix) == model.get(prefix, [])
        for wrong in set(range(SMALL.size)) - set(allowed(model, prefix)) - {END}:
            missing = (*prefix, wrong)
            assert trie.walk(missing) == DEAD and missing not in trie
            assert not len(trie.get(missing)) and not trie.count(missing)
    check_steps(trie, model, prefixes)


def check_steps(trie: TokenTrie, model: Model, prefixes: list[tuple[int, ...]]) -> None:
    """``candidates``, ``accepting``, ``advance`` and ``rest``, all rows at once."""
    states = np.array([trie.walk(p) for p in prefixes] + [DEAD])
    row, token, following = trie.candidates(states)
    assert (np.diff(row) >= 0).all()
    for i, prefix in enumerate(prefixes):
        assert token[row == i].tolist() == allowed(model, prefix)
    assert token[row == len(prefixes)].tolist() == [PAD]
    assert (trie.advance(states[row], token) == following).all()
    assert trie.accepting(states).tolist() == [p in model for p in prefixes] + [False]
    done = following[token == END]
    assert trie.accepting(done).all()
    sink = trie.candidates(done)
    assert sink[1].tolist() == [PAD] * len(done) and (sink[2] == done).all()
    finished = [prefixes[i] for i in row[token == END]]
    assert [trie.values_at(int(o)) for o in trie.ordinals(done)] == [model[k] for k in finished]
    ids, offsets = trie.rest(states)
    for i, prefix in enumerate(prefixes):
        rest = ids[offsets[i] : offsets[i + 1]].tolist()
        if states[i] >= trie.nodes:
            assert [(*prefix, *rest[:-1])] == list(trie.keys(prefix)) and rest[-1] == END
        else:
            assert rest == []


def built(rows: list[tuple[tuple[int, ...], str | None]], run: int, batch: int) -> TokenTrie:
    """``run`` bytes, that is one batch or more, make a run on disk."""
    with TrieBuilder(SMALL, run_bytes=run) as builder:
        for at in range(0, len(rows), batch):
            builder.add_pairs(rows[at : at + batch])
        return builder.finish()


@settings(max_examples=60, deadline=None)
@given(pairs, st.sampled_from([1, 200, 1 << 20]), st.sampled_from([1, 5, 100]))
def test_a_trie_is_a_dict_of_its_keys(
    rows: list[tuple[tuple[int, ...], str | None]], run: int, batch: int
) -> None:
    check(built(rows, run, batch), model_of(rows))


def test_it_is_an_automaton() -> None:
    assert isinstance(build([((1,), None)], SMALL), Automaton)


def test_wide_node_and_many_states_at_once() -> None:
    alphabet = Alphabet(70_000, PAD, END)
    tokens = [t for t in range(1, 70_000) if t != END]
    trie = build((((t, 7, 8 + t % 3), str(t)) for t in tokens), alphabet)
    assert trie.token.dtype == np.uint32
    assert trie.get(()).tolist() == tokens
    row, token, following = trie.candidates(trie.start(3))
    assert (token.reshape(3, -1) == tokens).all() and (np.bincount(row) == len(tokens)).all()
    assert (
        trie.advance(trie.start(len(tokens)), np.array(tokens)) == following[: len(tokens)]
    ).all()
    assert trie.objects((69_999, 7, 8)) == ["69999"]
    low, high = trie.span(following[: len(tokens)])
    assert low.tolist() == list(range(len(tokens))) and (high == low + 1).all()


def test_keys_of_length_1_and_500_and_blocks_of_many_keys() -> None:
    rng = np.random.default_rng(0)
    long = [tuple(rng.integers(5, 9, 500).tolist()) for _ in range(5)]
    rows = [*long, *(key[:400] for key in long), (5,), long[0][:499]]
    rows += [tuple(rng.integers(5, 9, rng.integers(1, 9)).tolist()) for _ in range(3000)]
    pairs = [(key, str(i)) for i, key in enumerate(rows)]
    trie, model = built(pairs, 20_000, 100), model_of(pairs)
    assert list(trie.keys()) == ordered(model)
    assert all(trie.objects(key) == values for key, values in model.items())
    assert trie.longest == 501
    assert all(trie.count(key[:1]) == sum(k[0] == key[0] for k in model) for key in rows[:9])


def test_texts_need_a_tokenizer() -> None:
    tokenizer = CharacterTokenizer.of(["北京大学"])
    trie = build([("北京", "a"), ("北京大学", "b"), ("北京", "c"), ("é", None)], tokenizer)
    assert trie.objects("北京") == ["a", "c"] and "北" not in trie and "é" in trie
    assert {tokenizer.decode(k) for k in trie.keys("北京")} == {"北京", "北京大学"}
    with pytest.raises(InputError, match="give a tokenizer"):
        build([("a", None)], SMALL)
    with pytest.raises(InputError, match="either texts or ids"):
        build([("a", None), ((1,), None)], tokenizer)
    with pytest.raises(InputError, match="no tokenizer to encode 'a'"):
        build([((1,), None)], SMALL).get("a")


def test_plain_keys_and_pairs_are_told_apart() -> None:
    tokenizer = CharacterTokenizer("ab")
    trie = build(["ab", ("a", None), ("ab", "b"), "b"], tokenizer)
    assert {tokenizer.decode(k) for k in trie.keys("")} == {"a", "ab", "b"}
    assert trie.objects("ab") == ["b"] and trie.objects("a") == []
    rows = [
        [1, 2, 3],
        (1,),
        (1, 2),
        ((1, 2), "x"),
        ([5], None),
        np.array([8, 8]),
        (np.array([2]), "y"),
    ]
    assert sorted(build(rows, SMALL).keys()) == [(1,), (1, 2), (1, 2, 3), (2,), (5,), (8, 8)]
    assert build(rows, SMALL).objects((1, 2)) == ["x"] and build(rows, SMALL).objects((2,)) == ["y"]
    assert build(iter(["ab"]), tokenizer).count() == 1


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ("ab", "expected several keys"),
        ([(1,), 2], "item 2, 2, is neither a key"),
        ([None], "item 1, None, is neither a key"),
        ([(1, None)], "None is not a token id"),
        ([((1, 2), 5)], r"\(1, 2\) is not a token id"),
        ([["1", "2"]], "'1' is not a token id"),
        ([(1, "2")], "'2' is not a token id"),
        ([(1.5, 2)], "1.5 is not a token id"),
        ([((1, 2), (3, 5))], r"\(1, 2\) is not a token id"),
        ([(1 << 70,)], "is not a token id"),
        ([((1,), "\ud800")], "lone surrogate"),
    ],
)
def test_what_is_neither_a_key_nor_a_pair(items, message) -> None:
    with pytest.raises(InputError, match=message):
        build(items, SMALL)


@pytest.mark.parametrize("key", [(1, PAD), (END,), (9,), (-1,)])
def test_ids_that_no_key_may_hold(key: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="item 2 is a key with token"):
        build([((1,), None), (key, None)], SMALL)


def test_a_key_without_tokens() -> None:
    with pytest.raises(InputError, match="item 1 is a key without tokens"):
        build([((), None)], SMALL)


def test_an_empty_trie_is_a_dead_end() -> None:
    trie = build([], SMALL)
    check(trie, {})
    assert all(len(part) == 0 for part in trie.candidates(trie.start(2)))


def test_no_room_for_temporary_files(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(runs: Runs, rows: KeyRows) -> None:
        raise OSError("100 requested and 7 written")

    monkeypatch.setattr(Runs, "add", full)
    with pytest.raises(ErgotextError, match=r"writing temporary files .* 7 written"):
        build([((1, 2), "a")], SMALL, run_bytes=1)


def test_temporary_files_go_away(tmp_path: Path) -> None:
    build([((1, 2), "a")] * 9, SMALL, run_bytes=1, folder=tmp_path)
    with pytest.raises(InputError):
        build([((1, 2), "a"), ((), None)], SMALL, run_bytes=1, folder=tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_large_call_leaves_nothing_behind() -> None:
    trie = build([((key,), None) for key in range(2, 3000)], Alphabet(3000, 0, 1))
    for count, kept in ((4, 1), (2000, 0)):
        row, token, _ = trie.candidates(trie.start(count))
        assert len(row) == len(token) == count * 2998 and len(trie._root_rows) == kept
