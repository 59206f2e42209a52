"""Check grammars before llguidance sees them, and shorten its error messages."""

from __future__ import annotations

import re
from typing import Any

from ergotext.errors import InputError
from ergotext.support.extras import needed
from ergotext.support.words import check_text

_PLACE = re.compile(r"(?:at )?(\d+)\((\d+)\): ")
_LISTING = re.compile(r"\s*\d+ \| |\s*\^|<backtrace>|<state>")
_PARTS = re.compile(
    r'"(?:\\.|[^"\\\n])*"|/(?!/)(?:\\.|[^/\\\n])+/|//[^\n]*|#[^\n]*'
    r"|(?P<option>%llguidance)|(?P<special><(?!\[)[^>\n]*>)"
)
"""Strings, expressions and comments of a grammar, to be passed over, and what is sought."""

_POSSESSIVE = re.compile(
    r"\\[pPxuU]\{[^}]*\}|\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|(?P<found>(?:[*+?]|\{\d+(?:,\d*)?\})\+)",
    re.DOTALL,
)

LONG = 200
"""Characters of a reason, at most."""
DEAD_END = "NoExtension"
"""What llguidance calls it when no token can follow and the text is not whole."""


def matcher_of(source: str, tokenizer: Any, given: str) -> Any:
    """A matcher of a grammar; InputError, with what was given, for one that cannot be read."""
    matcher = needed("llguidance", "automata").LLMatcher(tokenizer, source, log_level=0)
    if matcher.is_error():
        raise InputError(f"{shown(given)} cannot be read: {reason(matcher.get_error())}")
    return matcher


def shown(given: str) -> str:
    """The beginning of a grammar, for a message."""
    return repr(given if len(given) <= 200 else given[:200] + "…")


def reason(error: str, before: int = 1) -> str:
    """One line that says what is wrong, without listings and states of the parser.

    Parameters
    ----------
    error : str
        In llguidance's words.
    before : int
        Lines that stand before those of the user's own grammar.
    """
    if error.startswith("panic"):
        return "llguidance failed on it"
    lines = []
    for line in error.splitlines():
        if _LISTING.match(line):
            break
        lines.append(line.strip())
    said = [
        line.removeprefix("error: ") for line in error.splitlines() if line.startswith("error: ")
    ]
    if said:
        return said[0][:LONG]
    text = " ".join(lines)
    if "lookarounds not supported" in text:
        return "anchors in the middle and word boundaries are not supported"
    place = _PLACE.match(text)
    where = f"line {int(place[1]) - before}, character {place[2]}: " if place else ""
    text = text[place.end() :] if place else text
    return where + (text if len(text) <= LONG else text[:LONG] + "…")


def check_grammar(lark: str) -> None:
    """Refuse what changes how a grammar is matched, and tokens that no text can hold.

    Raises
    ------
    InputError
        It is no text of valid Unicode, has options for llguidance, or names a special token.
    """
    check_text(lark, "a grammar")
    for part in _PARTS.finditer(lark):
        if part["option"]:
            raise InputError("a grammar cannot set options of llguidance: remove %llguidance")
        if part["special"]:
            raise InputError(
                f"the grammar contains the special token {part['special']}, which no text can "
                "contain: quote it to match its characters"
            )


def check_regex(pattern: str) -> None:
    r"""Refuse expressions that engines interpret differently.

    Raises
    ------
    InputError
        It is no text of valid Unicode, or has a possessive count such as ``a*+``, or a lone
        backslash at the end.
    """
    check_text(pattern, "an expression")
    for part in _POSSESSIVE.finditer(pattern):
        if part["found"]:
            raise InputError(
                f"the expression {pattern!r} has a possessive count ({part['found']}), which is "
                "not supported: drop the last +, or put brackets around the part before it"
            )
    if (len(pattern) - len(pattern.rstrip("\\"))) % 2:
        raise InputError(f"the expression {pattern!r} ends with a single backslash: write two")
