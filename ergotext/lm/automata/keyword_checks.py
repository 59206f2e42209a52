"""What is asked of the words of a text, checked before an automaton is made of it."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from ergotext.errors import InputError
from ergotext.support.words import Keyword, alternatives, check_texts, counted, holds_words


def check_keywords(words: Sequence[Keyword], without: Sequence[str]) -> None:
    """See that words can be demanded while others are excluded.

    Raises
    ------
    InputError
        A word has no visible character, a keyword no alternative, or all of its alternatives
        contain an excluded word.
    """
    if isinstance(words, str | bytes):
        check_texts(words)
    check_texts(without, "excluded words")
    keywords = [alternatives(word) for word in words]
    for word in [word for keyword in keywords for word in keyword] + list(without):
        if all(unicodedata.category(char) in ("Cf", "Zs") for char in word):
            raise InputError(f"the word {word!r} has no visible characters: leave it out")
    for keyword in keywords:
        inside = [[out for out in without if holds_words(word, [out])] for word in keyword]
        if all(inside):
            said = "|".join(keyword)
            what = (
                "is both demanded and excluded"
                if said in without
                else (f"contains the excluded {inside[0][0]!r}")
            )
            raise InputError(f"the keyword {said!r} {what}: drop one of the two")


def check_window(words: Sequence[Keyword], window: tuple[int, int] | None) -> None:
    """See that a number of words can be asked for.

    Raises
    ------
    InputError
        The window is none, or has fewer words than there are keywords.
    """
    if window is None:
        return
    whole = isinstance(window, Sequence) and len(window) == 2
    if not whole or any(not isinstance(n, int) or isinstance(n, bool) for n in window):
        raise InputError(f"the number of words must be between two whole numbers, got {window!r}")
    low, high = window
    if not 0 <= low <= high:
        raise InputError(
            f"the number of words must be between two numbers, 0 or more, got {low} to {high}: "
            "give the smaller number first"
        )
    own = _of_their_own([alternatives(word) for word in words])
    if own > high:
        raise InputError(
            f"{counted(own, 'keyword')} cannot stand in {counted(high, 'word')}: allow more words"
        )


def _of_their_own(keywords: Sequence[tuple[str, ...]]) -> int:
    """The number of keywords that are no part of another one."""

    def within(keyword: tuple[str, ...], other: tuple[str, ...]) -> bool:
        return set(keyword) != set(other) and any(holds_words(word, [keyword]) for word in other)

    return sum(not any(within(k, other) for other in keywords) for k in keywords)
