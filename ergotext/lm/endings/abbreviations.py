"""English abbreviations: words whose full stop ends no sentence."""

from __future__ import annotations

import re

ALWAYS = frozenset(
    [
        "Mr",
        "Mrs",
        "Ms",
        "Mx",
        "Messrs",
        "Dr",
        "Drs",
        "Prof",
        "Rev",
        "Hon",
        "Fr",
        "St",
        "Mt",
        "Ft",
        "Gen",
        "Brig",
        "Col",
        "Lt",
        "Maj",
        "Capt",
        "Cmdr",
        "Adm",
        "Sgt",
        "Cpl",
        "Pvt",
        "Gov",
        "Sen",
        "Rep",
        "Pres",
        "Supt",
        "Insp",
        "vs",
        "viz",
        "cf",
        "approx",
        "al",
    ]
)
"""A name or the other side follows."""
BEFORE_NUMBERS = frozenset(
    [
        "No",
        "Nos",
        "nos",
        "Fig",
        "Figs",
        "fig",
        "figs",
        "Eq",
        "Eqs",
        "eq",
        "Sec",
        "Vol",
        "Vols",
        "vol",
        "vols",
        "Art",
        "Ch",
        "ch",
        "p",
        "pp",
        "Jan",
        "Feb",
        "Apr",
        "Jun",
        "Jul",
        "Aug",
        "Sep",
        "Sept",
        "Oct",
        "Nov",
        "Dec",
    ]
)
"""A number follows; before anything else they end a sentence (``He said no.``, ``in Dec.``)."""
TIMES = frozenset({"a.m", "p.m", "A.M", "P.M"})
"""Dotted letters that end a sentence when white space and no lower-case letter follow."""

BEFORE_LOWER = frozenset(
    [
        "etc",
        "ca",
        "incl",
        "excl",
        "esp",
        "resp",
        "est",
        "eg",
        "ie",
        "sec",
        "eds",
        "min",
        "max",
        "avg",
        "temp",
        "dept",
        "govt",
        "univ",
        "assoc",
        "inc",
        "co",
        "corp",
        "bros",
        "orig",
        "oz",
        "cu",
        "gal",
        "tel",
        "ext",
    ]
)
"""They end a sentence when white space and no lower-case letter follow (``apples, etc. and``)."""
_VOWEL = re.compile("[aeiouyà-æè-ïò-öù-ü]")

_WORD = re.compile(r"(?<![^\W_])(?:[^\W\d_]+\.)*[^\W\d_]+\Z")
_DOTTED = re.compile(r"(?:[^\W\d_]{1,2}\.)+[^\W\d_]{1,2}")


def abbreviated(before: str) -> bool:
    """Whether a full stop after this text belongs to an abbreviation, whatever follows.

    Known are titles and the like (``ALWAYS``), initials (``J. Smith``; ``I`` is a pronoun), and
    letters with stops between them (``e.g.``, ``U.S.``, ``Ph.D.``), times of day left out.
    """
    word = _last_word(before)
    initial = len(word) == 1 and word.isupper() and word != "I"
    dotted = _DOTTED.fullmatch(word) is not None and word not in TIMES
    return initial or dotted or word in ALWAYS


def before_number(before: str) -> bool:
    """Whether a full stop after this text belongs to an abbreviation if a number follows."""
    return _last_word(before) in BEFORE_NUMBERS


def ordinary(before: str) -> bool:
    """Whether a text ends in a word of small letters that is not known to be abbreviated.

    After such a word a full stop ends the sentence, whatever follows. What no vowel is in (``bzw``,
    ``km``) is no word.
    """
    word = _last_word(before)
    plain = len(word) > 1 and word.islower() and "." not in word and _VOWEL.search(word) is not None
    return plain and word not in ALWAYS | BEFORE_NUMBERS | BEFORE_LOWER


def _last_word(text: str) -> str:
    """Letters, and stops between them, at the very end of a text."""
    found = _WORD.search(text[-24:])
    return found.group() if found else ""
