r"""Translate ECMAScript regular expressions to Rust's, over JSON strings.

What a schema's ``pattern`` says is said of the text; what a grammar reads is the text as JSON
writes it (``characters``). So an expression is taken apart and put together again, each set of
characters with its escapes. A pattern matches anywhere in the text, unless anchored.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import NoReturn

from ergotext.errors import InputError
from ergotext.lm.automata.schema.characters import UNIT, Characters, matching, without

_DIGITS = ((0x30, 0x39),)
_WORD = (*_DIGITS, (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A))
_SPACE = (
    *((0x09, 0x0D), (0x20, 0x20), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A)),
    *((0x2028, 0x2029), (0x202F, 0x202F), (0x205F, 0x205F), (0x3000, 0x3000), (0xFEFF, 0xFEFF)),
)
_NAMED = {"d": _DIGITS, "w": _WORD, "s": _SPACE}
_NAMED |= {name.upper(): without(ranges) for name, ranges in _NAMED.items()}
_LINE = ((0x0A, 0x0A), (0x0D, 0x0D), (0x2028, 0x2029))
_CONTROL = {"t": 0x09, "n": 0x0A, "v": 0x0B, "f": 0x0C, "r": 0x0D, "0": 0x00}
_COUNT = re.compile(r"\{([0-9]+)(?:(,)([0-9]*))?\}")
_CODE = re.compile(r"x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|u\{([0-9a-fA-F]{1,6})\}|c([a-zA-Z])")
_PROPERTY = re.compile(r"[pP]\{[A-Za-z_]+(?:=[A-Za-z_]+)?\}")
_GROUP = re.compile(r"\?(?::|<[A-Za-z_$][\w$]*>)")

MOST = 256
"""Ways through an expression's anchors, at most."""


class PatternError(ValueError):
    """An unsupported part of an expression."""


@dataclass(frozen=True)
class Anchor:
    """``^``, or else ``$``."""

    begin: bool


@dataclass(frozen=True)
class Group:
    """Ways, each a sequence, of which one matches."""

    ways: tuple[tuple[Node, ...], ...]

    @property
    def anchored(self) -> bool:
        return any(_anchored(node) for way in self.ways for node in way)


@dataclass(frozen=True)
class Repeat:
    """A node so many times; any number of times more, where there is no most."""

    node: Group | Characters
    least: int
    most: int | None


Node = Anchor | Group | Repeat | Characters


@lru_cache(maxsize=512)
def contents(pattern: str) -> str:
    """The JSON string contents of the texts in which a pattern matches.

    Raises
    ------
    PatternError
        The pattern is malformed, or has what no regular expression proper has: look-around,
        references back, word boundaries.
    """
    ways = []
    for way in _flat(_Parser(pattern).whole()):
        begins, ends = 0, len(way)
        while begins < ends and way[begins] == Anchor(True):
            begins += 1
        while ends > begins and way[ends - 1] == Anchor(False):
            ends -= 1
        body = way[begins:ends]
        if any(isinstance(node, Anchor) for node in body):
            raise PatternError("^ or $ occurs in the middle")
        before, after = "" if begins else f"{UNIT}*", "" if ends < len(way) else f"{UNIT}*"
        ways.append(before + "".join(map(_written, body)) + after)
    return f"(?:{'|'.join(ways)})"


def longest(pattern: str) -> float:
    """Characters of the longest text that matches an expression as a whole.

    +inf where there is no longest, or where the expression is not understood.
    """
    try:
        return _longest(_Parser(pattern).whole())
    except (ValueError, OverflowError, RecursionError):  # counts may be of any size
        return math.inf


def _longest(node: Node) -> float:
    if isinstance(node, Group):
        return max(sum(map(_longest, way)) for way in node.ways)
    if isinstance(node, Repeat):
        once, most = _longest(node.node), math.inf if node.most is None else node.most
        return once * most if once and most else 0
    return 0 if isinstance(node, Anchor) else 1


def _anchored(node: Node) -> bool:
    inner = node.node if isinstance(node, Repeat) else node
    return isinstance(inner, Anchor) or (isinstance(inner, Group) and inner.anchored)


def _flat(group: Group) -> list[tuple[Node, ...]]:
    """The same ways, with anchors in none of their groups."""
    done: list[tuple[Node, ...]] = []
    todo = list(group.ways)
    while todo:
        way = todo.pop()
        at = next((k for k, n in enumerate(way) if _anchored(n) and not isinstance(n, Anchor)), -1)
        if at < 0:
            done.append(way)
            continue
        node = way[at]
        if isinstance(node, Repeat):
            if node.most != 1 or not isinstance(node.node, Group):
                raise PatternError("^ or $ is repeated")
            node = Group((*node.node.ways, *([()] if not node.least else [])))
        assert isinstance(node, Group)
        todo += [(*way[:at], *inner, *way[at + 1 :]) for inner in node.ways]
        if len(todo) + len(done) > MOST:
            raise PatternError("^ or $ occurs in too many alternatives")
    return done


def _written(node: Node) -> str:
    if isinstance(node, Characters):
        return node.written()
    if isinstance(node, Group):
        return f"(?:{'|'.join(''.join(map(_written, way)) for way in node.ways)})"
    assert isinstance(node, Repeat)
    return f"(?:{_written(node.node)}){{{node.least},{'' if node.most is None else node.most}}}"


