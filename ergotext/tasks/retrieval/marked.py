"""Texts with marked mentions: ``The [START_ENT] US [END_ENT] has fifty states.``"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from ergotext.errors import InputError

MARKS = ("[START_ENT]", "[END_ENT]")
"""What GENRE's models are trained to read."""


@dataclass(frozen=True)
class MarkedText:
    """A text without its marks, and one of the mentions that were marked in it.

    Parameters
    ----------
    plain : str
    start, stop : int
        The mention is ``plain[start:stop]``.
    marked : str
        The mention with its marks, as it stood in the text.
    """

    plain: str
    start: int
    stop: int
    marked: str

    @property
    def mention(self) -> str:
        return self.plain[self.start : self.stop]

    @property
    def question(self) -> str:
        """The text with this mention marked, and no other."""
        return self.plain[: self.start] + self.marked + self.plain[self.stop :]

    def shortened(self, fits: Callable[[str], bool]) -> MarkedText | None:
        """The mention with as much of the text around it as fits; None if it alone does not.

        It stays in the middle, unless the text ends on one side.
        """
        if fits(self.question):
            return self
        low, high = 0, self.start + len(self.plain) - self.stop
        if not fits(self._around(low).question):
            return None
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if fits(self._around(middle).question) else (low, middle)
        return self._around(low)

    def _around(self, count: int) -> MarkedText:
        """The mention with ``count`` characters of the text around it."""
        before, after = self.start, len(self.plain) - self.stop
        left = min(before, max(count // 2, count - after))
        right = min(after, count - left)
        begin = self.start - left
        plain = self.plain[begin : self.stop + right]
        return replace(self, plain=plain, start=left, stop=left + self.stop - self.start)


def check_marks(marks: tuple[str, str]) -> None:
    """InputError unless marks are two texts that cannot be confused."""
    good = len(marks) == 2 and all(isinstance(m, str) and m.strip() for m in marks)
    if not good or marks[0] in marks[1] or marks[1] in marks[0]:
        raise InputError(
            f"marks must be two different texts, neither part of the other, got {marks!r:.60}"
        )


def parse_marked(
    text: str, marks: tuple[str, str] = MARKS, name: str = "the text"
) -> list[MarkedText]:
    """The marked mentions of a text, in order.

    Spaces between a mark and its mention belong to neither.

    Parameters
    ----------
    text : str
    marks : pair of str
        What stands before and after a mention.
    name : str
        Of the text, in errors.

    Raises
    ------
    InputError
        No mention is marked, a mark has no counterpart, a mention is empty or inside another.
    """
    opening, closing = marks
    parts = re.split(f"({re.escape(opening)}|{re.escape(closing)})", text)
    plain, at = "", 0
    found: list[tuple[int, int, str]] = []
    begun: int | None = None
    for number, part in enumerate(parts):
        if part == opening:
            if begun is not None:
                raise InputError(
                    f"{name}: {opening} at character {at} is inside another mention: end that one "
                    f"with {closing} first"
                )
            begun = at
        elif part == closing:
            if begun is None:
                raise InputError(
                    f"{name}: {closing} at character {at} ends no mention: put {opening} before it"
                )
            inner = parts[number - 1]
            if not inner.strip():
                raise InputError(
                    f"{name}: the mention at character {begun} is empty: put a text between "
                    f"{opening} and {closing}"
                )
            start = len(plain)
            plain += inner.strip()
            found.append((start, len(plain), f"{opening}{inner}{closing}"))
            begun = None
        elif begun is None:
            plain += part
        at += len(part)
    if begun is not None:
        raise InputError(f"{name}: the mention at character {begun} has no {closing}: add it")
    if not found:
        raise InputError(f"{name} has no marked mention: put {opening} … {closing} around one")
    return [MarkedText(plain, *one) for one in found]
