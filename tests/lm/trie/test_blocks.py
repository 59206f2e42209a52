"""Lines of .csv files: quotes, commas, and what no line of an index can hold."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ergotext.errors import InputError
from ergotext.lm.trie import blocks as blocks_module
from ergotext.lm.trie import build_from_lines
from ergotext.lm.trie.lines import Lines
from ergotext.lm.trie.tree import TokenTrie
from tests.faulty import load_with_fault

TEXT = st.text(
    st.characters(exclude_characters="\n\r\t\x1a", exclude_categories=("Cs",)), min_size=1
)


def built(
    folder: Path, text: bytes, *columns: str, strict: bool = False
) -> tuple[TokenTrie, Lines]:
    path = folder / "kb.csv"
    path.write_bytes(text)
    names = columns or ("subject", "predicate", "object")
    return build_from_lines(path, columns=names, strict=strict)


def entries(trie: TokenTrie) -> list[tuple[str, list[str]]]:
    assert trie.tokenizer is not None
    return [(trie.tokenizer.decode(key), objects) for key, objects in trie.items()]


QUOTED = b'Paris,"known, for","the ""Iron Lady"""\r\nRome,capital of,Italy\n"a","b",c'


def quotes_are_read(folder: Path) -> None:
    trie, lines = built(folder, b"\xef\xbb\xbf" + QUOTED)
    assert sorted(entries(trie)) == [
        ("Paris\tknown, for", ['the "Iron Lady"']), ("Rome\tcapital of", ["Italy"]),
        ("a\tb", ["c"]),
    ]  # fmt: skip
    assert (lines.read, lines.bad) == (3, 0)


def line_numbers_hold(folder: Path) -> None:
    """After a record of several lines, and in another block."""
    text = b'a,b,c\nd,"e\nf\n",g\nh,i\nj,"k\tl",m\n\xff,n,o\np,q,r\n'
    trie, lines = built(folder, text)
    assert sorted(entries(trie)) == [("a\tb", ["c"]), ("p\tq", ["r"])]
    assert (lines.read, lines.bad) == (8, 6)
    said = [one.split("kb.csv, ")[1] for one in lines.shown]
    assert said[0].startswith("line 2: a quoted field holds a line break, which no line of an")
    assert said[1:3] == ["line 3: belongs to line 2", "line 4: belongs to line 2"]
    assert said[3] == "line 5: 2 fields where 3 are expected"
    assert said[4].startswith("line 6: a quoted field holds a tab")


def all_hold(folder: Path) -> None:
    quotes_are_read(folder)
    line_numbers_hold(folder)
    refused_lines_are_left_out(folder)


@pytest.mark.parametrize("records", [1, 2, 1 << 16])
@pytest.mark.parametrize("check", [quotes_are_read, line_numbers_hold])
def test_csv(check, records: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks_module, "_RECORDS", records)
    check(tmp_path)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=5))
def test_what_the_csv_module_writes_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]
) -> None:
    folder = tmp_path_factory.mktemp("csv")
    with (folder / "own.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    trie, lines = built(folder, (folder / "own.csv").read_bytes(), "key", "object")
    wanted: dict[str, list[str]] = {}
    for key, value in rows:
        wanted.setdefault(key, []).append(value)
    assert dict(entries(trie)) == wanted and not lines.bad


def test_other_files_keep_their_quotes(tmp_path: Path) -> None:
    path = tmp_path / "kb.tsv"
    path.write_text('"Heroes"\talbum by\t"Bowie"\n', encoding="utf-8")
    trie, _ = build_from_lines(path)
    assert entries(trie) == [('"Heroes"\talbum by', ['"Bowie"'])]


def refused_lines_are_left_out(folder: Path) -> None:
    # The quoted field has its 131,072 characters, the most that the module takes, in two lines.
    quoted = b'a,b,"' + b"c" * 100_000 + b"\n" + b"c" * 40_000 + b"\n"
    for text, count in ((b"a,b\rc,d\n", 1), (b"a,b," + b"c" * 140_000 + b"\n", 1), (quoted, 2)):
        trie, lines = built(folder, b"x,y,z\n" + text + b"u,v,w\n")
        assert entries(trie) == [("u\tv", ["w"]), ("x\ty", ["z"])]
        assert (lines.read, lines.bad) == (count + 2, count)
        assert "kb.csv, line 2: " in lines.shown[0] and "check its quotes" in lines.shown[0]
    with pytest.raises(InputError, match=r"kb\.csv, line 2: .*check its quotes"):
        built(folder, b"x,y,z\na,b\rc,d\n", strict=True)


def test_what_the_csv_module_cannot_read_is_left_out(tmp_path: Path) -> None:
    refused_lines_are_left_out(tmp_path)


FAULTS = (
    ("bad[start] = BROKEN.format(\"tab\")", "pass"),
    ('if stop > start or any("\\n" in one or "\\r" in one for one in record):', "if False:"),
    ('return "\\n" * (stop - start + 1)', 'return "\\n"'),
    ("start, stop = stop + 1, reader.line_num\n                rows.append(_row",
     "start = stop = stop + 1\n                rows.append(_row"),
    ("start, stop = stop + 1, reader.line_num\n                bad",
     "start = stop = stop + 1\n                bad"),
    ('bad[start] = f"{error}; check its quotes"', "pass"),
    ("rows.append(_left_out(start, stop, bad))", "pass"),
    ('if path.suffix.lower() == ".csv" else', "if False else"),
)  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_seen(
    fault: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ergotext.lm.trie import lines

    faulty = load_with_fault("lm.trie.blocks", fault)
    monkeypatch.setattr(lines, "blocks", faulty.blocks)
    with pytest.raises((AssertionError, IndexError)):
        all_hold(tmp_path)