class _Parser:
    def __init__(self, pattern: str) -> None:
        self.pattern, self.at = pattern, 0

    def whole(self) -> Group:
        group = self._ways()
        if self.at < len(self.pattern):
            self._fail("a bracket is closed that was not opened")
        return group

    def _fail(self, why: str) -> NoReturn:
        raise PatternError(f"{why} at character {min(self.at, len(self.pattern)) + 1}")

    def _next(self) -> str:
        return self.pattern[self.at : self.at + 1]

    def _take(self, what: re.Pattern[str]) -> re.Match[str] | None:
        found = what.match(self.pattern, self.at)
        self.at = found.end() if found else self.at
        return found

    def _ways(self) -> Group:
        ways = [self._way()]
        while self._next() == "|":
            self.at += 1
            ways.append(self._way())
        return Group(tuple(ways))

    def _way(self) -> tuple[Node, ...]:
        nodes: list[Node] = []
        while self._next() not in ("", "|", ")"):
            nodes.append(self._repeated(self._one()))
        return tuple(nodes)

    def _counts(self) -> bool:
        """Whether a count comes next."""
        return self._next() in ("*", "+", "?") or bool(_COUNT.match(self.pattern, self.at))

    def _repeated(self, node: Anchor | Group | Characters) -> Node:
        if not self._counts():
            return node
        char, counted = self._next(), _COUNT.match(self.pattern, self.at)
        if isinstance(node, Anchor):
            self._fail("an anchor is repeated")
        if counted:
            least = int(counted[1])
            most = least if not counted[2] else int(counted[3]) if counted[3] else None
            if most is not None and most < least:
                self._fail("a count is out of order")
            self.at = counted.end()
        else:
            least, most = {"*": (0, None), "+": (1, None), "?": (0, 1)}[char]
            self.at += 1
        if self._next() == "?":  # as few as possible: the same texts
            self.at += 1
        if self._counts():
            self._fail("a count is counted")
        return Repeat(node, least, most)

    def _one(self) -> Anchor | Group | Characters:
        char = self._next()
        if char == "(":
            self.at += 1
            if self._next() == "?" and not self._take(_GROUP):
                self._fail("look-around or a flag occurs")
            group = self._ways()
            if self._next() != ")":
                self._fail("a bracket is not closed")
            self.at += 1
            return group
        if self._counts():
            self._fail("nothing is repeated")
        if char == "[":
            return self._class()
        self.at += 1
        if char in ("^", "$"):
            return Anchor(char == "^")
        if char == ".":
            return Characters(_LINE, negated=True)
        return self._escape(inside=False) if char == "\\" else _single(ord(char))

    def _escape(self, inside: bool) -> Characters:
        """The part after a backslash."""
        if found := self._take(_PROPERTY):
            return Characters(properties=(_checked(f"\\{found[0]}"),))
        if found := self._take(_CODE):
            digits = found[1] or found[2] or found[3]
            code = int(digits, 16) if digits else ord(found[4]) % 32
            low = re.compile(r"\\u([dD][c-fC-F][0-9a-fA-F]{2})")
            if found[2] and 0xD800 <= code <= 0xDBFF and (pair := self._take(low)):
                code = 0x10000 + ((code - 0xD800) << 10) + int(pair[1], 16) - 0xDC00
            if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
                self._fail("a code is no character")
            return _single(code)
        char = self._next()
        self.at += 1
        if char in _NAMED:
            return Characters(_NAMED[char])
        if char in _CONTROL and not (char == "0" and self._next().isdigit()):
            return _single(_CONTROL[char])
        if inside and char == "b":
            return _single(0x08)
        if char == "" or char.isalnum():
            self.at -= 1
            self._fail(f"\\{char} stands")
        return _single(ord(char))

    def _class(self) -> Characters:
        self.at += 1
        negated = self._next() == "^"
        self.at += negated
        found = Characters()
        while self._next() != "]":
            low = self._member()
            if self._next() == "-" and self.pattern[self.at + 1 : self.at + 2] not in ("]", ""):
                self.at += 1
                high = self._member()
                ends = (_code(low), _code(high))
                if ends[0] is None or ends[1] is None or ends[0] > ends[1]:
                    self._fail("a range is out of order")
                low = Characters(((ends[0], ends[1]),))
            found |= low
        self.at += 1
        return Characters(found.ranges, found.properties, negated)

    def _member(self) -> Characters:
        char = self._next()
        if not char:
            self._fail("a class is not closed")
        self.at += 1
        return self._escape(inside=True) if char == "\\" else _single(ord(char))


def _single(code: int) -> Characters:
    return Characters(((code, code),))


def _code(chars: Characters) -> int | None:
    """The code point of a set of one."""
    (low, high), *more = chars.ranges or ((0, 1),)
    return low if low == high and not more and not chars.properties else None


@lru_cache(maxsize=64)
def _checked(name: str) -> str:
    r"""A property such as ``\p{Lu}``, if Rust's expressions know it."""
    try:
        matching(f"start: /[{name}]/", b"a")
    except InputError as error:
        raise PatternError(f"{name} is not a known property") from error
    return name
