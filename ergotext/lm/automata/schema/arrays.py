"""Grammar rules of arrays."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import prod
from typing import Any

from ergotext.lm.automata.schema.conditions import Atom, Contains
from ergotext.lm.automata.schema.document import Fact, fault
from ergotext.lm.automata.schema.normal_form import ends
from ergotext.lm.automata.schema.rules import Way, Writing
from ergotext.lm.automata.schema.values import same

Facts = tuple[Fact, ...]

UNLIKE = 8
"""Values that may be listed for elements of which no two are equal."""

MOST = 2000
"""States of one array whose elements are counted."""


def array(writer: Writing, atoms: Sequence[Atom]) -> list[Way]:
    """Productions of an array under these atoms."""
    low, high = ends(atoms, "items")
    told = [atom.value for atom in atoms if atom.kind == "items"]
    first = max((len(one.first) for one in told), default=0)
    facts = [tuple(dict.fromkeys(f for one in told for f in one.at(k))) for k in range(first + 1)]
    dead = [k for k in range(first + 1) if writer.logic.impossible(facts[k])]
    most = min(dead[:1] + ([int(high)] if high is not None else []), default=None)
    least = int(low or 0)
    counts = [atom for atom in atoms if atom.kind == "contains"]
    if most is not None and most < least:
        return []
    for atom in atoms:
        if atom.kind == "unique" and (not atom.holds or most is None or most > 1):
            body = _unlike(writer, facts, least, most, atom, bool(counts))
            return [(*writer.token("["), body, writer.token("]")[0])]
    body = (
        _counted(writer, facts, least, most, counts)
        if counts
        else _listed(writer, facts, least, most)
    )
    return [(*writer.token("["), body, writer.token("]")[0])]


def _listed(writer: Writing, facts: Sequence[Facts], least: int, most: int | None) -> str:
    """Elements of which the first have facts of their own; at the end, as many as may be."""
    rest = len(facts) - 1
    comma, space, add = writer.token(","), writer.space, writer.rules.add
    after = ""
    for at in range(rest if most is None else min(rest, most), -1, -1):
        stop: list[Way] = [()] if at >= least else []
        one = (*(comma if at else ()), writer.value(facts[at]), *space)
        if at == most:
            after = add(stop)
        elif at < rest:
            after = add([*stop, (*one, after)])
        else:
            more = add([(*comma, writer.value(facts[at]), *space)])
            left = None if most is None else most - at - 1
            tail = writer.rules.repeated(more, max(least - at - 1, 0), left)
            after = add([*stop, (*one, tail)])
    return after


def _unlike(
    writer: Writing,
    facts: Sequence[Facts],
    least: int,
    most: int | None,
    unique: Atom,
    counted: bool,
) -> str:
    """Elements of which no two are equal, where their values are listed: a state for every set."""
    listed = [writer.logic.listed(some) for some in facts]
    values: list[Any] = []
    for one in listed:
        values += [v for v in one or [] if not any(same(v, other) for other in values)]
    if None in listed or len(values) > UNLIKE or counted or not unique.holds:
        raise fault(
            "uniqueItems", unique.place, "no grammar compares elements, unless few are listed"
        )
    sets = [
        frozenset(k for k in range(len(values)) if bits >> k & 1)
        for bits in range(1 << len(values))
    ]
    names = {some: writer.rules.add([]) for some in sets}
    comma = writer.token(",")
    for some, name in names.items():
        at = len(some)
        ways: list[Way] = [()] if at >= least else []
        for k, value in enumerate(values):
            fit = all(writer.logic.fits(value, one) for one in facts[min(at, len(facts) - 1)])
            if k not in some and fit and (most is None or at < most):
                element = (*writer.literal(value), *writer.space)
                ways.append((*(comma if at else ()), *element, names[some | {k}]))
        writer.rules.ways[name] = ways
    return names[frozenset()]


def _counted(
    writer: Writing, facts: Sequence[Facts], least: int, most: int | None, atoms: Sequence[Atom]
) -> str:
    """Elements of which so many fit other facts: a state for every number that has been met."""
    asked: list[Contains] = [atom.value for atom in atoms]
    # One place at the least, to tell the first element (no comma) from the rest.
    last = max(len(facts) - 1, least, 1) if most is None else most
    caps = [one.least if one.most is None else one.most for one in asked]
    if prod([last + 1, *(cap + 1 for cap in caps)]) > MOST or len(asked) > 3:
        raise fault("contains", atoms[0].place, f"it takes more than {MOST} states to count")
    states = list(product(range(last + 1), *(range(cap + 1) for cap in caps)))
    names = {state: writer.rules.add([]) for state in states}
    comma = writer.token(",")
    for (at, *met), name in ((state, names[state]) for state in states):
        done = all(count >= one.least for count, one in zip(met, asked, strict=True))
        ways: list[Way] = [()] if at >= least and done else []
        if at == most:
            writer.rules.ways[name] = ways
            continue
        following = min(at + 1, last)
        for hits in product((True, False), repeat=len(asked)):
            element, after = list(facts[min(at, len(facts) - 1)]), [following]
            for one, hit, count, cap in zip(asked, hits, met, caps, strict=True):
                if hit:
                    element.append(one.fact)
                elif one.most is not None:
                    element.append(-one.fact)
                after.append(min(count + hit, cap) if one.most is None else count + hit)
            if tuple(after) not in names or writer.logic.impossible(element):
                continue
            value = (writer.value(tuple(dict.fromkeys(element))), *writer.space)
            ways.append((*(comma if at else ()), *value, names[tuple(after)]))
        writer.rules.ways[name] = ways
    return names[states[0]]
