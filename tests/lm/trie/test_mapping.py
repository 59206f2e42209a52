"""What a trie says as a dict would: of a plain trie, one with changes, and one from a file."""

from __future__ import annotations

import itertools
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings

from ergotext.errors import InputError
from ergotext.lm.tokenizers.characters import Alphabet, CharacterTokenizer
from ergotext.lm.trie import EditableTrie, build, load, save
from ergotext.lm.trie.tree import Keyed
from tests.lm.tokenizers.test_fast import KINDS, FastTokenizer
from tests.lm.trie.test_tree import END, PAD, SMALL, Model, model_of, ordered, pairs


def changed(rows: list[Any]) -> EditableTrie:
    """The same keys, half of them as changes, and some that came and went."""
    trie = EditableTrie(build([*rows[::2], ((5, 5, 5, 5), "gone"), ((5, 5, 5), "gone")], SMALL))
    trie.remove((5, 5, 5, 5))
    trie.remove((5, 5, 5))
    trie.add_many(rows[1::2])
    return trie


def of_changes(rows: list[Any]) -> Model:
    model = model_of([*rows[::2], *rows[1::2]])
    for gone in ((5, 5, 5, 5), (5, 5, 5)):
        if gone in model_of(rows[::2]) and gone not in model_of(rows[1::2]):
            del model[gone]
        elif gone in model:
            model[gone] = model_of(rows[1::2])[gone]
    return model


def check(trie: Keyed, model: Model) -> None:
    assert list(trie) == list(trie.keys()) == ordered(model) and len(trie) == len(model)
    assert list(trie.items()) == [(key, model[key]) for key in ordered(model)]
    assert list(trie.values()) == [model[key] for key in ordered(model)]
    for prefix in {key[:n] for key in model for n in range(len(key) + 1)} | {(), (7,)}:
        below = [key for key in ordered(model) if key[: len(prefix)] == prefix]
        assert list(trie.items(prefix)) == [(key, model[key]) for key in below]
        assert list(trie.values(np.array(prefix, dtype=int))) == [model[key] for key in below]
        longer = (*prefix, 3, 2)
        begins = [longer[:n] for n in range(1, len(longer) + 1) if longer[:n] in model]
        assert list(trie.prefixes(longer)) == begins
        assert trie.longest_prefix(longer) == (begins[-1] if begins else None)
        # The end token is no part of a key: nothing begins with it.
        for ended in ((*prefix, END), (*prefix, END, PAD)):
            assert trie.count(ended) == 0 and list(trie.keys(ended)) == []
            assert ended not in trie and trie.objects(ended) == []
            assert list(trie.prefixes(ended)) == list(trie.prefixes(prefix))


@settings(max_examples=40, deadline=None)
@given(pairs)
def test_it_is_a_dict(rows: list[Any]) -> None:
    plain = build(rows, SMALL)
    check(plain, model_of(rows))
    check(changed(rows), of_changes(rows))


def test_from_a_file_with_little_memory(tmp_path: Path) -> None:
    rows = [((k % 7 + 1, 9 + k), "x" * 50) for k in range(60_000) if k % 7 + 1 != END]
    save(build(rows, Alphabet(60_009, PAD, END)), tmp_path / "kb.ergo")
    trie = load(tmp_path / "kb.ergo")
    tracemalloc.start()
    for one in (trie, EditableTrie(trie)):
        first = list(itertools.islice(one.items(), 3))
        assert first == [((1, 9 + 7 * n), ["x" * 50]) for n in range(3)]
    assert sum(len(objects) for objects in trie.values((2,))) == trie.count((2,)) > 8000
    assert tracemalloc.get_traced_memory()[1] < 4 << 20  # all objects are more than 2.5 MB
    tracemalloc.stop()


def test_equal_tries() -> None:
    rows = [((1, 2), "a"), ((1,), None), ((1, 2), "b"), ((3,), "c")]
    trie, other = build(rows, SMALL), build(rows[::-1], SMALL, run_bytes=1)
    assert trie == build(rows, SMALL) and hash(trie) == hash(other)
    assert trie != other  # the objects of (1, 2) in another order
    edited = EditableTrie(other)
    edited.replace((1, 2), "a", "b")
    assert edited == trie and trie == edited and edited == EditableTrie(trie)
    assert edited.compact() == trie
    edited.add((5,))
    assert edited != trie and trie != build(rows, Alphabet(10, PAD, END))
    assert trie != [(1, 2)]


