"""Word boundaries, in scripts with and without spaces; texts as they are shown."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Collection, Sequence
from typing import Literal, TypeAlias

from ergotext.errors import InputError

Keyword: TypeAlias = str | Sequence[str]
"""A word or phrase, or alternatives, one of which must occur."""
Role: TypeAlias = Literal["part", "alone", "inner", "unseen", "other"]

INNER = "'\u2019-\u2010\u2011"
"""Apostrophes and hyphens: inside a word they part nothing."""

LINE_BREAKS = frozenset("\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029")
"""Characters at which ``str.splitlines`` begins a new line."""
_DIRECTION = "\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
_DRIVES = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)+")
_UNSPACED = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x0F00, 0x0FFF),  # Tibetan
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x2E80, 0x303F),  # CJK radicals and punctuation
    (0x3040, 0x30FF),  # Hiragana, Katakana
    (0x3100, 0x312F),  # Bopomofo
    (0x31A0, 0x4DBF),  # CJK extensions
    (0x4E00, 0x9FFF),  # CJK ideographs
    (0xF900, 0xFAFF),  # CJK compatibility ideographs
    (0xFF66, 0xFF9F),  # half-width Katakana
    (0x20000, 0x3FFFF),  # further CJK extensions
)
_BOUNDS = [bound for low, high in _UNSPACED for bound in (low, high + 1)]


def counted(count: int, thing: str) -> str:
    """``1 key``, ``0 keys``, ``1,200 keys``."""
    return f"{count:,} {thing}" if count == 1 else f"{count:,} {thing}s"


def seen(text: str) -> str:
    """Nothing in a text may drive the terminal, or turn the line around; tabs may stay."""
    return _DRIVES.sub(" ", text)


def printable(text: str) -> str:
    """The text with a space for each character that does not print, tabs and line ends too."""
    return "".join(char if char.isprintable() else " " for char in text)


def as_line(text: str) -> str:
    """The text as one line that prints, without more than one space anywhere."""
    return " ".join(printable(text).split())


def is_unspaced(char: str) -> bool:
    """Whether a character belongs to a script that writes words without spaces between them."""
    return bisect_right(_BOUNDS, ord(char)) % 2 == 1


def joins(char: str) -> bool:
    """Whether a character would merge with a neighbouring word: letters, digits, marks, _."""
    return (
        char.isalnum() or char == "_" or unicodedata.category(char).startswith("M")
    ) and not is_unspaced(char)


def _seen(char: str) -> bool:
    """Whether a character shows: soft hyphens, joiners and the like part no words."""
    return unicodedata.category(char) != "Cf"


def _neighbour(rest: str) -> str:
    """The first visible character."""
    return next(filter(_seen, rest), " ")


def boundaries(text: str) -> tuple[list[bool], list[bool]]:
    """Possible starts and ends of spans: bool [len + 1] each, before each character.

    As ``find_word`` has it, and no span begins or ends inside a number: ``7`` is not in ``7.5``,
    nor ``1`` in ``1,000``.
    """
    before, after = _last_seen(text), _last_seen(text[::-1])[::-1]
    begins = [not (joins(a) and joins(b)) for a, b in zip(before, after, strict=True)]
    ends = [
        may and not unicodedata.category(b).startswith("M")
        for may, b in zip(begins, after, strict=True)
    ]
    for number in _NUMBER.finditer(text):
        inner = slice(number.start() + 1, number.end())
        begins[inner] = ends[inner] = [False] * (number.end() - number.start() - 1)
    return begins, ends


def _last_seen(text: str) -> list[str]:
    """The last visible character before each place of a text; a space where there is none."""
    found = [" "]
    for char in text:
        found.append(char if _seen(char) else found[-1])
    return found


def find_word(text: str, word: str, start: int = 0) -> int:
    """Index of the first occurrence of ``word`` at word boundaries from ``start`` on, or -1.

    A boundary is broken where letters of a spaced script meet: ``sun`` is not in ``sunny``, but
    ``海`` is in ``海滩`` and ``iPhone`` in ``我的iPhone``.
    """
    at = text.find(word, start)
    while at >= 0:
        end = at + len(word)
        left, right = _neighbour(text[:at][::-1]), _neighbour(text[end:])
        runs_in = joins(left) and joins(word[0])
        runs_out = joins(right) and joins(word[-1])
        # A combining mark after the word changes its last letter, whatever that letter is.
        marked = unicodedata.category(right).startswith("M")
        if not (runs_in or runs_out or marked):
            return at
        at = text.find(word, at + 1)
    return -1


def alternatives(keyword: Keyword) -> tuple[str, ...]:
    """The spellings of a keyword, each once.

    Raises
    ------
    InputError
        There are none, or they are no texts.
    """
    if isinstance(keyword, str):
        check_unicode(keyword)
        return (keyword,)
    check_texts(keyword, "alternatives of a keyword")
    if not keyword:
        raise InputError("a keyword has no alternatives: give at least one word")
    return tuple(dict.fromkeys(keyword))


def find_any(text: str, words: Sequence[str], start: int = 0) -> int:
    """Index after the occurrence of any of the words that ends first from ``start`` on, or -1."""
    found = [(find_word(text, word, start), len(word)) for word in words]
    return min((at + size for at, size in found if at >= 0), default=-1)


def holds_words(
    text: str,
    words: Sequence[Keyword],
    any_order: bool = False,
    without: Sequence[str] = (),
    words_between: tuple[int, int] | None = None,
    one_line: bool = False,
) -> bool:
    """Whether every keyword occurs in the text verbatim, at word boundaries.

    Without ``any_order`` the keywords must follow each other in the order given, not overlapping.
    A keyword given twice must stand there twice. Of alternatives one is enough. None of the words
    of ``without`` may occur, the number of words (``count_words``) is within ``words_between``,
    both ends included, and in one line there is no line break.
    """
    if one_line and not LINE_BREAKS.isdisjoint(text):
        return False
    if any(find_word(text, word) >= 0 for word in without):
        return False
    if words_between and not words_between[0] <= count_words(text) <= words_between[1]:
        return False
    return all(_follow(text, group) for group in ordered_groups(words, any_order))


def spellings_used(text: str, words: Sequence[Keyword]) -> list[str | None]:
    """Of each keyword the alternative that stands in the text, the first of several; None if none.

    At word boundaries, wherever it stands.
    """
    each = map(alternatives, words)
    return [next((w for w in keyword if find_word(text, w) >= 0), None) for keyword in each]


def ordered_groups(words: Sequence[Keyword], any_order: bool) -> list[list[tuple[str, ...]]]:
    """Keywords in groups that each keep their order: one group, or one for each distinct keyword.

    Two keywords are the same if they have the same alternatives.
    """
    keywords = [alternatives(word) for word in words]
    if not any_order:
        return [keywords] if keywords else []
    groups: dict[frozenset[str], list[tuple[str, ...]]] = {}
    for keyword in keywords:
        groups.setdefault(frozenset(keyword), []).append(keyword)
    return list(groups.values())


def _follow(text: str, keywords: Sequence[tuple[str, ...]]) -> bool:
    """Whether the keywords follow one another in the text."""
    at = 0
    for keyword in keywords:
        # What ends first leaves most of the text to the others.
        at = find_any(text, keyword, at)
        if at < 0:
            return False
    return True


def role(char: str) -> Role:
    """What a character is in a count of words (``count_words``)."""
    category = unicodedata.category(char)
    if category == "Cf" or category.startswith("M"):
        return "unseen"
    if char.isalnum() or char == "_":
        return "alone" if is_unspaced(char) else "part"
    return "inner" if char in INNER else "other"


def count_words(text: str) -> int:
    """The number of words in a text.

    A word is a longest run of letters, digits and underscores with single apostrophes or hyphens
    inside: ``don't`` and ``ice-cream`` are one word each, ``3.14`` is two. Where a script writes
    no spaces (``is_unspaced``: Chinese, Japanese, Thai, …) every character is a word.
    """
    signs = {"part": "w", "alone": "c", "inner": "-", "unseen": "", "other": " "}
    return len(re.findall("w+(?:-w+)*|c", "".join(signs[role(char)] for char in text)))


def check_word(word: str) -> None:
    """Raise InputError if a keyword is empty or contains unprintable characters."""
    check_unicode(word)
    if not any(unicodedata.category(char)[0] not in "ZC" for char in word):
        controls = [char for char in word if unicodedata.category(char) in ("Cc", "Cf")]
        what = f"has only control characters ({word!r})" if controls else "is empty"
        raise InputError(f"a keyword {what}; it needs at least one letter")
    for char in word:
        if unicodedata.category(char) in ("Cc", "Zl", "Zp") or char in _DIRECTION:
            raise InputError(
                f"the keyword {word!r} contains the control character {char!r}; remove it"
            )


def check_unicode(text: str) -> None:
    """Raise InputError if this is no text, or one that is no valid Unicode."""
    if not isinstance(text, str):
        raise InputError(f"{text!r:.60} is not a text: give a str")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"{text!r} is not valid Unicode: {error.reason}") from error


def check_text(text: object, what: str) -> None:
    """Raise InputError if something is not one text of valid Unicode; ``what`` names it."""
    if not isinstance(text, str):
        raise InputError(f"{what} must be one text, got {text!r:.60}")
    check_unicode(text)


def check_texts(texts: object, what: str = "texts") -> None:
    """Raise InputError if these are not several texts; one alone would be read letter by letter."""
    if isinstance(texts, str | bytes):
        raise InputError(
            f"{what} must be a list of texts, got the text {texts!r:.60}: put it into a list"
        )
    if not isinstance(texts, Collection):
        raise InputError(f"{what} must be a list of texts, got {texts!r:.60}")
    for text in texts:
        check_text(text, f"each of the {what}")
