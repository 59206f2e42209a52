from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from ergotext.errors import ErgotextError, InputError
from ergotext.lm.tokenizers.characters import Alphabet, CharacterTokenizer
from ergotext.lm.trie.builder import build
from ergotext.lm.trie.file import load, notes_of, save, state_of, verify
from ergotext.lm.trie.header import IndexFileError
from ergotext.lm.trie.lines import build_from_lines
from ergotext.lm.trie.overlay import EditableTrie
from ergotext.lm.trie.states import TrieStates
from ergotext.lm.trie.tree import TokenTrie
from ergotext.lm.trie.update import add_lines, remove_lines
from tests.lm.trie.test_tree import SMALL

NAMES = [f"{a}{b}{c}" for a in "北京大学生" for b in "的一是abc" for c in ("", "x", "年月日")]
TOKENIZER = CharacterTokenizer.of(NAMES)


@pytest.fixture(scope="module")
def trie() -> TokenTrie:
    return build([(name, f"{i}号") for i, name in enumerate(NAMES * 2)], TOKENIZER)


@pytest.fixture
def path(trie: TokenTrie, tmp_path: Path) -> Path:
    save(trie, tmp_path / "kb.ergo")
    return tmp_path / "kb.ergo"


def test_what_was_saved_is_loaded(trie: TokenTrie, path: Path) -> None:
    verify(path)
    again = load(path)
    assert again.tokenizer == TOKENIZER and again.alphabet == trie.alphabet
    assert list(again.keys()) == list(trie.keys())
    assert all(again.objects(name) == trie.objects(name) for name in NAMES)
    assert not again.token.flags.writeable


def test_it_is_a_safetensors_file(trie: TokenTrie, path: Path) -> None:
    with safe_open(path, framework="numpy") as file:
        assert file.metadata()["keys"] == str(len(trie))
        assert (file.get_tensor("tail") == trie.tail).all()


@pytest.mark.parametrize("keys", [[], [((7,), None)]])
def test_the_smallest_tries(keys: list[tuple[tuple[int, ...], None]], tmp_path: Path) -> None:
    save(build(keys, TOKENIZER.alphabet), tmp_path / "kb.ergo")
    verify(tmp_path / "kb.ergo")
    again = load(tmp_path / "kb.ergo")
    assert again.tokenizer is None and list(again.keys()) == [key for key, _ in keys]


def test_another_tokenizer(path: Path) -> None:
    assert load(path, TOKENIZER).tokenizer is TOKENIZER
    with pytest.raises(InputError, match="built with another tokenizer"):
        load(path, CharacterTokenizer("北"))


def lookups(trie: TrieStates) -> None:
    """Whatever a reader may ask; the answers do not matter here."""
    assert isinstance(trie, TokenTrie)
    states, seen = trie.start(2), []
    for _ in range(4):
        _, _, states = trie.candidates(states)
        seen.append(states)
    every = np.concatenate(seen)[:2000]
    trie.accepting(every), trie.rest(every), trie.span(every)
    assert len(list(trie.keys())) <= len(trie)
    for name in ("北的", "生c年月日", "生"):
        trie.get(name), trie.count(name), trie.objects(name), name in trie
    for ordinal in range(0, len(trie), 16):
        trie.values_at(ordinal)


def test_one_flipped_byte_is_found_and_harmless(path: Path) -> None:
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    header = 8 + int.from_bytes(whole[:8], "little")
    offsets = [*range(0, header, 7), *rng.integers(header, len(whole), 1000).tolist()]
    for offset in offsets:
        damaged = bytearray(whole)
        damaged[offset] ^= int(rng.integers(1, 256))
        path.write_bytes(damaged)
        with pytest.raises(IndexFileError):
            verify(path)
        try:
            trie = load(path)
        except IndexFileError:
            continue
        lookups(trie)


def test_truncated_longer_newer_empty_and_missing_files(path: Path) -> None:
    whole = path.read_bytes()
    for content, message in [
        (whole[:-1], "it was truncated or appended to"),
        (whole + b" ", "it was truncated or appended to"),
        (whole[:100], "not an index"),
        (b"", "is empty"),
        (b"subject\tpredicate\tobject\n", "not an index"),
        (whole.replace(b'"version": "1"', b'"version": "3"'), "version 3, but this ergotext reads"),
    ]:
        path.write_bytes(content)
        for reader in (load, verify):
            with pytest.raises(IndexFileError, match=message):
                reader(path)
    with pytest.raises(InputError, match="No such file"):
        load(path.parent / "none.ergo")
    with pytest.raises(InputError, match=r"no\\x00ne.*a NUL in its name"):
        load("no\0ne")


def test_a_full_disk_leaves_the_old_file(
    trie: TokenTrie, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ErgotextError, match="No space left"):
        save(build([], TOKENIZER), path)
    assert path.read_bytes() == before and list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("size", [70_000, 65_537, 65_536])
