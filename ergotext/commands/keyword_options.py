"""Keywords and the number of words as they are written on a command line."""

from __future__ import annotations

import re
import unicodedata

from ergotext.errors import InputError
from ergotext.support.words import Keyword

_WINDOW = re.compile(r"(\d{1,6})(?:\s*[-–]\s*(\d{1,6}))?", re.ASCII)


def keyword_of(text: str) -> Keyword:
    """``throw|threw`` as alternatives, anything else as one word or phrase.

    Raises
    ------
    InputError
        Nothing stands on one side of a bar.
    """
    text = text.replace("｜", "|")  # as Chinese keyboards write it
    if "|" not in text:
        return text
    found = tuple(dict.fromkeys(part.strip() for part in text.split("|")))
    if "" in found:
        raise InputError(
            f"the keyword {text!r} has an empty alternative: put a word on both sides of each | "
            "(throw|threw), or leave the | out"
        )
    return found if len(found) > 1 else found[0]


def window_of(text: str) -> tuple[int, int]:
    """``8-15`` as the least and the greatest number of words; ``8`` as both.

    Raises
    ------
    InputError
        It is neither, or the greater number comes first.
    """
    found = _WINDOW.fullmatch(unicodedata.normalize("NFKC", text).strip())
    if found is None:
        raise InputError(f"the number of words must be given as 8-15 or 8, got {text!r}")
    low, high = int(found[1]), int(found[2] or found[1])
    if low > high:
        raise InputError(
            f"the number of words must be given as 8-15, the smaller number first, got {text!r}"
        )
    return low, high
