"""Chains of words: those that must occur, those that must not, and how many there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from ergotext.lm.automata.chains import Chain, Kind
from ergotext.support.words import LINE_BREAKS, joins

_Begun = tuple[int, ...]
"""Of each alternative the beginnings that the text ends in: bit i for its first i + 1 characters"""


class _Read(NamedTuple):
    """What must be known of the text read so far."""

    found: int
    """keywords that were found, one after the other"""
    begun: _Begun
    """of the keyword sought"""
    waits: tuple[_Begun | None, _Begun | None]
    """The keyword sought stands there, and the next visible character decides whether it ends so:
    that which ends in a character that does not join others, and that which does. With each, what
    is ``begun`` of the keyword after it, or None if none such stands there."""
    joined: bool
    """the last visible character joins"""


class Demanded(Chain[_Read]):
    """Keywords that must follow one another in a text (``words.holds_words``, in order).

    A keyword given twice must stand there twice.

    Parameters
    ----------
    keywords : sequence of (sequence of str)
        The alternatives of each, with at least one visible character.

    References
    ----------
    Baeza-Yates and Gonnet 1992, "A new approach to text searching": all beginnings of a word that
    the text ends in, as the bits of one number.
    """

    def __init__(self, keywords: Sequence[Sequence[str]]) -> None:
        self.keywords = [tuple(keyword) for keyword in keywords]
        letters = {char for keyword in self.keywords for word in keyword for char in word}
        super().__init__(letters, _Read(0, self._none_of(0), (None, None), False))
        self.found = np.array([self._held(read) for read in self.positions])
        """int64 [positions]: keywords that a text that ends here holds, one after the other"""

    def __str__(self) -> str:
        return f"contains {' … '.join('|'.join(keyword) for keyword in self.keywords)!r}"

    def accepts(self, read: _Read) -> bool:
        return self._held(read) == len(self.keywords)

    def _held(self, read: _Read) -> int:
        return read.found + any(ahead is not None for ahead in read.waits)

    def after(self, read: _Read, char: str, kind: Kind) -> _Read:
        if read.found == len(self.keywords):
            return read
        found, begun, waits, joined = read
        if not kind.unseen:
            stand = [waits[ends] for ends in (False, True) if not _breaks(kind, ends)]
            if left := [ahead for ahead in stand if ahead is not None]:
                # Those of the one that stood there first are among both.
                found, begun = found + 1, tuple(map(_either, left[0], left[-1]))
            waits = (None, None)
            if found == len(self.keywords):
                return _Read(found, (), waits, False)
        begun = self._shifted(found, begun, char, joined)
        aheads = [
            None if ahead is None else self._shifted(found + 1, ahead, char, joined)
            for ahead in waits
        ]
        # What comes whole again before the first was decided will be decided like it.
        for word, bits in zip(self.keywords[found], begun, strict=True):
            if bits & _whole(word) and aheads[joins(word[-1])] is None:
                aheads[joins(word[-1])] = self._none_of(found + 1)
        parts = zip(self.keywords[found], begun, strict=True)
        begun = tuple(bits & ~_whole(word) for word, bits in parts)
        waits = aheads[False], aheads[True]
        return _Read(found, begun, waits, joined if kind.unseen else kind.joins)

    def _none_of(self, number: int) -> _Begun:
        """Nothing begun of that keyword; there may be none of that number."""
        return (0,) * len(self.keywords[number]) if number < len(self.keywords) else ()

    def _shifted(self, number: int, begun: _Begun, char: str, joined: bool) -> _Begun:
        """The beginnings of a keyword that the text ends in, with one character more."""
        words = self.keywords[number] if number < len(self.keywords) else ()
        return tuple(_shifted(b, w, char, joined) for b, w in zip(begun, words, strict=True))


class Excluded(Demanded):
    """Words that must not occur in a text (``words.holds_words``, ``without``)."""

    limits = True

    def __init__(self, words: Sequence[str]) -> None:
        super().__init__([words])

    def __str__(self) -> str:
        return f"is without {', '.join(map(repr, self.keywords[0]))}"

    def accepts(self, read: _Read) -> bool:
        return not super().accepts(read)


class _Counted(NamedTuple):
    words: int
    """those begun so far; one more than there may be stands for all numbers above"""
    place: Literal["between", "within", "sign"]
    """between words, inside one, or after an apostrophe or hyphen that may be inside one"""


class WordCount(Chain[_Counted]):
    """The number of words of a text is between two numbers (``words.count_words``)."""

    limits = True

    def __init__(self, low: int, high: int) -> None:
        self.low, self.high = low, high
        super().__init__(set(), _Counted(0, "between"))

    def __str__(self) -> str:
        return f"has {self.low} to {self.high} words"

    def accepts(self, read: _Counted) -> bool:
        return self.low <= read.words <= self.high

    def after(self, read: _Counted, char: str, kind: Kind) -> _Counted:  # noqa: ARG002 - no letters
        words, place = read
        if words > self.high or kind.role == "unseen":
            return read
        if kind.role == "inner":
            return _Counted(words, "sign" if place == "within" else "between")
        words += kind.role == "alone" or (kind.role == "part" and place == "between")
        inside = kind.role == "part" and words <= self.high
        return _Counted(words, "within" if inside else "between")


class OneLine(Chain[bool]):
    """No line break occurs in a text (``words.LINE_BREAKS``)."""

    limits = True

    def __init__(self) -> None:
        super().__init__(set(LINE_BREAKS), True)

    def __str__(self) -> str:
        return "is one line"

    def accepts(self, read: bool) -> bool:
        return read

    def after(self, read: bool, char: str, kind: Kind) -> bool:  # noqa: ARG002 - letters break
        return read and not char


def _shifted(begun: int, word: str, char: str, joined: bool) -> int:
    """The beginnings of a word that the text ends in, with one character more."""
    may_begin = not (joined and joins(word[0]))
    places = sum(1 << at for at, letter in enumerate(word) if letter == char)
    return (begun << 1 | may_begin) & places


def _breaks(kind: Kind, joining: bool) -> bool:
    """Whether a character breaks a word before it that ends in a joining one, or in another."""
    return kind.mark or (kind.joins and joining)


def _whole(word: str) -> int:
    return 1 << len(word) - 1


def _either(one: int, other: int) -> int:
    return one | other
