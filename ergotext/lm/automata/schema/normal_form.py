"""Reduce the conditions of a schema to alternatives that can be written as grammar rules."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from fractions import Fraction
from functools import lru_cache
from typing import Any

from ergotext.errors import InputError
from ergotext.lm.automata.schema.applicators import APPLICATORS
from ergotext.lm.automata.schema.characters import matching
from ergotext.lm.automata.schema.conditions import (
    TYPES,
    Alternative,
    Atom,
    Either,
    Item,
    Number,
    OneOf,
    Opaque,
    Other,
    Types,
)  # fmt: skip
from ergotext.lm.automata.schema.document import Document, Fact, fault
from ergotext.lm.automata.schema.keywords import PLAIN
from ergotext.lm.automata.schema.patterns import contents
from ergotext.lm.automata.schema.values import integral, key, quoted, same, type_of

MOST = 2000
"""Maximum number of alternatives for one value."""

FEW = 200
"""Ways that are compared with one another, to leave out what others say too."""

DEPTH = 4
"""How far below a value it is looked for what cannot be."""


class Logic:
    """Derives consequences from the facts of a schema.

    Parameters
    ----------
    document : Document
    keys : function (str) -> container of bytes, optional
        The keys of an index, by its name.
    """

    def __init__(
        self, document: Document, keys: Callable[[str], Container[bytes]] | None = None
    ) -> None:
        self._document, self._keys = document, keys
        self.by_text = document.draft == "draft-04"
        """Whether 1.0 is no integer, though 1 is: being one is a matter of how it is written."""
        self._said: dict[Fact, tuple[Item, ...]] = {}
        self._shapes: dict[frozenset[Fact], list[Alternative]] = {}
        self._asked: set[frozenset[Fact]] = set()

    def said(self, fact: Fact) -> tuple[Item, ...]:
        """Reduce a fact by one step."""
        if fact not in self._said:
            self._said[fact] = tuple(self._read(fact))
        return self._said[fact]

    def _read(self, fact: Fact) -> list[Item]:
        if isinstance(fact.schema, bool):
            return [] if fact.schema == fact.holds else [Either(())]
        words = self._document.words(fact)
        positive = fact if fact.holds else -fact
        items: list[Item] = []
        against: list[tuple[Item, ...]] = []
        for word in words:
            if word in PLAIN:
                holds, ways = PLAIN[word](positive, word)
            elif word in APPLICATORS:
                holds, ways = APPLICATORS[word](positive, word, self._document, self.apart)
            else:
                continue
            items += holds
            against += map(tuple, ways)
        return items if fact.holds else [Either(tuple(against))]

    def shapes(self, facts: Iterable[Fact]) -> list[Alternative]:
        """The alternatives under which a value satisfies all of these facts.

        Raises
        ------
        InputError
            There are too many alternatives.
        """
        known = frozenset(facts)
        if known not in self._shapes:
            found = list(dict.fromkeys(self._walk([*facts][::-1])))
            few = found if len(found) <= FEW else []
            self._shapes[known] = [shape for shape in found if not self._idle(shape, few)]
        return self._shapes[known]

    def _walk(self, facts: Sequence[Item]) -> Iterator[Alternative]:
        count = 0
        stack: list[tuple[list[Item], Types, dict[Atom | Other | OneOf | Opaque, None], set[Fact]]]
        stack = [([*facts], Types(TYPES), {}, set())]
        while stack:
            todo, types, atoms, seen = stack.pop()
            later: list[Either] = []
            while todo and types.types:
                item = todo.pop()
                if isinstance(item, Either):
                    later.append(item)
                elif isinstance(item, Types):
                    types = types.narrowed(item)
                elif not isinstance(item, Fact):
                    atoms[item] = None
                elif -item in seen:
                    types = Types(frozenset())
                elif item not in seen:
                    seen.add(item)
                    todo += reversed(self.said(item))
            if not types.types:
                continue
            if not later:
                count += 1
                yield Alternative(types, tuple(atoms))
            else:
                # Certain facts have been applied before any alternatives are split.
                first, *rest = sorted(later, key=lambda either: len(either.ways))
                stack += [
                    ([*rest, *way[::-1]], types, atoms.copy(), seen.copy())
                    for way in first.ways[::-1]
                    if not _against(way, types, atoms, seen)
                ]
            if count + len(stack) > MOST:
                raise InputError(
                    f"the schema has more than {MOST} alternatives for one value (anyOf, oneOf, "
                    "not, if): simplify it"
                )

    def _idle(self, shape: Alternative, among: list[Alternative]) -> bool:
        """Whether a shape admits nothing, or nothing that a plainer one does not."""
        atoms = set(shape.atoms)
        return self._dead(shape, 1) or any(
            other is not shape
            and shape.types.types <= other.types.types
            and shape.types.whole <= other.types.whole
            and set(other.atoms) < atoms
            for other in among
        )

    def fits(self, value: Any, item: Item) -> bool:
        """Whether a known value satisfies the facts."""
        if isinstance(item, Fact):
            if not item.holds:
                return not self.fits(value, -item)
            return all(self.fits(value, one) for one in self.said(item))
        if isinstance(item, Either):
            return any(all(self.fits(value, one) for one in way) for way in item.ways)
        if isinstance(item, Types):
            type_ = type_of(value)
            return type_ in item.types and (type_ != "number" or integral(value) in item.whole)
        if isinstance(item, OneOf):
            return key(value) in item.keys
        if isinstance(item, Other):
            return key(value) != item.key
        if isinstance(item, Opaque):
            return self.fits(value, item.fact)
        if type_of(value) != item.type:
            return True
        if item.kind == "index":
            return self._is_key(value, item) == item.holds
        return bool(_TRIED[item.kind](self, value, item.value)) == item.holds

    def _is_key(self, value: str, item: Atom) -> bool:
        if self._keys is None:
            raise fault("x-index", item.place, "it is not known what the keys of the index are")
        return value.encode() in self._keys(item.value)

    def values(self, shape: Alternative) -> list[Any] | None:
        """The values of a shape that lists them; None where it lists none."""
        listed = next((atom for atom in shape.atoms if isinstance(atom, OneOf)), None)
        if listed is None:
            return None
        fit = [
            v for v in listed.values if all(self.fits(v, i) for i in (shape.types, *shape.atoms))
        ]
        return list({key(value): value for value in fit}.values())

    def listed(self, facts: Iterable[Fact]) -> list[Any] | None:
        """All values that fit, if every alternative lists them (or is null, true or false)."""
        found: list[Any] = []
        for shape in self.shapes(facts):
            values = self.values(shape)
            if values is None and shape.types.types <= {"null", "boolean"}:
                items = (shape.types, *shape.atoms)
                values = [v for v in (None, True, False) if all(self.fits(v, i) for i in items)]
            if values is None:
                return None
            found += values
        return list({key(value): value for value in found}.values())

    def known(self, shape: Alternative) -> list[Any] | None:
        """As ``values``; where it lists none, no part of the shape is beyond a grammar.

        Raises
        ------
        InputError
            A part is.
        """
        values = self.values(shape)
        for atom in shape.atoms if values is None else ():
            if isinstance(atom, Opaque):
                raise fault(
                    atom.keyword,
                    atom.place,
                    "under not, oneOf or if no grammar keeps to its opposite",
                )
        return values

    def impossible(self, facts: Iterable[Fact], depth: int = DEPTH) -> bool:
        """True if no value is known to fit; False if that is unknown."""
        return depth > 0 and all(self._dead(shape, depth) for shape in self.shapes(facts))

    def apart(self, *facts: Fact) -> bool:
        """True if no value is known to satisfy all of these."""
        both = frozenset(facts)
        if both in self._asked:  # by way of a schema that refers to itself
            return False
        self._asked.add(both)
        try:
            return self.impossible(both)
        finally:
            self._asked.remove(both)

    def _dead(self, shape: Alternative, depth: int) -> bool:
        listed = self.values(shape)
        if listed is not None:
            return not listed
        return not any(self.alive(shape, type_, depth) for type_ in shape.types.types)

    def alive(self, shape: Alternative, type_: str, depth: int = 1) -> bool:
        """False if no value of a type is known to fit an alternative."""
        others = [atom.value for atom in shape.atoms if isinstance(atom, Other)]
        atoms = shape.of(type_)
        if type_ in ("null", "boolean"):
            values = [None] if type_ == "null" else [True, False]
            return any(not any(same(value, other) for other in others) for value in values)
        named = {atom.value for atom in atoms if atom.kind == "has"}
        if named & {atom.value for atom in atoms if atom.kind == "lacks"}:
            return False
        low, high = ends(
            atoms, {"number": "", "string": "length", "array": "items"}.get(type_, "names")
        )
        if low is not None and high is not None and low >= high:
            return low == high and not (type_ == "number" and any(same(low, o) for o in others))
        return type_ != "object" or not any(
            self.impossible(self.of_member(atoms, name), depth - 1) for name in named
        )

    def of_member(self, atoms: Iterable[Atom], name: str) -> tuple[Fact, ...]:
        """The facts of an object's member."""
        facts: list[Fact] = []
        for atom in atoms:
            if atom.kind == "members":
                facts += atom.value.of(name, self.matched(atom.value.patterns, name))
        return tuple(dict.fromkeys(facts))

    def matched(self, patterns: Iterable[tuple[str, Fact]], name: str) -> frozenset[str]:
        """The patterns that a name matches."""
        return frozenset(pattern for pattern, _ in patterns if matches(pattern, name))


