"""The words of a text in lower case, to compare wordings by."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ergotext.support.words import is_unspaced

_WORD = re.compile(r"\w+(?:['’]\w+)*")


def words_of(text: str) -> list[str]:
    """The words of a text in lower case, without punctuation; of unspaced scripts, characters."""
    return [part for word in _WORD.findall(text.lower()) for part in _parts(word)]


def _parts(word: str) -> Iterator[str]:
    """A word, cut at the characters of scripts that set no spaces."""
    run = ""
    for char in word:
        if is_unspaced(char):
            yield from (part for part in (run, char) if part)
            run = ""
        else:
            run += char
    if run:
        yield run