def test_a_subtree_goes_and_objects_are_replaced() -> None:
    trie = EditableTrie(build([((1, 2), "a"), ((1, 2, 3), "b"), ((1, 5), "c"), ((2,), "d")], SMALL))
    trie.add((1, 2, 8), "e")
    assert trie.remove_prefix((1, 2)) == 3
    assert list(trie.items()) == [((1, 5), ["c"]), ((2,), ["d"])]
    assert trie.walk((1, 2)) == -1 and trie.get((1,)).tolist() == [5]
    trie.replace((2,), "x", "y")
    trie.replace((1, 5))
    assert list(trie.items()) == [((1, 5), []), ((2,), ["x", "y"])]
    for wrong, message in [("\ud800", "lone surrogate"), (5, "is not a text")]:
        with pytest.raises(InputError, match=message):
            trie.replace((2,), "z", wrong)
    with pytest.raises(InputError, match="no key begins with"):
        trie.remove_prefix((8,))
    with pytest.raises(InputError, match=r"no key .* to replace the objects of"):
        trie.replace((8,), "a")
    assert trie.compact().objects((2,)) == ["x", "y"] and len(trie) == 2


HOLDERS: list[Callable[[list[int]], Any]] = [
    tuple, np.array, torch.tensor, lambda ids: np.array(ids, dtype=np.uint8),
    lambda ids: [np.int32(i) for i in ids], lambda ids: [torch.tensor(i) for i in ids],
]  # fmt: skip


@pytest.mark.parametrize("hold", HOLDERS)
def test_any_sequence_of_whole_numbers_is_a_key(hold: Callable[[list[int]], Any]) -> None:
    trie = EditableTrie(build([(hold([1, 2]), "a"), hold([3])], SMALL))
    trie.add(hold([6, 6]), "y")
    trie.add_many([hold([7]), (hold([1, 2]), "b")])
    assert list(trie) == [(1, 2), (3,), (6, 6), (7,)]
    for one in (trie, trie.compact()):
        assert hold([6, 6]) in one and hold([6]) not in one
        assert one.objects(hold([6, 6])) == ["y"] and one.objects(hold([1, 2])) == ["a", "b"]
        assert one.get(hold([6])).tolist() == [6] and one.count(hold([1])) == 1
        assert list(one.items(hold([6]))) == [((6, 6), ["y"])]
        assert one.longest_prefix(hold([6, 6, 1])) == (6, 6)
        assert one.walk(hold([6, 6])) == one.walk((6, 6)) >= 0
    trie.replace(hold([6, 6]), "z")
    trie.remove(hold([7]))
    assert trie.remove_prefix(hold([6])) == 1 and hold([6, 6]) not in trie
    assert list(trie) == [(1, 2), (3,)]


@pytest.mark.parametrize(
    "wrong",
    [
        [True, False], [1, True], [1.0], [1, 2.5], np.array([1.0]), np.array([True]),
        np.array([[1, 2]]), torch.tensor([1.0]), torch.tensor([True]), torch.tensor(1), b"ab", 5,
        [torch.tensor(1.5)], [torch.tensor(True)], [np.True_], {1, 2}, [[1]], ["a"], [1 << 70],
    ],
)  # fmt: skip
def test_what_is_no_key(wrong: Any) -> None:
    trie = build([((1, 2), "a")], SMALL)
    for one in (trie, EditableTrie(trie)):
        asks = (one.get, one.walk, one.count, one.objects, one.__contains__, one.longest_prefix)
        for ask in (*asks, lambda key, t=one: list(t.items(key))):
            with pytest.raises(
                InputError, match=r"is (not a token id|not a sequence|neither a key)"
            ):
                ask(wrong)
    edited = EditableTrie(trie)
    for change in (edited.add, edited.remove, edited.remove_prefix, edited.replace):
        with pytest.raises(InputError, match=r"is (not a token id|not a sequence|neither a key)"):
            change(wrong)
    with pytest.raises(InputError, match=r"is (not a token id|not a sequence|neither a key)"):
        build([wrong], SMALL)
    assert list(edited) == [(1, 2)]


@pytest.mark.parametrize("kind", [*KINDS, "characters"])
def test_texts(kind: str) -> None:
    """Whatever a tokenizer makes of "new", "news" begins with it."""
    titles = ["new", "news", "new york", "newton's", "北京", "北京大学", "n"]
    ours = CharacterTokenizer.of(titles) if kind == "characters" else FastTokenizer(KINDS[kind]())
    titles = [t for t in titles if ours.decode(ours.encode(t)) == t]
    trie = EditableTrie(build([(t, t) for t in titles[1:]], ours))
    trie.add(titles[0], titles[0])
    trie.add("news of", "gone")
    trie.remove("news of")
    for one in (trie, trie.compact()):
        for text in (*titles, "ne", "news of the day", "北", "x"):
            if ours.decode(ours.encode(text)) != text:
                continue
            below = sorted(t for t in titles if t.startswith(text))
            assert sorted(o for (o,) in one.values(text)) == below
            assert one.count(text) == len(below)
            assert list(one.keys(text)) == [k for k in one if ours.decode(k).startswith(text)]
            begin = sorted((t for t in titles if text.startswith(t)), key=len)
            assert [ours.decode(key) for key in one.prefixes(text)] == begin
            longest = one.longest_prefix(text)
            assert (None if longest is None else ours.decode(longest)) == (
                begin[-1] if begin else None
            )
