"""Chain of a template: given texts, and blanks of some words or characters between them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ergotext.errors import InputError
from ergotext.lm.automata.chains import Chain, Kind

SPACES = frozenset(char for char in map(chr, range(0x3001)) if char.isspace())
"""Characters that no word holds; there are none above these."""
MOST_READ = 1000
"""Positions of a chain beyond which its template is refused."""


@dataclass(frozen=True)
class Blank:
    """Length range of a blank: in words, or in characters for scripts without spaces."""

    least: int = 1
    most: int | None = None
    spaced: bool = True
    glued: bool = False
    """Whether it continues with the word before it."""

    def pattern(self) -> str:
        """Regular expression of its fillings."""
        more = "" if self.most is None else self.most - 1
        between = " " if self.spaced else ""
        unit = r"\S+" if self.spaced else r"\S"
        return rf"{unit}(?:{between}{unit}){{{self.least - 1},{more}}}"


class Progress(NamedTuple):
    """A place in a template."""

    number: int
    """of a given text, and of the blank after it"""
    at: int
    """characters of the given text that were read; in the blank, that text's length"""
    words: int = 0
    """of the blank, or its characters: those begun so far; the least of a blank without a most
    stands for all numbers above"""
    between: bool = False
    """after a space in the blank"""


class Filled(Chain[frozenset[Progress]]):
    """The text is a template with its blanks filled; one space may stand before it.

    A given text may also stand in a blank, so a text may be read in several ways at once. What is
    known of it are all the places that they lead to.

    Parameters
    ----------
    texts : sequence of str
        What is given: one text more than there are blanks, the outer ones may be empty.
    blanks : sequence of Blank

    Raises
    ------
    InputError
        A text can be read in too many ways.

    References
    ----------
    Rabin and Scott 1959, "Finite automata and their decision problems", for the sets.
    """

    def __init__(self, texts: Sequence[str], blanks: Sequence[Blank]) -> None:
        self.texts, self.blanks = tuple(texts), tuple(blanks)
        size = sum(map(len, texts)) + sum(blank.least for blank in blanks)
        if size > MOST_READ:
            raise InputError(
                f"this template has {size} letters and words, more than {MOST_READ}: shorten it"
            )
        self._met: set[frozenset[Progress]] = set()
        start = self._known([Progress(0, 0)])
        super().__init__({*SPACES, *"".join(texts)}, start | {Progress(-1, 0)})
        del self._met

    def __str__(self) -> str:
        return f"is {'___'.join(self.texts)!r} with its blanks filled"

    def accepts(self, read: frozenset[Progress]) -> bool:
        last = len(self.blanks)
        return Progress(last, len(self.texts[last])) in read

    def after(self, read: frozenset[Progress], char: str, kind: Kind) -> frozenset[Progress]:  # noqa: ARG002 - a template asks what is a space, not what joins
        led = self._known(place for one in read for place in self._led(one, char))
        self._met.add(led)
        if len(self._met) > MOST_READ:
            raise InputError(
                "the blanks of this template can be read in too many ways, as what stands between "
                "them is short and may stand in them as well: allow any number of words in them "
                "(___), or fewer (___{1,3})"
            )
        return led

    def _led(self, place: Progress, char: str) -> list[Progress]:
        """Where one character leads from a place."""
        number, at, words, between = place
        if number < 0:  # before the text
            return [Progress(0, 0)] if char == " " else []
        text = self.texts[number]
        if at < len(text):
            return [Progress(number, at + 1)] if char == text[at] else []
        if number == len(self.blanks):
            return []
        blank = self.blanks[number]
        high = blank.least if blank.most is None else blank.most
        new = not blank.spaced or between or not words
        if char in SPACES:
            goes_on = char == " " and blank.spaced and not new
            return [Progress(number, at, words, True)] if goes_on else []
        if not new:
            return [Progress(number, at, words)]
        if words == high:
            return [Progress(number, at, words)] if blank.most is None else []
        return [Progress(number, at, words + 1)]

    def _known(self, places: Iterable[Progress]) -> frozenset[Progress]:
        """The places, and those where a blank may be over, without those that add nothing."""
        found = set(places)
        for number, at, words, between in list(found):
            ends = 0 <= number < len(self.blanks) and at == len(self.texts[number])
            if ends and not between and words >= self.blanks[number].least:
                found.add(Progress(number + 1, 0))
        # A blank of any number of words takes whatever an earlier place would still have to read.
        first = max((place[:2] for place in found if self._endless(place)), default=(-1, 0))
        return frozenset(place for place in found if place[:2] >= first)

    def _endless(self, place: Progress) -> bool:
        """Whether a place is in a blank that has begun and may have any number of words."""
        number, _, words, _ = place
        return words > 0 and self.blanks[number].most is None
