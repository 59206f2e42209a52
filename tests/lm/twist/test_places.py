"""Backward sums over the places of an automaton against every path; faults in them are seen."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from ergotext.lm.automata.explored import Explored, Outlook
from ergotext.lm.automata.grammars import regex
from ergotext.lm.twist import places
from ergotext.support.arrays import Floats, Ints
from ergotext.testing.tables import FEW, LOOP, Table
from tests.faulty import load_with_fault
from tests.lm.twist.worlds import Spelled

LENGTHS = np.array([-9.0, -3.0, -1.0, -0.2, -0.1, -1.5])


def law(state: int) -> Floats:
    """p of the five tokens after a state, all different."""
    chance: Floats = np.arange(1.0, 6.0) ** (1 + state % 3)
    return chance / float(chance.sum())


def seen(module: Any, table: Any, states: Sequence[int]) -> Any:
    """The graph of a table, each state of which was seen twice, once of double weight."""
    graph = module.PlaceGraph(table, 5)
    for state in states:
        graph.see(np.array([state]), law(state)[None] * 0.7, 1.0)
        graph.see(np.array([state, state]), np.stack([law(state) * 1.2, law(state)]), 2.0)
    return graph


MEAN = (0.7 + 2 * 1.2 + 2) / 5
"""Of the laws that were seen, over the law."""


def by_paths(table: Table, state: int, left: int) -> float:
    """V by its definition: the mass of every way to end, times what its length is worth."""
    total = 0.0
    for count in range(left + 1):
        for row in itertools.product(range(1, 5), repeat=count):
            at, mass = np.array([state]), 1.0
            for token in row:
                mass *= MEAN * law(int(at[0]))[token]
                at = table.advance(at, np.array([token]))
                if at[0] < 0:
                    break
            else:
                if table.advance(at, np.array([table.end]))[0] >= 0:
                    mass *= MEAN * law(int(at[0]))[table.end]
                    total += mass * np.exp(LENGTHS[len(LENGTHS) - 1 - left + count])
    return total


def check_sums(module: Any) -> None:
    for table, states in ((LOOP, (0, 1, 2, 3)), (FEW, (0, 1, 2, 3))):
        graph = seen(module, table, states)
        sums = graph.sums(LENGTHS)
        for state in states:
            number = graph.numbers(np.array([state]))
            assert graph.place(int(number[0])) is not None
            for left in range(len(LENGTHS)):
                value = float(np.exp(sums.of(number, np.array([9]), left)[0]))
                wanted = by_paths(table, state, left)
                assert value == pytest.approx(wanted, rel=1e-9, abs=0)
        over = [LENGTHS[len(LENGTHS) - 2 - left] for left in range(len(LENGTHS) - 1)]
        assert sums.over.tolist() == over


def check_unseen(module: Any) -> None:
    """Where nobody has stood, V falls with the tokens of an ending, as it was seen to fall."""
    graph = module.PlaceGraph(FEW, 5)
    graph.see(np.array([0]), law(0)[None], 1.0)
    two = graph.numbers(np.array([2]))
    assert graph.place(int(two[0])) is None and graph.numbers(np.array([3])).tolist() == [-1]
    zero = graph.place(0)
    assert zero is not None and graph.unseen(zero).tolist() == [True, True]
    sums = graph.sums(np.zeros(4))
    far = np.array([0, 1, 2])
    assert sums.unknown(far, 1).tolist() == [sums.level, sums.level - sums.slope, -np.inf]
    # The place that was seen is worth what its ways lead to.
    ways = law(0)[1:3].sum() * np.exp(sums.level)
    assert sums.of(np.array([0]), far[:1], 3)[0] == pytest.approx(np.log(ways))
    whole = seen(module, FEW, (0, 1, 3)).sums(np.zeros(4))
    assert whole.slope >= 0.1


def ahead(position: tuple[int, int], token: int | None) -> tuple[int, ...]:
    """The ending that is known: after 1 it is longer."""
    return (1, 2) if (position if token is None else follow(position, token))[1] == 1 else (2,)


def follow(position: tuple[int, int], token: int) -> tuple[int, int]:
    return position[0] + 1, token


def explored() -> Explored[tuple[int, int]]:
    """Any tokens of 1…4; positions that differ by length are of one place."""
    outlook = Outlook[tuple[int, int]](
        lambda position: 0, ending=ahead, kinds=lambda: np.array([0, 1, 1, 2, 2])
    )
    every = np.arange(1, 5)
    return Explored(0, 0, (0, 0), follow, lambda position: (every, True), outlook)


def check_places(module: Any, narrow: bool) -> None:
    """Texts that allow the same tokens and end alike are of one place."""
    automaton = explored()
    states = automaton.advance(automaton.start(4), np.arange(1, 5))
    deeper = automaton.advance(states, np.array([1, 1, 2, 2]))
    place = automaton.place(np.concatenate([automaton.start(1), states, deeper]))
    assert (place == place[0]).tolist() == [True, False, *[True] * 3, *[False] * 2, *[True] * 2]
    assert place[1] == place[5] == place[6]
    graph = module.PlaceGraph(automaton, 5)
    graph.see(automaton.start(1), law(0)[None], 1.0)
    start = graph.place(0)
    assert start is not None and start.end == pytest.approx(law(0)[0])
    chance = law(0)[1:]
    if narrow:  # each token is looked at, the most probable first
        assert start.of.tolist() == [3, 2, 1, 0] and start.after == [0, 0, 0, 1]
        assert start.mass == pytest.approx(chance[::-1].tolist())
        assert graph.distances([0, 1]).tolist() == [1, 2]
    else:  # 3 and 4 are of a kind and lead like 4, 1 and 2 like 2
        assert start.of.tolist() == [1, 1, 0, 0] and start.after == [0, 0]
        assert start.mass == pytest.approx([chance[2:].sum(), chance[:2].sum()])


def check_all(module: Any) -> None:
    check_sums(module)
    check_unseen(module)
    check_places(module, narrow=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "NARROW", 3)
        check_places(module, narrow=False)


def test_sums_are_those_of_every_path() -> None:
    check_all(places)


def test_places_of_an_expression() -> None:
    """What was written does not count, what may follow does."""
    automaton = regex("( a){1,2} b", Spelled.vocabulary.pieces)

    def after(*ids: int) -> Ints:
        states = automaton.start(1)
        for token in ids:
            states = automaton.advance(states, np.array([token]))
        return states

    start, one, two, done = (
        int(automaton.place(after(*ids))[0]) for ids in ((), (1,), (1, 1), (1, 2))
    )
    assert len({start, one, two, done}) == 4
    assert int(automaton.place(after(1, 1, 2))[0]) == done


FAULTS = {
    "a mean that is a sum": ("np.log(mass / total[source])", "np.log(mass)"),
    "the last observation alone": ("old + weight * new", "weight * new"),
    "weights that do not count": ("old + weight * new", "old + new"),
    "ways of a place to another's": ("there = source[first]", "there = source[first][::-1]"),
    "tokens that are not spent": ("value[left - 1, target]", "value[left, target]"),
    "lengths from the other end": ("log_length[most - left]\n", "log_length[left]\n"),
    "the end one token late": ("log_length[:most][::-1]", "log_length[1:][::-1]"),
    "an end where none may follow": ("* place.ends", ""),
    "what nobody saw is worth nothing": ("rest.unknown(far, left))", "-np.inf)"),
    "what nobody saw ends in no time": ("np.where(far <= left, ", "np.where(far <= left + 9, "),
    "tokens of a kind lead elsewhere": (
        "place.of[alike] = len(place.after)",
        "place.of[alike[:1]] = len(place.after)",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_caught(fault: str) -> None:
    faulty = load_with_fault("lm.twist.places", FAULTS[fault])
    with pytest.raises((AssertionError, IndexError, ValueError)), np.errstate(all="ignore"):
        check_all(faulty)
