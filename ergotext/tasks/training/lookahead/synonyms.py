"""Synonyms of property names."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from ergotext.errors import InputError
from ergotext.lm.trie.lines import Lines
from ergotext.support.untrusted import read_text


class Synonyms:
    """Says texts in other words, one piece of them at a time.

    Parameters
    ----------
    groups : iterable of sequences of str
        Each of words that mean the same; a word may stand in several.
    """

    def __init__(self, groups: Iterable[Sequence[str]] = ()) -> None:
        others: dict[str, dict[str, None]] = defaultdict(dict)
        for group in groups:
            for word in group:
                others[word].update((other, None) for other in group if other != word)
        self._others = {word: list(found) for word, found in others.items() if found}
        self._longest = max(map(len, self._others), default=0)

    def reworded(self, text: str, rng: random.Random) -> str:
        """The text with a known piece replaced, rather a long one; itself where none is known."""
        pieces = [
            (at, at + length)
            for length in range(1, min(len(text), self._longest) + 1)
            for at in range(len(text) - length + 1)
            # A single character inside a word is seldom a word.
            if (length > 1 or len(text) == 1) and text[at : at + length] in self._others
        ]
        if not pieces:
            return text
        ((start, stop),) = rng.choices(pieces, [(stop - start) ** 2 for start, stop in pieces])
        return text[:start] + rng.choice(self._others[text[start:stop]]) + text[stop:]


def read_synonyms(paths: Iterable[Path], lines: Lines) -> list[list[str]]:
    """Read synonym groups, one tab-separated group per line.

    Blank lines are none; lines of fewer than two different words are left out and counted in
    ``lines``.

    Raises
    ------
    InputError
        A file cannot be read, or holds no group.
    """
    found: list[list[str]] = []
    for path in paths:
        rows = read_text(path, what="the synonyms", largest=1 << 30).split("\n")
        before, bad = len(found), {}
        for number, row in enumerate(rows, 1):
            parted = (word for word in row.strip("\r").split("\t") if word.strip())
            words = list(dict.fromkeys(parted))
            if len(words) > 1:
                found.append(words)
            elif row.strip():
                bad[number] = "not two different words or more with a tab between them"
        lines.count(path, len(found) - before + len(bad), bad, strict=False)
        if len(found) == before:
            raise InputError(f"{path} contains no groups of words separated by tabs")
    return found
