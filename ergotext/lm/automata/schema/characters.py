r"""Character sets of ECMAScript expressions, and their spelling in JSON.

Inside a JSON string a quote, a backslash and control characters cannot stand for themselves: they
are written ``\"``, ``\\``, ``\n`` and so on, ``\u001f`` where there is no shorter way. All other
characters are written as they are, so each text has one spelling.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ergotext.errors import InputError
from ergotext.lm.automata.llguidance_errors import reason
from ergotext.lm.automata.schema.values import quoted
from ergotext.support.extras import needed

LAST = 0x10FFFF
Ranges = tuple[tuple[int, int], ...]

SPECIAL = (*range(0x20), ord('"'), ord("\\"))
"""What JSON writes by an escape."""

UNIT = r'(?:[^"\\\x{0}-\x{1f}]|\\(?:["\\bfnrt]|u00(?:0[0-7bef]|1[0-9a-f])))'
"""One character inside a string."""


@dataclass(frozen=True)
class Characters:
    r"""Ranges of code points, and properties such as ``\p{Lu}``; all others, where ``negated``."""

    ranges: Ranges = ()
    properties: tuple[str, ...] = ()
    negated: bool = False

    def __or__(self, other: Characters) -> Characters:
        """Both together; neither may be negated."""
        return Characters(self.ranges + other.ranges, self.properties + other.properties)

    def written(self) -> str:
        """A regular expression, of Rust's kind, of how JSON writes one of these."""
        if self.properties:
            inside = "".join(map(_range, self.ranges)) + "".join(self.properties)
            chosen = f"[{'^' if self.negated else ''}{inside}]"
            has = [code for code in SPECIAL if _holds(chosen, code)]
            ways = [rf'[{chosen}&&[^"\\\x{{0}}-\x{{1f}}]]']
        else:
            ranges = without(self.ranges) if self.negated else merged(self.ranges)
            has = [code for code in SPECIAL if any(low <= code <= high for low, high in ranges)]
            plain = without(without(ranges) + tuple((code, code) for code in SPECIAL))
            ways = [f"[{''.join(map(_range, plain))}]"] if plain else []
        ways += [exactly(chr(code)) for code in has]
        return f"(?:{'|'.join(ways)})" if ways else r"[^\x{0}-\x{10ffff}]"


def merged(ranges: Ranges) -> Ranges:
    """The same code points in ranges that rise and do not touch."""
    found: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if found and low <= found[-1][1] + 1:
            found[-1] = found[-1][0], max(found[-1][1], high)
        else:
            found.append((low, high))
    return tuple(found)


def without(ranges: Ranges) -> Ranges:
    """All other code points."""
    found, start = [], 0
    for low, high in merged(ranges):
        found += [(start, low - 1)] if low > start else []
        start = high + 1
    return (*found, (start, LAST)) if start <= LAST else tuple(found)


def exactly(text: str) -> str:
    """A regular expression of how JSON writes a text, without the quotes."""
    return "".join(_escaped(char) for char in quoted(text)[1:-1])


def _escaped(char: str) -> str:
    return char if char.isascii() and char.isalnum() else rf"\x{{{ord(char):x}}}"


def _range(pair: tuple[int, int]) -> str:
    """A range in a class; halves of surrogate pairs are no characters."""
    low, high = pair
    low = 0xE000 if 0xD800 <= low <= 0xDFFF else low
    high = 0xD7FF if 0xD800 <= high <= 0xDFFF else high
    return "" if low > high else rf"\x{{{low:x}}}-\x{{{high:x}}}"


@lru_cache(maxsize=4096)
def _holds(chosen: str, code: int) -> bool:
    """Whether a class of Rust's holds a character."""
    return bool(matching(rf"start: /{chosen}/", bytes([code])))


def matching(lark: str, text: bytes) -> bool:
    """Whether a small grammar derives a text.

    Raises
    ------
    InputError
        The grammar is malformed or too large.
    """
    matcher = _matcher(lark)
    taken = matcher.try_consume_tokens(list(text))
    return bool(taken == len(text) and matcher.is_accepting())


def possible(lark: str) -> bool:
    """Whether a small grammar derives any text.

    Raises
    ------
    InputError
        The grammar is malformed or too large.
    """
    matcher = _matcher(lark)
    mask = matcher.compute_bitmask()
    return bool(matcher.is_accepting() or (not matcher.is_error() and any(mask[:32])))


def _matcher(lark: str) -> Any:
    matcher = needed("llguidance", "automata").LLMatcher(_bytes(), lark, log_level=0)
    if matcher.is_error():
        raise InputError(
            f"a string of the schema is too complex to match: {reason(matcher.get_error())}"
        )
    return matcher


class _ByteTokenizer:
    """A tokenizer of bytes."""

    is_tokenizer_wrapper = True
    bos_token_id = None
    eos_token_id = 256
    tokens = (*(bytes([byte]) for byte in range(256)), b"")
    special_token_ids = (256,)

    def __call__(self, text: str | bytes) -> list[int]:
        return list(text.encode() if isinstance(text, str) else text)


@lru_cache(maxsize=1)
def _bytes() -> object:
    return needed("llguidance", "automata").LLTokenizer(_ByteTokenizer())
