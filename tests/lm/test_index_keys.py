"""The texts of an index's keys, by the names that schemas and grammars give it."""

from __future__ import annotations

import gc
import json
from pathlib import Path
from typing import Annotated

import numpy as np
import pytest
from pydantic import BaseModel

import ergotext as et
from ergotext.errors import ErgotextError, InputError
from ergotext.lm import index_keys
from ergotext.lm.automata.slots.key_texts import KeyTexts
from ergotext.lm.automata.slots.piece_tree import PieceTree
from ergotext.lm.index_keys import key_of, keys_of
from ergotext.lm.tokenizers.fast import FastTokenizer

KEYS = ["Mona Lisa", "Mona", "Guernica", "海の幸", 'The "Scream"', "a\tb", "😀"]
WORDS = et.CharacterTokenizer("MonaLisGuerc ")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    et.save_trie(et.build_trie(KEYS, WORDS), tmp_path / "works.ergo")
    return tmp_path / "works.ergo"


def test_keys_of_a_file_are_read_once_and_again_when_it_changes(file: Path) -> None:
    found = keys_of(str(file))
    assert [*found] == sorted(key.encode() for key in KEYS) and keys_of(str(file)) is found
    et.save_trie(et.build_trie(["other"], WORDS), file)
    assert [*keys_of(str(file))] == [b"other"]


def test_keys_of_any_tokenizer(tokenizer) -> None:
    trie = et.build_trie(["the sun", "summer", "海"], FastTokenizer(tokenizer))
    assert [*keys_of(json.loads(json.dumps(key_of(trie))))] == [
        b"summer",
        b"the sun",
        "海".encode(),
    ]


def test_blocks_of_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_keys, "AT_ONCE", 2)
    trie = et.build_trie(KEYS, WORDS)
    assert [*keys_of(json.loads(json.dumps(key_of(trie))))] == sorted(key.encode() for key in KEYS)


def test_a_trie_in_memory_is_known_while_it_is_in_use() -> None:
    trie = et.build_trie(KEYS, WORDS)
    name = json.loads(json.dumps({"x-index": key_of(trie)}))["x-index"]
    assert f"start: {key_of(trie)}" == f"start: {key_of(trie)!s}" == f'start: %index "{name}"'
    assert b"Mona" in keys_of(name) and keys_of(name) is keys_of(name)
    del trie
    gc.collect()
    with pytest.raises(InputError, match="no longer in use: keep it in a variable"):
        keys_of(name)


class Work(BaseModel):
    title: Annotated[str, key_of("works.ergo")]
    year: int


def test_a_type_names_an_index() -> None:
    title = Work.model_json_schema()["properties"]["title"]
    assert title["x-index"] == "works.ergo" and title["type"] == "string"
    assert Work(title="Mona", year=1).title == "Mona"


def test_what_is_no_index(tmp_path: Path) -> None:
    for given, said in (
        (et.build_trie([(1, 2)], et.Alphabet(5, 0, 4)), "the trie has no tokenizer"),
        (3, "3 is neither the file of an index nor a trie"),
    ):
        with pytest.raises(InputError, match=said):
            key_of(given)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"cannot read the index none\.ergo"):
        keys_of("none.ergo")
    (tmp_path / "text").write_text("start", encoding="utf-8")
    with pytest.raises(ErgotextError, match="text"):
        keys_of(str(tmp_path / "text"))
    et.save_trie(et.build_trie([(1, 2)], et.Alphabet(5, 0, 4)), tmp_path / "ids.ergo")
    with pytest.raises(InputError, match="does not contain its tokenizer"):
        keys_of(str(tmp_path / "ids.ergo"))
    et.save_trie(et.build_trie([], WORDS), tmp_path / "empty.ergo")
    with pytest.raises(InputError, match="has no keys"):
        keys_of(str(tmp_path / "empty.ergo"))
    with pytest.raises(InputError, match="a key of the index x has no text"):
        KeyTexts([b"", b"a"], "x")


def test_texts_are_quoted_as_json_writes_them() -> None:
    texts = KeyTexts([key.encode() for key in KEYS], "works")
    wanted = sorted(json.dumps(key, ensure_ascii=False).encode() for key in KEYS)
    assert [*texts.quoted] == wanted and b'The "Scream"' in texts
    assert b"Mon" not in texts and b"Monaco" not in texts and 3 not in texts


def test_ranges_and_strings_against_each_text() -> None:
    """Places and what strings do from them, by comparing texts one by one."""
    random = np.random.default_rng(0)
    texts = KeyTexts({bytes(random.integers(97, 100, random.integers(1, 9))) for _ in range(400)},
                     "x")  # fmt: skip
    tree = PieceTree({bytes(random.integers(97, 100, random.integers(1, 6))) for _ in range(60)})
    for prefix in {b"", *(text[:cut] for text in texts for cut in range(4))}:
        place = texts.after(texts.root, prefix)
        assert place is not None
        below = [text for text in texts if text.startswith(prefix)]
        assert [texts.text(n) for n in range(place.low, place.high)] == below
        assert texts.whole(place) == (prefix in below)
        assert len(texts.text(texts.shortest(place))) == min(map(len, below))
        reached, rests = tree.reached(texts, place), [text[len(prefix) :] for text in below]
        inside = {n for n, s in enumerate(tree.strings) if any(r.startswith(s) for r in rests)}
        assert sorted(reached.inside.tolist()) == sorted(inside)
        beyond = {(n, len(rest)) for n, s in enumerate(tree.strings) for rest in rests
                  if rest and s.startswith(rest) and s != rest}  # fmt: skip
        spans = zip(
            reached.low.tolist(), reached.high.tolist(), reached.depth.tolist(), strict=True
        )
        assert {(n, depth) for low, high, depth in spans for n in range(low, high)} == beyond
    assert texts.after(texts.root, b"z") is None
