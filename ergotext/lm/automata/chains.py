"""Automaton over characters: words that must follow one another in a text."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

from ergotext.support.arrays import Ints
from ergotext.support.words import joins


class _Kind(NamedTuple):
    """What a character does to words beside it."""

    joins: bool
    """it would run into a neighbouring word"""
    mark: bool
    """it changes the letter before it"""
    unseen: bool
    """it parts nothing: the next one counts instead"""


_KINDS = [_Kind(j, m, False) for j in (False, True) for m in (False, True)]
_KINDS.append(_Kind(False, False, True))
KINDS = len(_KINDS)


class _Read(NamedTuple):
    """What must be known of the text read so far."""

    found: int = 0
    """words that were found, one after the other"""
    begun: int = 0
    """bit i: the last i + 1 characters begin the word sought"""
    waiting: bool = False
    """the word sought stands there, and the next visible character decides whether it ends so"""
    ahead: int = 0
    """as ``begun``, of the word after it, while that is undecided"""
    joined: bool = False
    """the last visible character joins"""


class Chain:
    """Matches words that follow one another in a text (``words.holds_words``, in order).

    The least that must be known of a text is one of a few positions (numbered from 0, the start);
    ``step[position, kind]`` leads on. A word given twice must stand there twice.

    Parameters
    ----------
    words : sequence of str
        Each with at least one visible character.

    References
    ----------
    Baeza-Yates and Gonnet 1992, "A new approach to text searching": all beginnings of a word that
    the text ends in, as the bits of one number.
    """

    def __init__(self, words: Sequence[str]) -> None:
        self.words = tuple(words)
        letters = sorted(set("".join(words)))
        self._letters = np.array([ord(letter) for letter in letters], dtype=np.int64)
        symbols: list[tuple[str, _Kind]] = [("", kind) for kind in _KINDS]
        symbols += [(letter, _kind(letter)) for letter in letters]
        positions, steps = [_Read()], []
        number = {_Read(): 0}
        for read in positions:  # which grow meanwhile
            after = [self._after(read, *symbol) for symbol in symbols]
            positions += [new for new in dict.fromkeys(after) if new not in number]
            number.update((new, len(number)) for new in positions[len(number) :])
            steps.append([number[new] for new in after])
        self.step = np.array(steps, dtype=np.int32)
        self.covers = np.array([read.found + read.waiting == len(words) for read in positions])
        """bool [positions]: whether a text that ends here holds all the words"""

    def symbols(self, points: Ints) -> Ints:
        """int64 [n]: the column of ``step`` for each of these code points."""
        others = np.array([kind_of(point) for point in points.tolist()])
        at = np.minimum(np.searchsorted(self._letters, points), len(self._letters) - 1)
        column: Ints = np.where(self._letters[at] == points, len(_KINDS) + at, others)
        return column

    def _after(self, read: _Read, char: str, kind: _Kind) -> _Read:
        if read.found == len(self.words):
            return read
        found, begun, waiting, ahead, joined = read
        if waiting and not kind.unseen:
            broken = kind.mark or (kind.joins and joins(self.words[found][-1]))
            if not broken:
                found, begun = found + 1, ahead
            waiting, ahead = False, 0
            if found == len(self.words):
                return _Read(found)
        word = self.words[found]
        begun = _shifted(begun, word, char, joined)
        if waiting and found + 1 < len(self.words):
            ahead = _shifted(ahead, self.words[found + 1], char, joined)
        whole = 1 << len(word) - 1
        if begun & whole:
            begun &= ~whole
            # What comes whole again before the first was decided will be decided like it.
            waiting = True
        return _Read(found, begun, waiting, ahead, joined if kind.unseen else kind.joins)


def _shifted(begun: int, word: str, char: str, joined: bool) -> int:
    """The beginnings of the word that the text ends in, with one character more."""
    may_begin = not (joined and joins(word[0]))
    places = sum(1 << at for at, letter in enumerate(word) if letter == char)
    return (begun << 1 | may_begin) & places


def kind_of(point: int) -> int:
    """The column of ``step`` for a code point that is no letter of the words."""
    return _KINDS.index(_kind(chr(point)))


@cache
def _kind(char: str) -> _Kind:
    category = unicodedata.category(char)
    return _Kind(joins(char), category.startswith("M"), category == "Cf")
