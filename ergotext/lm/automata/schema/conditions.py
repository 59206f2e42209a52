"""Atomic conditions that a schema is reduced to, by type of value."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from ergotext.lm.automata.schema.document import Fact

TYPES = frozenset({"null", "boolean", "number", "string", "array", "object"})


@dataclass(frozen=True)
class Types:
    """The types that a value may have; ``whole`` is for numbers that are (not) integers."""

    types: frozenset[str]
    whole: frozenset[bool] = frozenset({True, False})

    def narrowed(self, to: Types) -> Types:
        """The types that both allow."""
        types, whole = self.types & to.types, self.whole & to.whole
        if "number" not in types or not whole:
            types, whole = types - {"number"}, self.whole
        return Types(types, whole)

    def __neg__(self) -> list[list[Item]]:
        """The ways of having another type."""
        ways: list[list[Item]] = [[Types(TYPES - self.types)]]
        if "number" in self.types and len(self.whole) == 1:
            ways.append([Types(frozenset({"number"}), frozenset({True, False}) - self.whole)])
        return ways


@dataclass(frozen=True)
class Atom:
    """A condition on the values of one type.

    ``>=``, ``<=`` (numbers, value a number), ``multiple``; ``length>=``, ``length<=``, ``pattern``
    (value, holds), ``index`` (its name); ``items>=``, ``items<=``, ``items`` (an ``Items``),
    ``contains`` (a ``Contains``), ``unique``; ``names>=``, ``names<=``, ``has``, ``lacks`` (a
    name), ``names`` (fact of every name), ``members`` (a ``Members``).
    """

    type: str
    kind: str
    value: Any
    place: str = field(compare=False)
    holds: bool = True


@dataclass(frozen=True)
class Other:
    """The value differs from this one."""

    key: str
    value: Any = field(compare=False)
    place: str = field(compare=False)


@dataclass(frozen=True)
class OneOf:
    """The value equals one of these, which have these keys."""

    keys: frozenset[str]
    values: Any = field(compare=False)
    place: str = field(compare=False)


@dataclass(frozen=True)
class Opaque:
    """A fact that can be tried on a value but is no condition that a grammar could keep."""

    fact: Fact
    keyword: str = field(compare=False)
    place: str = field(compare=False)


@dataclass(frozen=True)
class Either:
    """One of these conjunctions holds."""

    ways: tuple[tuple[Item, ...], ...]


@dataclass(frozen=True)
class Items:
    """The facts of an array's first elements, and of the others."""

    first: tuple[Fact, ...]
    rest: Fact | None

    def at(self, place: int) -> tuple[Fact, ...]:
        if place < len(self.first):
            return (self.first[place],)
        return () if self.rest is None else (self.rest,)


@dataclass(frozen=True)
class Contains:
    """Number of an array's elements that satisfy a fact."""

    fact: Fact
    least: int
    most: int | None


@dataclass(frozen=True)
class Members:
    """The facts of an object's members by name, by pattern of the name, and of the others."""

    named: tuple[tuple[str, Fact], ...]
    patterns: tuple[tuple[str, Fact], ...] = ()
    rest: Fact | None = None

    def of(self, name: str | None, matched: frozenset[str]) -> tuple[Fact, ...]:
        """Of a name, or of any that is not listed, and the patterns that it matches."""
        facts = [fact for listed, fact in self.named if listed == name]
        facts += [fact for pattern, fact in self.patterns if pattern in matched]
        return tuple(facts) if facts or self.rest is None else (self.rest,)


Item = Fact | Types | Atom | Other | OneOf | Opaque | Either


@dataclass(frozen=True)
class Alternative:
    """One alternative for a value: a conjunction of atoms, each for the values of its type."""

    types: Types = Types(TYPES)
    atoms: tuple[Atom | Other | OneOf | Opaque, ...] = ()

    def of(self, type_: str) -> list[Atom]:
        return [atom for atom in self.atoms if isinstance(atom, Atom) and atom.type == type_]


Number = int | Decimal
