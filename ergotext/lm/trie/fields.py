"""Parse tab-separated lines in blocks, vectorised."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ergotext.lm.tokenizers.characters import points_of
from ergotext.support.arrays import Ints
from ergotext.support.words import counted

_TAB, _NEWLINE, _RETURN = 0x09, 0x0A, 0x0D


@dataclass(frozen=True, eq=False)
class Fields:
    """The fields of the good lines of a block, as places in its characters and in its bytes.

    Parameters
    ----------
    lines : int
        Lines of the block, bad ones included.
    bad : dict of int to str
        Number of each bad line, and what is wrong with it.
    numbers : int64 [n]
        Number of each good line.
    points : uint32 [N]
        The block as code points.
    begin, stop : int64 [n, columns]
        Where the fields of each good line lie in ``points``.
    raw : uint8 [R]
        The block as UTF-8.
    raw_begin, raw_stop : int64 [n, columns]
        Where they lie in ``raw``.
    """

    lines: int
    bad: dict[int, str]
    numbers: Ints
    points: NDArray[np.uint32]
    begin: Ints
    stop: Ints
    raw: NDArray[np.uint8]
    raw_begin: Ints
    raw_stop: Ints

    def __len__(self) -> int:
        return len(self.begin)


def parse(block: bytes, before: int, columns: int) -> Fields:
    """Part a block of lines, each closed by a newline, into ``columns`` fields each.

    ``before`` is the number of lines of the file before this block.
    """
    lines = block.count(b"\n")
    numbers = np.arange(before + 1, before + lines + 1)
    bad: dict[int, str] = {}
    try:
        text = block.decode()
    except UnicodeDecodeError:
        block, numbers, bad = _decodable(block, before)
        text = block.decode()
    points, raw = points_of(text), np.frombuffer(block, dtype=np.uint8)
    tabs = np.bincount(
        np.searchsorted(np.flatnonzero(raw == _NEWLINE), np.flatnonzero(raw == _TAB)),
        minlength=len(numbers),
    )
    fit = tabs == columns - 1
    expected = f"{columns} {'is' if columns == 1 else 'are'} expected"
    for row in np.flatnonzero(~fit):
        bad[int(numbers[row])] = f"{counted(int(tabs[row]) + 1, 'field')} where {expected}"
    raw_begin, raw_stop = _bounds(raw, fit, columns)
    full = (raw_begin < raw_stop).all(axis=1)
    for row in np.flatnonzero(~full):
        bad[int(numbers[fit][row])] = "an empty field"
    begin, stop = _bounds(points, fit, columns)
    places = (begin[full], stop[full]), (raw_begin[full], raw_stop[full])
    return Fields(lines, bad, numbers[fit][full], points, *places[0], raw, *places[1])


def _bounds(units: NDArray[Any], fit: NDArray[np.bool_], columns: int) -> tuple[Ints, Ints]:
    """int64 [n, columns] each: where the fields of the lines that fit begin and end."""
    newline = np.flatnonzero(units == _NEWLINE)
    begin = np.append(0, newline + 1)[:-1]
    stop = newline - ((newline > begin) & (units[newline - 1] == _RETURN))
    tab = np.flatnonzero(units == _TAB)
    inner = tab[fit[np.searchsorted(newline, tab)]].reshape(int(fit.sum()), columns - 1)
    return np.column_stack([begin[fit], inner + 1]), np.column_stack([inner, stop[fit]])


def _decodable(block: bytes, before: int) -> tuple[bytes, Ints, dict[int, str]]:
    """The lines that are UTF-8, their numbers, and what is wrong with the others."""
    good: list[bytes] = []
    numbers: list[int] = []
    bad: dict[int, str] = {}
    for number, line in enumerate(block.split(b"\n")[:-1], before + 1):
        try:
            line.decode()
        except UnicodeDecodeError as error:
            bad[number] = f"byte {error.start + 1} is not UTF-8"
            continue
        good.append(line + b"\n")
        numbers.append(number)
    return b"".join(good), np.array(numbers, dtype=np.int64), bad
