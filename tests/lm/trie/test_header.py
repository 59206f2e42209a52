"""Headers that anyone may have written, with checksums that hold: one sentence, and soon."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from ergotext.errors import ErgotextError
from ergotext.lm.tokenizers.characters import CharacterTokenizer
from ergotext.lm.trie.builder import build
from ergotext.lm.trie.file import load, notes_of, save, verify
from ergotext.lm.trie.header import IndexFileError
from ergotext.lm.trie.lines import build_from_lines
from ergotext.lm.trie.overlay import EditableTrie
from ergotext.tasks.index_summary import about
from ergotext.tasks.lookup import get
from ergotext.tasks.retrieval.retriever import Retriever
from tests.lm.trie.crafted import header_of, mutations, within, write
from tests.tasks.retrieval.table_reader import TableReader

LINES = """苹果（水果）\t产地\t山东
苹果\t颜色\t红
苹果\t颜色\t绿
香蕉\t产地\t海南
a\tb\tc
ab\tbc\tc
"""
READER = TableReader([LINES])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "lines").write_text(LINES, encoding="utf-8")
    trie, _ = build_from_lines(tmp_path / "lines")
    save(trie, tmp_path / "kb.ergo", {"columns": "subject,predicate,object"})
    return tmp_path / "kb.ergo"


def retrieve(path: Path) -> None:
    trie = load(path)
    reader = READER
    if trie.tokenizer is None:
        trie = load(path, reader.keys)
    retriever = Retriever(reader, trie, triples=True)
    for prefixes in (0, 1000):
        retriever.retrieve(["苹果的颜色", "ab bc", ""], k=2, beams=4, prefixes=prefixes)


def merged(path: Path) -> None:
    editable = EditableTrie(load(path))
    editable.add((5, 6), "new")
    editable.compact()


READERS: list[Callable[[Path], object]] = [
    load,
    verify,
    notes_of,
    about,
    lambda path: about(path).text(),
    lambda path: list(islice(get(path, "苹果").entries, 10)),
    lambda path: list(islice(get(path, "").entries, 10)),
    lambda path: get(path, "ab").text(3),
    retrieve,
    merged,
]


def check(path: Path, what: str) -> bool:
    """Whether the file is read; no reader hangs or raises anything but one of our errors."""
    said = []
    for reader in READERS:
        if said and reader not in (verify, notes_of):
            continue  # all others begin with ``load``, which has refused it
        with within(5.0, what):
            try:
                reader(path)
            except ErgotextError as error:
                said.append(str(error))
            except Exception as error:
                raise AssertionError(f"{what}: {error!r}") from error
    assert all("\n" not in one and len(one) < 600 for one in said), what
    return not said


def test_every_field_of_a_header(path: Path) -> None:
    whole = path.read_bytes()
    tried = read = 0
    for what, header in mutations(header_of(whole)):
        write(whole, path, header)
        tried += 1
        read += check(path, what)
    assert tried > 2000
    assert read < 0.1 * tried  # what says nothing else than the file does


def test_every_field_where_the_tokenizer_is_elsewhere(tmp_path: Path) -> None:
    """Nothing in such a file says how large its vocabulary must be."""
    path = tmp_path / "kb.ergo"
    reader = READER
    keys = [tuple(reader.keys.encode(line.replace("\t", ""))) for line in LINES.split("\n") if line]
    save(build([(key, "x") for key in keys], reader.keys.alphabet), path)
    whole = path.read_bytes()
    for what, header in mutations(header_of(whole)):
        if "__metadata__" in what:
            write(whole, path, header)
            check(path, what)


@pytest.mark.parametrize(
    ("name", "value"),
    [("longest", "1" + "0" * 17), ("keys", "1" + "0" * 17), ("vocabulary", "1" + "0" * 17)],
)
def test_numbers_beyond_the_file_are_refused_when_it_is_opened(
    path: Path, name: str, value: str
) -> None:
    whole = path.read_bytes()
    header = header_of(whole)
    header["__metadata__"][name] = value
    write(whole, path, header)
    for reader in (load, verify):
        with within(1.0, name), pytest.raises(IndexFileError, match=r"damaged|another tokenizer"):
            reader(path)


def test_circles_of_any_length_end(path: Path) -> None:
    """Edges that lead back to the root, sealed; the longest key as long as the file allows."""
    whole = bytearray(path.read_bytes())
    header = header_of(whole)
    trie = load(path)
    begin = 8 + int.from_bytes(whole[:8], "little") + header["target"]["data_offsets"][0]
    circle = np.zeros(len(trie.target), dtype=trie.target.dtype).tobytes()
    whole[begin : begin + len(circle)] = circle
    header["__metadata__"]["longest"] = str(trie.nodes + len(trie.tail))
    write(bytes(whole), path, header)
    check(path, "a circle")


def test_an_index_without_keys_is_read(tmp_path: Path) -> None:
    save(build([], CharacterTokenizer("ab")), tmp_path / "kb.ergo")
    verify(tmp_path / "kb.ergo")
    assert "0" in about(tmp_path / "kb.ergo").text()
