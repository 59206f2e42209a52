"""The words that a text is made of, as a list of words tells them apart."""

from __future__ import annotations

import re
from collections.abc import Sequence

LATIN = re.compile("[A-Za-z\u00c0-\u024f]+")
MOST = 1 << 16
"""Texts whose words are kept."""


class Words:
    """Numbers of the words in a text.

    Letters of the Latin script are a word from one end to the other, in either case. Of the others
    the longest word of the list that begins at a character is taken, from the left.

    Parameters
    ----------
    words : sequence of str
        In lower case, each once; the first has the number 1, and 0 is none of them.
    """

    def __init__(self, words: Sequence[str]) -> None:
        self.words = words
        self._number = {word: number for number, word in enumerate(words, 1)}
        self._longest = max(map(len, words), default=0)
        self._known: dict[str, list[int]] = {}

    def __len__(self) -> int:
        return len(self.words)

    def numbers(self, text: str) -> list[int]:
        """For each character the number of the word that it is in."""
        found = self._known.get(text)
        if found is None:
            if len(self._known) >= MOST:
                self._known.clear()
            found = self._known[text] = self._read(text)
        return found

    def _read(self, text: str) -> list[int]:
        found: list[int] = []
        while (at := len(found)) < len(text):
            if latin := LATIN.match(text, at):
                stop, number = latin.end(), self._number.get(latin[0].lower(), 0)
            else:
                stop, number = self._longest_at(text, at)
            found += [number] * (stop - at)
        return found

    def _longest_at(self, text: str, at: int) -> tuple[int, int]:
        """Where the longest word that begins there ends, and its number."""
        for stop in range(min(len(text), at + self._longest), at, -1):
            if number := self._number.get(text[at:stop]):
                return stop, number
        return at + 1, 0