def test_large_vocabularies(size: int, tmp_path: Path) -> None:
    alphabet = Alphabet(size, 0, 1, "of a large model")
    pairs = [((t, 7, size - 1), str(t)) for t in range(2, size, 97)]
    pairs += [((size - 1,), "last"), ((size - 1, 2, size - 2), "behind it")]
    trie = build(pairs, alphabet)
    save(trie, tmp_path / "x")
    verify(tmp_path / "x")
    again = load(tmp_path / "x")
    assert again.alphabet == alphabet and list(again.keys()) == list(trie.keys())
    assert again.token.dtype == again.tail.dtype == (np.uint32 if size > 65_536 else np.uint16)
    assert again.get(()).tolist() == trie.get(()).tolist() and again.get(())[-1] == size - 1
    assert all(again.objects(key) == [value] for key, value in pairs)


def test_texts_as_paths(tmp_path: Path) -> None:
    lines, path = tmp_path / "lines", str(tmp_path / "x")
    lines.write_text("a\tb\tc\n")
    trie, _ = build_from_lines(str(lines))
    save(trie, path, {"a": "b"})
    verify(path)
    assert len(load(path)) == 1 and notes_of(path) == {"a": "b"}
    assert len(add_lines(trie, str(lines))[0]) == 1 and not len(remove_lines(trie, str(lines))[0])
    assert len(build([(1,)], SMALL, folder=str(tmp_path))) == 1


def test_notes_beyond_what_is_read_are_not_written(trie: TokenTrie, path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(InputError, match="shorten the notes"):
        save(trie, path, {"note": "x" * (1 << 20)})
    assert path.read_bytes() == before and list(path.parent.iterdir()) == [path]
    save(trie, path, {"note": "x" * ((1 << 20) - 4096)})
    assert len(load(path)) == len(trie)


def test_another_file_is_not_replaced(
    trie: TokenTrie, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that came while this one was written."""
    other = path.with_name("other")
    save(build([], TOKENIZER), other)
    monkeypatch.setattr(os, "fsync", lambda _: other.replace(path) if other.exists() else None)
    with pytest.raises(ErgotextError, match="changed by another process"):
        save(trie, path, replaces=state_of(path))
    assert len(load(path)) == 0 and list(path.parent.iterdir()) == [path]
    save(trie, path, replaces=state_of(path))
    assert len(load(path)) == len(trie) and state_of(other) is None


def test_damage_stops_compact_with_a_sentence(path: Path) -> None:
    whole = path.read_bytes()
    rng = np.random.default_rng(1)
    header = 8 + int.from_bytes(whole[:8], "little")
    refused = 0
    for offset in rng.integers(header, len(whole), 400).tolist():
        damaged = bytearray(whole)
        damaged[offset] ^= int(rng.integers(1, 256))
        path.write_bytes(damaged)
        try:
            EditableTrie(load(path)).compact()
        except ErgotextError:
            refused += 1
    assert refused
    damaged = bytearray(whole)
    damaged[whole.rindex(0xFF)] = ord("x")
    path.write_bytes(damaged)
    with pytest.raises(IndexFileError, match="verify it"):
        EditableTrie(load(path)).compact()


def test_notes_go_with_the_file(tmp_path: Path) -> None:
    trie = build([((1,), "a")], SMALL)
    save(trie, tmp_path / "x", {"columns": "键", "keys": "not ours"})
    assert notes_of(tmp_path / "x") == {"columns": "键", "keys": "not ours"}
    assert len(load(tmp_path / "x")) == 1
    save(trie, tmp_path / "x")
    assert notes_of(tmp_path / "x") == {}


def test_links_and_modes_are_kept(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.touch(mode=0o640)
    link.symlink_to(target)
    save(build([((1,), "a")], SMALL), link)
    assert link.is_symlink() and len(load(target)) == 1
    assert target.stat().st_mode & 0o777 == 0o640


def test_what_killed_processes_left_is_swept_away_after_a_day(tmp_path: Path) -> None:
    old, new = tmp_path / ".ergotext-1.part", tmp_path / ".ergotext-2.part"
    for left in (old, new):
        left.touch()
    os.utime(old, (0, 0))
    save(build([((1,), "a")], SMALL), tmp_path / "x")
    assert not old.exists() and new.exists()


def test_changes_are_merged_before_a_trie_is_saved(tmp_path: Path) -> None:
    trie = EditableTrie(build([((4,), None)], Alphabet(9, 0, 1)))
    trie.add((5,))
    with pytest.raises(InputError, match="merge them with compact"):
        save(trie, tmp_path / "kb.ergo")
    assert not list(tmp_path.iterdir())
    save(trie.compact(), tmp_path / "kb.ergo")
    assert list(load(tmp_path / "kb.ergo").keys()) == [(4,), (5,)]
