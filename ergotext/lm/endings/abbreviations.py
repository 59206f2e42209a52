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


def _last_word(text: str) -> str:
    """Letters, and stops between them, at the very end of a text."""
    found = _WORD.search(text[-24:])
    return found.group() if found else ""
