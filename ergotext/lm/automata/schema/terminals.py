"""Grammar terminals for numbers and strings under conditions."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any

from ergotext.lm.automata.schema import numerals
from ergotext.lm.automata.schema.characters import UNIT, exactly, possible
from ergotext.lm.automata.schema.conditions import Alternative, Atom, Other
from ergotext.lm.automata.schema.document import fault
from ergotext.lm.automata.schema.normal_form import ends
from ergotext.lm.automata.schema.patterns import contents
from ergotext.lm.automata.schema.values import integral

EXACT = 2**53
"""Whole numbers that llguidance, which counts in floating point, can be trusted with."""


def number(shape: Alternative) -> str:
    """A grammar's expression for the numbers of a shape.

    Raises
    ------
    InputError
        A ``multipleOf`` that cannot be enforced exactly.
    """
    atoms, whole = shape.of("number"), shape.types.whole
    others = [a for a in shape.atoms if isinstance(a, Other) and _is_number(a.value)]
    if not atoms and not others and len(whole) == 2:
        return _joined([numerals.ANY])
    universe = {True: numerals.INTEGER, False: numerals.FRACTION}
    take = [universe[next(iter(whole))] if len(whole) == 1 else numerals.FINITE]
    leave = [numerals.equal(other.value) for other in others]
    for atom in atoms:
        if atom.kind == "multiple":
            told = numerals.multiples(atom.value)
            if told is None or (not atom.holds and len(told) > 1):
                return _multiple(shape, atoms, others)
            (take if atom.holds else leave).extend(told)
        else:
            bound = numerals.at_least if atom.kind == ">=" else numerals.at_most
            take.append(bound(atom.value))
    return _joined(take, leave)


def string(atoms: Iterable[Atom], others: Iterable[Any] = ()) -> str:
    """A grammar's expression for the strings that atoms admit, but those listed.

    Raises
    ------
    InputError
        A key of an index is under other conditions as well, or is a name.
    """
    kept = list(atoms)
    if index := next((atom for atom in kept if atom.kind == "index"), None):
        raise fault("x-index", index.place, "a key of an index can be under no other condition")
    low, high = ends(kept, "length")
    count = (
        "*" if low is None and high is None else f"{{{low or 0},{'' if high is None else high}}}"
    )
    take, leave = [f'"{UNIT}{count}"'], list[str]()
    if texts := [exactly(text) for text in others]:
        leave.append(f'"(?:{"|".join(texts)})"')
    for atom in kept:
        if atom.kind == "pattern":
            (take if atom.holds else leave).append(f'"{contents(atom.value)}"')
    return _joined(take if len(take) == 1 or count != "*" else take[1:], leave)


def exact(*values: Any) -> str:
    """A grammar's expression for the texts of some scalars."""
    return _joined(["|".join(map(_exactly, values))])


def _exactly(value: Any) -> str:
    if isinstance(value, str):
        return f'"{exactly(value)}"'
    return numerals.equal(value) if _is_number(value) else json.dumps(value)


def _joined(take: Sequence[str], leave: Sequence[str] = ()) -> str:
    return " & ".join([f"/{one}/" for one in take] + [f"~/{one}/" for one in leave])


@lru_cache(maxsize=4096)
def vain(expression: str) -> bool:
    """Whether no text at all fits an expression."""
    return "&" in expression and not possible(f"start: T\nT: {expression}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def _multiple(shape: Alternative, atoms: Sequence[Atom], others: Sequence[Other]) -> str:
    """Left to llguidance where that is exact: one step, and bounds that are small integers."""
    steps = [atom for atom in atoms if atom.kind == "multiple"]
    numbers = [atom.value for atom in atoms]
    step = steps[0].value
    sure = len(steps) == 1 and steps[0].holds and not others and shape.types.whole != {False}
    sure &= integral(step) and all(isinstance(n, int) and abs(n) < EXACT for n in numbers)
    if not sure:
        raise fault("multipleOf", steps[0].place, f"no grammar keeps to {step} here")
    low, high = ends(atoms, "")
    bounds = {"minimum": low, "maximum": high}
    told = {name: bound for name, bound in bounds.items() if bound is not None}
    return f"%json {json.dumps({'type': 'integer', 'multipleOf': step, **told})}"
