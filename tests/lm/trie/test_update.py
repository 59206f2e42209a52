from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ergotext.errors import InputError
from ergotext.lm.tokenizers.characters import CharacterTokenizer
from ergotext.lm.trie import TokenTrie, build
from ergotext.lm.trie.lines import key_text, subject_and_predicate
from ergotext.lm.trie.overlay import EditableTrie
from ergotext.lm.trie.update import add_lines, remove_lines
from tests.lm.trie.test_tree import SMALL, pairs

TOKENIZER = CharacterTokenizer("ab京")
words = st.text("ab京é", min_size=1, max_size=4)
rows = st.lists(st.tuples(words, st.sampled_from(["x", "y", "é", "京"])), max_size=25)


def held(trie: TokenTrie) -> dict[str, list[str]]:
    return {TOKENIZER.decode(key): trie.objects(key) for key in list(trie.keys())}


def written(folder: str, rows: list[tuple[str, str]]) -> Path:
    path = Path(folder) / "lines.tsv"
    path.write_text("".join(f"{k}\t{o}\n" for k, o in rows), encoding="utf-8")
    return path


@settings(max_examples=60, deadline=None)
@given(rows, rows, st.sampled_from([1, 1 << 20]))
def test_lines_change_a_trie_as_they_change_a_dict(
    old: list[tuple[str, str]], new: list[tuple[str, str]], run: int
) -> None:
    model: dict[str, list[str]] = {}
    for key, value in [*old, *new]:
        model.setdefault(key, []).append(value)
    with tempfile.TemporaryDirectory() as folder:
        trie, lines = add_lines(
            build(old, TOKENIZER), written(folder, new), columns=("key", "object"), run_bytes=run
        )
        assert held(trie) == model and (lines.read, lines.bad) == (len(new), 0)
        assert trie.tokenizer is TOKENIZER
        # Remove what was there first, and some lines that never were.
        gone = [*old, ("ab", "never"), ("never", "x")]
        fewer, lines = remove_lines(
            trie, written(folder, gone), columns=("key", "object"), run_bytes=run
        )
    for key, value in old:
        model[key] = [o for o in model[key] if o != value]
    assert held(fewer) == {key: objects for key, objects in model.items() if objects}
    assert (lines.read, lines.bad) == (len(gone), 2)
    assert "line" in lines.shown[0] and "no such" in lines.shown[1]


def test_keys_go_with_all_objects_where_no_object_is_named(tmp_path: Path) -> None:
    trie = build([("a", "x"), ("a", "y"), ("b", None), ("ab", "z")], TOKENIZER)
    path = tmp_path / "lines"
    path.write_text("a\nb\nab\nba\nab\n")
    fewer, lines = remove_lines(trie, path, columns=("key",))
    assert held(fewer) == {} and lines.shown == [f"{path}, line 4: no such key in the index"]
    with pytest.raises(InputError, match="line 4: no such key"):
        remove_lines(trie, path, columns=("key",), strict=True)
    path.write_text("b\tx\nab\tz\n")
    fewer, lines = remove_lines(trie, path, columns=("key", "object"))
    assert held(fewer) == {"a": ["x", "y"], "b": []} and lines.bad == 1


def test_a_trie_without_a_tokenizer(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no tokenizer to encode lines"):
        add_lines(build([((1,), None)], SMALL), tmp_path / "lines")


@pytest.mark.parametrize(
    ("subject", "key"),
    [("苹果（水果）", "苹果\t产地\t水果"), ("苹果", "苹果\t产地"), ("（x）", "（x）\t产地"),
     ("a（b（c）", "a\t产地\tb（c"), ("a（", "a（\t产地"), ("a（）", "a\t产地\t"),
     ("（x）（y）", "（x）（y）\t产地")],
)  # fmt: skip
def test_subjects_there_and_back(subject: str, key: str) -> None:
    assert key_text(subject, "产地") == key
    assert subject_and_predicate(key) == (subject, "产地")


def test_what_is_no_triple() -> None:
    assert subject_and_predicate("a") is None and subject_and_predicate("a\tb\tc\td") is None


@settings(max_examples=40, deadline=None)
@given(pairs, pairs)
def test_many_additions_are_as_one_by_one(old: list, new: list) -> None:
    one, many = EditableTrie(build(old, SMALL)), EditableTrie(build(old, SMALL))
    for key, value in new:
        one.add(key, *([] if value is None else [value]))
    many.add_many(new)
    assert list(one.keys()) == list(many.keys())
    assert all(one.objects(key) == many.objects(key) for key in one.keys())  # noqa: SIM118 - no dict
    with pytest.raises(InputError, match="item 2 is a key without"):
        many.add_many([((3, 3, 3, 3, 3, 3, 3, 3), None), ((), None)])
    assert len(many) == len(one)


def test_another_trie_but_for_some_keys() -> None:
    from ergotext.lm.trie.builder import TrieBuilder

    base = build([("a", "x"), ("b", "y"), ("ab", None)], TOKENIZER)
    gone = base.ordinal("b")
    with TrieBuilder(TOKENIZER) as builder:
        builder.add_trie(base, without=np.array([gone]))
        assert held(builder.finish()) == {"a": ["x"], "ab": []}
