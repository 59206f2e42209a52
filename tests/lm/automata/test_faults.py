"""Faults put into the automata one at a time: each must be caught.

The numbers are those of the list of known faults in CONTRIBUTING.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest

from ergotext.errors import ErgotextError, InputError
from ergotext.lm.automata import combine, grammars, spans, substrings
from tests.faulty import load_with_fault
from tests.lm.automata.worlds import LATIN, PAD, SEA, check_protocol, language, listed

Check = Callable[[], None]


def matches() -> None:
    for pattern in ("(ab)*a?", "(a|ba)+ a"):
        automaton = grammars.regex(pattern, LATIN)
        check_protocol(automaton, PAD, 10, most=2)
        expected = listed(LATIN, 3, lambda text, p=pattern: bool(re.fullmatch(p, text)))
        assert language(automaton, 3) == expected


def contains() -> None:
    passage = (1, 2, 1, 2, 5, 1, 8)
    automaton = substrings.Substrings(passage, LATIN.alphabet, shortest=2)
    check_protocol(automaton, PAD, 10, most=8)
    states = automaton.start(1)
    for _ in passage:
        _, _, states = automaton.candidates(states)
        assert set(automaton.candidates(states)[0].tolist()) == set(range(len(states)))
    runs = {passage[i:j] for i in range(7) for j in range(i + 2, 8)}
    assert language(automaton, 8) == runs


def spells() -> None:
    for passage, pieces in (("ab ba", LATIN), ("海a海", SEA), ("洋a", SEA)):
        for space in ("", " "):
            wanted = {passage[i:j] for i in range(5) for j in range(i + 1, 6)}
            texts = {space + span for span in wanted if span}
            automaton = spans.TextSpans(passage, pieces, after_space=bool(space))
            assert language(automaton, 4) == listed(pieces, 4, texts.__contains__)
            check_protocol(automaton, PAD, pieces.alphabet.size, most=3)
            states = automaton.start(1)
            while len(states := states[states > 0]):
                row, _, behind = automaton.candidates(states)
                assert set(row.tolist()) == set(range(len(states)))
                states = behind
    for after_space in (False, True):
        try:
            spans.TextSpans("洋", SEA, after_space=after_space)
        except InputError:
            continue
        raise AssertionError("nothing completes its second byte")


def combines() -> None:
    ab, ba = (substrings.Substrings(p, LATIN.alphabet) for p in ([1, 2], [2, 1]))
    check_protocol(combine.union(ab, ba), PAD, 10)
    assert language(combine.union(ab, ba), 3) == {(1,), (2,), (1, 2), (2, 1)}
    assert language(combine.intersection(ab, ba), 3) == {(1,), (2,)}


def tells_rows_apart() -> None:
    """Two thousand rows among 70,000 ids, each of which is like another one in 16 bits."""

    def allowed(at: int) -> int:
        return 2 + at if at < 1000 else (1 << 16) + 2 + at - 1000

    many = grammars.Explored(
        1, 0, 0, lambda at, _: at + 1, lambda at: (np.array([allowed(at)]), at == 2000)
    )
    states = many.start(1)
    for at in range(2000):
        _, token, states = many.candidates(states)
        assert token.tolist() == [allowed(at)]
    assert many.accepting(states).all()


FAULTS: dict[str, tuple[str, Check, tuple[tuple[str, str], ...]]] = {
    "one matcher is moved for all rows": (
        "grammars", matches, (("read.matcher.deep_copy()", "read.matcher"),)
    ),
    "16: texts that must follow have one tokenisation": (
        "grammars", matches, (('{"no_forcing": true}', '{"no_forcing": false}'),)
    ),
    "special tokens are text": (
        "grammars", matches, (("np.flatnonzero(allowed & text)", "np.flatnonzero(allowed)"),)
    ),
    "beginnings too short to become runs are ways on": (
        "substrings", contains, (("self._ids, max(shortest, 1)", "self._ids, 1"),)
    ),
    "neighbours are parted one token too late": (
        "substrings", contains, (("base = depth << _BITS", "base = depth + 1 << _BITS"),)
    ),
    "a span may begin inside a character": (
        "spans", spells, (("np.flatnonzero(begins)[order]", "np.arange(len(begins))"),
                          ("points_of(passage)\n", "np.frombuffer(passage.encode(), 'u1')\n"))
    ),
    "a span may end inside a character": (
        "spans", spells, (("may_end &= self._border[np.where(may_end, behind, 0)]", ""),)
    ),
    "characters that nothing completes are begun": (
        "spans", spells, (("if border[place + n] or lines[place + n]]", "]"),)
    ),
    "16: a span counts in one of its tokenisations": (
        "spans", spells, (("pieces.at(text, place))", "pieces.at(text, place)[-1:])"),)
    ),
    "only suffixes that stand first in their interval go on": (
        "spans", spells, (("place[np.append(first[1:], len(row))[: len(first)] - 1] + 1",
                           "place[first] + 1"),)
    ),
    "the space before a span is a span": (
        "spans", spells, (("(depth > self._lead)", "(depth > 0)"),)
    ),
    "behind the space any byte may follow": (
        "spans", spells, (("(border[at] and n > 1)", "border[at]"),)
    ),
    "21: a finished row begins anew": (
        "explored", matches, (("np.where(token == self._end, FINISHED,",
                               "np.where(token == self._end, START,"),)
    ),
    "21: a dead row is at the start": (
        "explored", matches, (("[_SINK, _SINK, self._number_of(first)]",
                               "[1, _SINK, self._number_of(first)]"),)
    ),
    "ids are told apart by 16 bits": (
        "explored", tells_rows_apart, (("tokens.astype(np.uint32)", "tokens.astype(np.uint16)"),)
    ),
    "rows of tokens are told apart by 16 bits": (
        "explored", tells_rows_apart, (("digest_size=16", "digest_size=2"),)
    ),
    "21: a dead part takes part": (
        "combine", combines,
        (("if s != DEAD]\n        rows =", "]\n        rows ="),)
    ),
}  # fmt: skip

USES: dict[str, tuple[ModuleType, tuple[str, ...]]] = {
    "grammars": (grammars, ("regex",)),
    "substrings": (substrings, ("Substrings",)),
    "spans": (spans, ("TextSpans",)),
    "explored": (grammars, ("Explored",)),
    "combine": (combine, ("union", "intersection")),
}
"""Where what a module defines is looked up by the checks."""


@pytest.mark.parametrize("check", [matches, contains, spells, combines, tells_rows_apart])
def test_without_a_fault(check: Check) -> None:
    check()


@pytest.mark.parametrize("fault", FAULTS)
def test_the_check_sees_it(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, check, changes = FAULTS[fault]
    module = load_with_fault(f"lm.automata.{name}", *changes)
    user, names = USES[name]
    for attribute in names:
        monkeypatch.setattr(user, attribute, getattr(module, attribute))
    with pytest.raises((AssertionError, ErgotextError)):  # llguidance itself sees two of them
        check()
