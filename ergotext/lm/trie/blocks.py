"""Read a file of lines in blocks; of a .csv file, unquoted and with tabs between the fields."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from ergotext.errors import InputError
from ergotext.support.bars import bar

_BLOCK = 8 << 20
_RECORDS = 1 << 16
"""Records of a .csv file in a block."""
_MARK = b"\xef\xbb\xbf"
BROKEN = "a quoted field holds a {}, which no line of an index can: remove it"


@dataclass(frozen=True)
class Block:
    """Whole lines of a file.

    Parameters
    ----------
    raw : bytes
        The lines, each closed by a newline; of a .csv file, with tabs between unquoted fields.
    bad : dict of int to str
        Numbers of lines of the file, from 1, that this form cannot hold, and why. ``raw`` has an
        empty line for each.
    """

    raw: bytes
    bad: dict[int, str] = field(default_factory=dict)


def blocks(path: Path, what: str) -> Iterator[Block]:
    """The lines of a file, some eight megabytes at a time.

    A file whose name ends in ``.csv`` is read by Python's csv module: fields are parted by commas,
    and one in double quotes may hold commas and, doubled, quotes. In any other file quotes are
    characters like others.

    Parameters
    ----------
    path : Path
    what : str
        What the progress bar says.

    Raises
    ------
    InputError
        The file cannot be read.
    """
    try:
        if path.exists() and not path.is_file():
            kind = "folder" if path.is_dir() else "pipe or device, and lines may be read twice"
            raise InputError(f"{path} is a {kind}: give a text file")
        total = path.stat().st_size
        with (
            path.open("rb") as file,
            bar(desc=what, total=total, unit="B", unit_scale=True, delay=0.5) as shown,
        ):
            if file.peek(len(_MARK)).startswith(_MARK):
                file.seek(len(_MARK))
            found = _records(file) if path.suffix.lower() == ".csv" else _lines(file)
            for block in found:
                shown.update(file.tell() - shown.n)
                yield block
    except OSError as error:
        raise InputError(
            f"cannot read {path} ({error.strerror}): give the path of a text file"
        ) from error


def _lines(file: IO[bytes]) -> Iterator[Block]:
    while raw := file.read(_BLOCK):
        raw += file.readline()
        yield Block(raw if raw.endswith(b"\n") else raw + b"\n")


def _records(file: IO[bytes]) -> Iterator[Block]:
    """The records of a .csv file, as many lines as they take in the file.

    What the csv module refuses, such as a field longer than it takes, is bad up to the line where
    it gives up; it goes on with the next one.
    """
    # What is not UTF-8 comes out as it went in, and is found by those who read the block.
    reader = csv.reader(line.decode(errors="surrogateescape") for line in file)
    stop = 0
    while True:
        rows: list[str] = []
        bad: dict[int, str] = {}
        while len(rows) < _RECORDS:
            try:
                record = next(reader)
                start, stop = stop + 1, reader.line_num
                rows.append(_row(record, start, stop, bad))
            except StopIteration:
                break
            except csv.Error as error:
                start, stop = stop + 1, reader.line_num
                bad[start] = f"{error}; check its quotes"
                rows.append(_left_out(start, stop, bad))
        if not rows:
            return
        yield Block("".join(rows).encode(errors="surrogateescape"), bad)


def _row(record: list[str], start: int, stop: int, bad: dict[int, str]) -> str:
    """A record with tabs between its fields, or empty lines for one that cannot be written so."""
    if any("\t" in one for one in record):
        bad[start] = BROKEN.format("tab")
    if stop > start or any("\n" in one or "\r" in one for one in record):
        bad[start] = BROKEN.format("line break")
    return _left_out(start, stop, bad) if start in bad else "\t".join(record) + "\n"


def _left_out(start: int, stop: int, bad: dict[int, str]) -> str:
    """Empty lines for those from start to stop, the first of which says what is wrong."""
    bad.update((line, f"belongs to line {start}") for line in range(start + 1, stop + 1))
    return "\n" * (stop - start + 1)