def _against(
    way: Iterable[Item], types: Types, atoms: Container[Any], seen: Container[Fact]
) -> bool:
    """Whether a way goes against what is certain, at first sight."""
    for item in way:
        if isinstance(item, Types) and not types.narrowed(item).types:
            return True
        if isinstance(item, Fact) and -item in seen:
            return True
        if isinstance(item, Atom) and item.kind in ("has", "lacks"):
            other = Atom("object", "lacks" if item.kind == "has" else "has", item.value, "")
            if other in atoms and types.types == {"object"}:
                return True
    return False


def ends(atoms: Iterable[Atom], kind: str) -> tuple[Number | None, Number | None]:
    """The greatest lower and the least upper bound, of counts or of numbers."""
    kept = [atom for atom in atoms if atom.holds]
    low = max((atom.value for atom in kept if atom.kind == f"{kind}>="), default=None)
    high = min((atom.value for atom in kept if atom.kind == f"{kind}<="), default=None)
    return low, high


@lru_cache(maxsize=4096)
def matches(pattern: str, text: str) -> bool:
    """Whether a pattern matches in a text."""
    return matching(f"start: T\nT: /{contents(pattern)}/", quoted(text)[1:-1].encode())


def _in_members(logic: Logic, value: dict[str, Any], members: Any) -> bool:
    return all(
        logic.fits(below, fact)
        for name, below in value.items()
        for fact in members.of(name, logic.matched(members.patterns, name))
    )


