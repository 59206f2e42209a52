"""Write the grammar of the JSON texts that a schema admits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ergotext.errors import InputError
from ergotext.lm.automata.schema import numerals
from ergotext.lm.automata.schema.arrays import array
from ergotext.lm.automata.schema.conditions import Alternative, Atom, Other
from ergotext.lm.automata.schema.document import Fact, fault
from ergotext.lm.automata.schema.normal_form import Logic
from ergotext.lm.automata.schema.objects import object_
from ergotext.lm.automata.schema.rules import MOST, Rules, Way
from ergotext.lm.automata.schema.terminals import exact, number, string, vain
from ergotext.lm.automata.schema.values import integral, type_of
from ergotext.lm.automata.slot_source import slot


class Writer:
    """Writes the rules of one schema's grammar.

    Parameters
    ----------
    logic : Logic
    whitespace : bool
        Whether white space is allowed around all parts.
    """

    def __init__(self, logic: Logic, whitespace: bool) -> None:
        self.logic, self.rules = logic, Rules()
        self._names: dict[frozenset[Fact], str] = {}
        self._todo: list[tuple[str, tuple[Fact, ...]]] = []
        self.space: Way = (self.rules.terminal(r"/[ \t\r\n]*/"),) if whitespace else ()

    def lark(self, root: Fact) -> str:
        """The grammar; nothing, if no value fits.

        Raises
        ------
        InputError
            A keyword cannot be followed, or there are too many rules.
        """
        start = self.value((root,))
        while self._todo:
            name, facts = self._todo.pop()
            for shape in self.logic.shapes(facts):
                self.rules.ways[name] += self._ways(shape)
            if len(self.rules.ways) > MOST:
                raise InputError(f"the schema's grammar has more than {MOST} rules: simplify it")
        return self.rules.written(self.rules.add([(*self.space, start, *self.space)]))

    def value(self, facts: tuple[Fact, ...]) -> str:
        """The rule for values that satisfy all facts; its alternatives are added later."""
        key = frozenset(facts)
        if key not in self._names:
            self._names[key] = self.rules.add([], "v")
            self._todo.append((self._names[key], facts))
        return self._names[key]

    def token(self, text: str) -> Way:
        """A punctuation mark of JSON, and the space after it."""
        return (self.rules.terminal(f'"{text}"'), *self.space)

    def scalar(self, expression: str) -> list[Way]:
        return [] if vain(expression) else [(self.rules.terminal(expression),)]

    def _number(self, expression: str, shape: Alternative) -> str:
        """Without zeros after the point where they make an integer none: in draft-04."""
        if not self.logic.by_text or shape.types.whole != {True} or expression[0] == "%":
            return expression  # llguidance's own integers have no point
        return f"{expression} & ~/{numerals.WITH_POINT}/"

    def _ways(self, shape: Alternative) -> list[Way]:
        ways: list[Way]
        values = self.logic.known(shape)
        if values is not None:
            scalars = [value for value in values if not isinstance(value, list | dict)]
            ways = self.scalar(self._number(exact(*scalars), shape)) if scalars else []
            return ways + [self.literal(v) for v in values if isinstance(v, list | dict)]
        ways = []
        others = [atom for atom in shape.atoms if isinstance(atom, Other)]
        for value, type_ in ((None, "null"), (True, "boolean"), (False, "boolean")):
            if type_ in shape.types.types and all(self.logic.fits(value, o) for o in others):
                ways.append(self.literal(value))
        types = [type_ for type_ in shape.types.types if self.logic.alive(shape, type_)]
        if "number" in types:
            ways += self.scalar(self._number(number(shape), shape))
        if "string" in types:
            texts = [other.value for other in others if isinstance(other.value, str)]
            ways += self._strings(shape.of("string"), texts)
        for type_, write in (("array", array), ("object", object_)):
            if type_ in types:
                ways += write(self, shape.of(type_) + self._not_empty(shape, type_))
        return ways

    def _strings(self, atoms: Sequence[Atom], others: Sequence[str]) -> list[Way]:
        indexes = dict.fromkeys(atom for atom in atoms if atom.kind == "index")
        if len(indexes) == len(set(atoms)) == 1 and not others:
            return [(self.rules.terminal(slot(atom.value)),) for atom in indexes]
        return self.scalar(string(atoms, others))

    def _not_empty(self, shape: Alternative, type_: str) -> list[Atom]:
        """What is left of arrays or objects that a value must not be equal to."""
        found = []
        for other in shape.atoms:
            if not isinstance(other, Other) or type_of(other.value) != type_:
                continue
            if not other.value:
                kind = "items>=" if type_ == "array" else "names>="
                found.append(Atom(type_, kind, 1, other.place))
            elif all(self.logic.fits(other.value, a) for a in shape.atoms if a is not other):
                raise fault("not", other.place, f"that an {type_} is not equal to another")
        return found

    def literal(self, value: Any) -> Way:
        """The texts of a value; of draft-04, those whose whole numbers are integers."""
        if isinstance(value, list):
            parts = [(*self.literal(one), *self.space) for one in value]
        elif isinstance(value, dict):
            parts = [self.pair(exact(name), self.literal(value[name])) for name in value]
        else:
            plain = self.logic.by_text and type_of(value) == "number" and integral(value)
            text = exact(value)
            return (self.rules.terminal(f"{text} & ~/{numerals.WITH_POINT}/" if plain else text),)
        comma, way = self.token(","), self.token("[" if isinstance(value, list) else "{")
        for k, part in enumerate(parts):
            way += (*comma, *part) if k else part
        return (*way, self.rules.terminal('"]"' if isinstance(value, list) else '"}"'))

    def pair(self, name: str, value: Way) -> Way:
        key = (self.rules.terminal(name), *self.space)
        return (*key, *self.token(":"), *value, *self.space)
