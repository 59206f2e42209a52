"""Small automata over characters, of which ``keywords`` makes one over tokens.

A text is read character by character; the least that must be known of it is one of a few
positions. ``word_chains`` has the kinds: words that must occur, words that must not, a number of
words.
"""

from __future__ import annotations

import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Hashable
from functools import cache
from typing import Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from ergotext.support.arrays import Ints
from ergotext.support.words import Role, joins, role

Read = TypeVar("Read", bound=Hashable)


class Kind(NamedTuple):
    """What a character does to words beside it."""

    joins: bool
    """it would run into a neighbouring word"""
    mark: bool
    """it changes the letter before it"""
    unseen: bool
    """it parts nothing: the next one counts instead"""
    role: Role
    """what it is in a count of words"""


_KINDS = [
    Kind(False, False, False, "other"),
    Kind(False, False, False, "inner"),
    Kind(False, False, False, "alone"),
    Kind(True, False, False, "part"),
    Kind(False, True, False, "unseen"),
    Kind(True, True, False, "unseen"),
    Kind(False, False, True, "unseen"),
]
KINDS = len(_KINDS)


class Chain(ABC, Generic[Read]):
    """Reads a text character by character and says whether it may end.

    Positions are numbered from 0, the start; ``step[position, symbol]`` leads on, where a symbol
    is the kind of a character, or one of the ``letters`` that this chain tells apart.

    Parameters
    ----------
    letters : iterable of str
    start : hashable
        What is known of an empty text.
    """

    limits = False
    """Whether every text is taken at first, and some later no more."""

    def __init__(self, letters: set[str], start: Read) -> None:
        self.letters = sorted(letters)
        self._points = np.array([ord(letter) for letter in self.letters], dtype=np.int64)
        symbols: list[tuple[str, Kind]] = [("", kind) for kind in _KINDS]
        symbols += [(letter, _kind(letter)) for letter in self.letters]
        positions, steps = [start], []
        number = {start: 0}
        for read in positions:  # which grow meanwhile
            after = [self.after(read, *symbol) for symbol in symbols]
            positions += [new for new in dict.fromkeys(after) if new not in number]
            number.update((new, len(number)) for new in positions[len(number) :])
            steps.append([number[new] for new in after])
        self.positions = positions
        """what is known of the text at each position"""
        self.step = np.array(steps, dtype=np.int32)
        self.covers = np.array([self.accepts(read) for read in positions])
        """bool [positions]: whether a text that ends here is accepted"""
        self.dead = self._dead()
        """bool [positions]: whether no text that goes on from here is accepted"""

    @abstractmethod
    def after(self, read: Read, char: str, kind: Kind) -> Read:
        """What is known after one more character; ``char`` is empty for one of no letter."""

    @abstractmethod
    def accepts(self, read: Read) -> bool:
        """Whether a text that ends here is accepted."""

    @abstractmethod
    def __str__(self) -> str:
        """What this chain asks of a text: "contains 'sun'"."""

    def symbols(self, points: Ints) -> Ints:
        """int64 [n]: the column of ``step`` for each of these code points."""
        column = np.array([kind_of(point) for point in points.tolist()], dtype=np.int64)
        if not len(self._points):
            return column
        at = np.minimum(np.searchsorted(self._points, points), len(self._points) - 1)
        return np.where(self._points[at] == points, KINDS + at, column)

    def _dead(self) -> NDArray[np.bool_]:
        alive, before = self.covers.copy(), 0
        while alive.sum() > before:
            before = int(alive.sum())
            alive |= alive[self.step].any(axis=1)
        return ~alive


def kind_of(point: int) -> int:
    """The column of ``step`` for a code point that is no letter of a chain."""
    return _KINDS.index(_kind(chr(point)))


@cache
def _kind(char: str) -> Kind:
    category = unicodedata.category(char)
    return Kind(joins(char), category.startswith("M"), category == "Cf", role(char))
