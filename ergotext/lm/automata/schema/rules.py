"""Collect, prune and print grammar rules in llguidance's notation."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from ergotext.lm.automata.schema.document import Fact
from ergotext.lm.automata.schema.normal_form import Logic

Way = tuple[str, ...]

MOST = 20_000
"""Rules of one grammar."""


class Rules:
    """Rules by name: each a list of alternatives, each a sequence of symbols.

    A symbol is the name of a rule, or that of a terminal, in capitals.
    """

    def __init__(self) -> None:
        self.ways: dict[str, list[Way]] = {}
        self._terminals: dict[str, str] = {}
        self._counts: dict[str, str] = {}

    def terminal(self, expression: str) -> str:
        """The name of a terminal."""
        kind = "t" if expression.startswith("%") else "T"  # only rules may hold a schema
        return self._terminals.setdefault(expression, f"{kind}{len(self._terminals)}")

    def add(self, ways: Iterable[Way], kind: str = "r") -> str:
        """A new rule; its name."""
        name = f"{kind}{len(self.ways)}"
        self.ways[name] = list(dict.fromkeys(ways))
        return name

    def repeated(self, symbol: str, least: int, most: int | None) -> str:
        """The name of a rule: so many times a symbol."""
        if most == 0:
            return self.add([()])
        name = self.add([(symbol,), *([()] if not least else [])])
        self._counts[name] = f"{symbol}{{{least},{'' if most is None else most}}}"
        return name

    def written(self, start: str) -> str:
        """The grammar's text; nothing, if it derives no text."""
        fruitful = self._fruitful()
        if start not in fruitful:
            return ""
        ways = {
            name: [
                w for w in self.ways[name] if all(s in fruitful or s not in self.ways for s in w)
            ]
            for name in self._reached(start, fruitful)
        }
        lines = [f"start: {start}"]
        for name, some in ways.items():
            told = " | ".join(" ".join(way) or '""' for way in some)
            lines.append(
                f"{name}: {self._counts[name] if any(some) and name in self._counts else told}"
            )
        used = {symbol for some in ways.values() for way in some for symbol in way}
        for expression, name in self._terminals.items():
            if name in used:
                lines.append(f"{name}: {expression}")
        return "\n".join(lines)

    def _fruitful(self) -> set[str]:
        """The rules that derive some text."""
        missing = {(name, k): 0 for name, ways in self.ways.items() for k in range(len(ways))}
        users: dict[str, list[tuple[str, int]]] = {}
        for name, ways in self.ways.items():
            for k, way in enumerate(ways):
                below = {symbol for symbol in way if symbol in self.ways}
                missing[name, k] = len(below)
                for symbol in below:
                    users.setdefault(symbol, []).append((name, k))
        found: set[str] = set()
        todo = [name for (name, _), count in missing.items() if not count]
        while todo:
            name = todo.pop()
            if name not in found:
                found.add(name)
                for user in users.get(name, []):
                    missing[user] -= 1
                    todo += [user[0]] if not missing[user] else []
        return found

    def _reached(self, start: str, fruitful: set[str]) -> list[str]:
        found, todo = dict.fromkeys([start]), [start]
        while todo:
            for way in self.ways[todo.pop()]:
                if all(symbol in fruitful or symbol not in self.ways for symbol in way):
                    new = [s for s in way if s in self.ways and s not in found]
                    found |= dict.fromkeys(new)
                    todo += new
        return list(found)


class Writing(Protocol):
    """The part of a grammar that the rules of arrays and objects use."""

    logic: Logic
    rules: Rules
    space: Way

    def value(self, facts: tuple[Fact, ...]) -> str: ...
    def token(self, text: str) -> Way: ...
    def literal(self, value: Any) -> Way: ...
    def pair(self, name: str, value: Way) -> Way: ...
