"""Fold letters that people take for one another, each character by itself, so that places stay."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray

from ergotext.lm.ragged import offsets_of, take_rows
from ergotext.support.arrays import Ints

_SIGNS = str.maketrans(
    dict.fromkeys("\u2018\u2019\u201a\u201b\u2032\u02bc`\u00b4", "'")
    | dict.fromkeys("\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb", '"')
    | dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-")
    | dict.fromkeys("\u2022\u2027\u22c5\u30fb", "\u00b7")
)
"""Forms of quotes, dashes and middle dots."""
_ACCENTS = dict.fromkeys(range(0x300, 0x370), "")
"""Marks of Latin, Greek and Cyrillic letters; those of other scripts are letters of their own."""
_IDEOGRAPHS = ((0x3400, 0x9FFF), (0x20000, 0x3FFFF))


def alike(text: str) -> list[str]:
    """Each character of a text with similar letters folded together.

    Case, width, composition, accents, traditional or simplified Chinese, and the forms of quotes,
    dashes and spaces make no difference; invisible characters, and spaces after a space, are
    nothing. Characters that a tokenizer writes byte by byte stay what they are in the index, so
    they are met in no other form.
    """
    found = [fold(char) for char in text]
    return [
        "" if one == before == " " else one
        for before, one in zip(["", *found], found, strict=False)
    ]


@lru_cache(maxsize=1 << 16)
def fold(char: str) -> str:
    """One character folded; nothing for one that is invisible, or an accent alone."""
    if unicodedata.category(char) == "Cf":
        return ""
    plain = unicodedata.normalize("NFKC", char.translate(_SIGNS)).translate(_SIGNS)
    plain = unicodedata.normalize("NFKD", plain.casefold()).translate(_ACCENTS)
    if any(low <= ord(one) <= high for one in plain for low, high in _IDEOGRAPHS):
        return "".join(map(_simplified(), plain))
    return plain


def plain_letters(text: str) -> str:
    """The same, as long, with letters and digits of usual width and simplified characters."""
    return text if text.isascii() else "".join(map(_plain, text))


@lru_cache(maxsize=1 << 16)
def _plain(char: str) -> str:
    narrow = unicodedata.normalize("NFKC", char)
    if narrow.isascii() and narrow.isalnum() and unicodedata.east_asian_width(char) == "F":
        return narrow
    if any(low <= ord(char) <= high for low, high in _IDEOGRAPHS):
        found = _simplified()(char)
        return found if len(found) == 1 else char
    return char


@cache
def _simplified() -> Callable[[str], str]:
    """Traditional to simplified, a character at a time: words would move places."""
    from opencc import OpenCC

    return OpenCC("t2s").convert


def fold_points(points: NDArray[np.uint32]) -> tuple[NDArray[np.uint32], Ints]:
    """Code points folded, as uint32 [m], and int64 [n + 1]: where each of them begins there."""
    each, which = np.unique(points, return_inverse=True)
    pieces = [fold(chr(point)) for point in each.tolist()]
    flat = np.frombuffer("".join(pieces).encode("utf-32-le"), dtype="<u4")
    lengths = np.fromiter(map(len, pieces), dtype=np.int64, count=len(pieces))
    return take_rows(flat, offsets_of(lengths), which)
