"""Short representations of objects, for a prompt and for a notebook.

None is longer than ten lines, none runs a model, and none raises: a debugger shows objects that
are half made, too.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import wraps
from html import escape
from itertools import islice
from typing import TypeVar

from ergotext.support.words import as_line, printable

ROWS = 5
"""Rows of a table that are shown."""
WIDE = 72
"""Columns of a terminal that a text may take in a table."""
WIDEST = 400
"""Columns that a text may take in a notebook."""
Owner = TypeVar("Owner")


def safe(shown: Callable[[Owner], str]) -> Callable[[Owner], str]:
    """A representation that names the class alone where it cannot be made."""

    @wraps(shown)
    def never_raises(self: Owner) -> str:
        try:
            return shown(self)
        except Exception:
            return f"<{type(self).__name__}>"

    return never_raises


def width_of(text: str) -> int:
    """Columns that a text takes on a terminal: two for a full-width character, none for a mark."""
    return sum(
        0 if unicodedata.category(char) in ("Mn", "Me") else
        2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )  # fmt: skip


def cut(text: str, most: int = WIDE) -> str:
    """A text as one line that prints, at most so many columns wide."""
    return _within(as_line(text[: 4 * most]), most, len(text) > 4 * most)


def _within(line: str, most: int, more: bool = False) -> str:
    """A line, with an ellipsis if it is too wide or there is more of it."""
    if not more and width_of(line) <= most:
        return line
    line = line[:most]
    while width_of(line) >= most:
        line = line[:-1]
    return line + "…"


def quoted(text: str, most: int = 40) -> str:
    """A text in quotes, spaces and all, at most so many columns wide."""
    return f'"{_within(printable(text[: most + 1]), most)}"'


def listed(items: Iterable[str], most: int = 3) -> str:
    """The first items, with an ellipsis if there are more."""
    first = list(islice(items, most + 1))
    return ", ".join([*first[:most], "…"] if len(first) > most else first)


def brief(thing: object) -> str:
    """The first line of how a thing shows itself; its class where it has no way of its own."""
    if type(thing).__repr__ is object.__repr__:
        return type(thing).__name__
    return cut(repr(thing).partition("\n")[0])


def called(name: str, *parts: str) -> str:
    """``name(part, part)``; empty parts are left out."""
    return f"{name}({', '.join(filter(None, parts))})"


@dataclass(frozen=True)
class Listing:
    """A line and a table below it.

    Parameters
    ----------
    head : str
    columns : sequence of str
    rows : sequence of sequence of str
        The last column is text, all before it are numbers.
    more : int
        Rows that are not shown.
    """

    head: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    more: int = 0

    @property
    def _rest(self) -> str:
        return f"… and {self.more:,} more" if self.more else ""

    def text(self) -> str:
        """For a prompt."""
        every = [self.columns, *([*row[:-1], cut(row[-1])] for row in self.rows)]
        wide = [max(width_of(row[n]) for row in every) for n in range(len(self.columns) - 1)]
        lines = [
            [*(" " * (w - width_of(c)) + c for c, w in zip(row, wide, strict=False)), row[-1]]
            for row in every
        ]
        body = ["  " + "  ".join(line) for line in lines] if self.rows else []
        return "\n".join([self.head, *body, *([f"  {self._rest}"] if self.more else [])])

    def html(self) -> str:
        """For a notebook; every text is escaped."""
        sides = [*["right"] * (len(self.columns) - 1), "left"]
        cells = [
            "".join(
                f'<td style="text-align: {side}">{escape(cut(cell, WIDEST))}</td>'
                for cell, side in zip(row, sides, strict=True)
            )
            for row in self.rows
        ]
        names = "".join(
            f'<th style="text-align: {side}">{escape(name)}</th>'
            for name, side in zip(self.columns, sides, strict=True)
        )
        body = "".join(f"<tr>{row}</tr>" for row in cells)
        table = f"<table><thead><tr>{names}</tr></thead><tbody>{body}</tbody></table>"
        rest = f"<p>{self._rest}</p>" if self.more else ""
        return f"<p>{escape(self.head)}</p>{table if self.rows else ''}{rest}"