def _contained(logic: Logic, value: list[Any], told: Any) -> bool:
    count = sum(logic.fits(below, told.fact) for below in value)
    return bool(told.least <= count and (told.most is None or count <= told.most))


_TRIED: dict[str, Callable[[Logic, Any, Any], bool]] = {
    ">=": lambda _, value, bound: value >= bound,
    "<=": lambda _, value, bound: value <= bound,
    "multiple": lambda _, value, step: (Fraction(value) / Fraction(step)).denominator == 1,
    "pattern": lambda _, value, pattern: matches(pattern, value),
    "unique": lambda _, value, __: len({key(one) for one in value}) == len(value),
    "items": lambda logic, value, told: all(
        logic.fits(below, fact) for at, below in enumerate(value) for fact in told.at(at)
    ),
    "contains": _contained,
    "has": lambda _, value, name: name in value,
    "lacks": lambda _, value, name: name not in value,
    "names": lambda logic, value, fact: all(logic.fits(name, fact) for name in value),
    "members": _in_members,
    **{
        f"{kind}{way}": (lambda _, value, count: len(value) >= count)
        if way == ">="
        else (lambda _, value, count: len(value) <= count)
        for kind in ("length", "items", "names")
        for way in (">=", "<=")
    },
}
"""How each kind of atom is tried on a value of its type."""
