"""Grammar rules of objects: members in the schema's order, then additional ones."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

from ergotext.lm.automata.schema.conditions import Atom, Other
from ergotext.lm.automata.schema.document import Fact, fact, fault
from ergotext.lm.automata.schema.normal_form import ends, matches
from ergotext.lm.automata.schema.rules import Way, Writing
from ergotext.lm.automata.schema.terminals import exact, string, vain

STRING = fact({"type": "string"})

PATTERNS = 6
"""Maximum number of name patterns in one object."""

TOLD = 100
"""Names that may be listed for an object, each then a member that is known."""

MOST = 20_000
"""States of one object whose members are counted."""


def object_(writer: Writing, atoms: Sequence[Atom]) -> list[Way]:
    """Productions of an object under these atoms."""
    logic = writer.logic
    has = dict.fromkeys(atom.value for atom in atoms if atom.kind == "has")
    lacks = {atom.value for atom in atoms if atom.kind == "lacks"}
    spelled = tuple(atom.value for atom in atoms if atom.kind == "names")
    listed = [name for atom in atoms if atom.kind == "members" for name, _ in atom.value.named]
    told = writer.logic.listed((STRING, *spelled)) if spelled else None
    few = told is not None and len(told) <= TOLD
    known = [*dict.fromkeys([*listed, *has, *sorted(lacks), *(told if told and few else [])])]
    pairs: list[tuple[Way, bool]] = []
    for name in known:
        facts = logic.of_member(atoms, name)
        fit = name not in lacks and all(logic.fits(name, one) for one in spelled)
        if fit and not logic.impossible(facts):
            pairs.append((writer.pair(exact(name), (writer.value(facts),)), name in has))
        elif name in has:
            return []
    others = [] if few else _others(writer, atoms, known, spelled)
    low, high = ends(atoms, "names")
    body = _members(
        writer, pairs, others, int(low or 0), None if high is None else int(high), atoms
    )
    return [(*writer.token("{"), body, writer.token("}")[0])]


def _members(
    writer: Writing,
    pairs: Sequence[tuple[Way, bool]],
    others: list[Way],
    least: int,
    most: int | None,
    atoms: Sequence[Atom],
) -> str:
    """Members in order, the last ones any number of times; counted, where they must be."""
    needed = sum(must for _, must in pairs)
    counted = least > needed or (most is not None and (bool(others) or most < len(pairs)))
    cap = 0 if not counted else least if most is None else most
    if (cap + 1) * (len(pairs) + 1) > MOST:
        place = next(atom.place for atom in atoms if atom.kind in ("names>=", "names<="))
        raise fault(place.rsplit("/", 1)[1], place, f"it takes more than {MOST} states to count")
    states = list(product(range(len(pairs) + 1), (False, True), range(cap + 1)))
    names = {state: writer.rules.add([]) for state in states}
    comma = writer.token(",")
    for (at, wrote, count), name in names.items():
        more = count + 1 if counted else 0
        more = min(more, cap) if most is None else more
        separated = comma if wrote else ()
        ways: list[Way] = []
        if at < len(pairs):
            pair, must = pairs[at]
            ways += [] if must else [(names[at + 1, wrote, count],)]
            follow = names.get((at + 1, True, more))
            members = [pair]
        else:
            ways += [()] if not counted or count >= least else []
            follow, members = names.get((at, True, more)), others
        if follow is not None:
            ways += [(*separated, *member, follow) for member in members]
        writer.rules.ways[name] = ways
    return names[states[0]]


def _others(
    writer: Writing, atoms: Sequence[Atom], known: Sequence[str], spelled: tuple[Fact, ...]
) -> list[Way]:
    """The members whose names are not known, a way for every choice of patterns they match."""
    told = [atom for atom in atoms if atom.kind == "members"]
    patterns = [*dict.fromkeys(pattern for atom in told for pattern, _ in atom.value.patterns)]
    if len(patterns) > PATTERNS:
        place = told[0].place
        raise fault(
            "patternProperties", place, f"more than {PATTERNS} patterns overlap in one object"
        )
    ways: list[Way] = []
    for chosen in product((True, False), repeat=len(patterns)):
        matched = frozenset(p for p, hit in zip(patterns, chosen, strict=True) if hit)
        facts = [one for atom in told for one in atom.value.of(None, matched)]
        if writer.logic.impossible(facts):
            continue
        hits = [
            Atom("string", "pattern", pattern, "", hit)
            for pattern, hit in zip(patterns, chosen, strict=True)
        ]
        for name in _names(writer, hits, known, spelled):
            ways.append(writer.pair(name, (writer.value(tuple(dict.fromkeys(facts))),)))
    return ways


def _names(
    writer: Writing, hits: list[Atom], known: Sequence[str], spelled: tuple[Fact, ...]
) -> list[str]:
    """Expressions of the names that match patterns and fit facts, but those known."""
    found = []
    for shape in writer.logic.shapes((STRING, *spelled)):
        values = writer.logic.known(shape)
        if values is not None:
            fit = [v for v in values if v not in known]
            fit = [v for v in fit if all(matches(a.value, v) == a.holds for a in hits)]
            found += [exact(*fit)] if fit else []
            continue
        others = [o.value for o in shape.atoms if isinstance(o, Other) and isinstance(o.value, str)]
        name = string([*shape.of("string"), *hits], [*known, *others])
        found += [] if vain(name) else [name]
    return found
