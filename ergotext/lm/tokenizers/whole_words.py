"""Group the tokens of a row into words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ergotext.lm.tokenizers.vocabulary import Vocabulary
from ergotext.support.words import joins

BROKEN = "\ufffd"
MOST_PARTS = 4
"""Tokens of one character at most: the bytes of UTF-8."""


def word_numbers(row: Sequence[int], vocabulary: Vocabulary) -> tuple[int, ...]:
    """The number of the word that each token of a row belongs to, from 0 on.

    Tokens are of one word where letters or digits of a spaced script meet, or where they are
    parts of one character. In scripts without spaces each token is a word else.
    """
    numbers: list[int] = []
    word, before = -1, " "
    for count, spelled in _characters(row, vocabulary):
        goes_on = bool(spelled) and joins(before) and joins(spelled[0])
        word += not goes_on
        numbers += [word] * count
        before = spelled[-1] if spelled else " "
    return tuple(numbers)


def _characters(row: Sequence[int], vocabulary: Vocabulary) -> Iterator[tuple[int, str]]:
    """Runs of tokens that spell whole characters: how many, and what they add to a text.

    Spelled after another word, so that a token which begins one shows the space in front of it.
    """
    anchor = vocabulary.encode("a")
    skip = len(vocabulary.text(anchor))
    first = 0
    for end in range(1, len(row) + 1):
        spelled = vocabulary.text([*anchor, *row[first:end]])[skip:]
        if spelled.endswith(BROKEN) and end - first < MOST_PARTS and end < len(row):
            continue
        yield end - first, spelled
        first = end
