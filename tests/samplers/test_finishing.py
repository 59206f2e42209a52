"""Keeping to known endings near the greatest length: nothing missed, and fewer draws lost."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ergotext.lm.batch import TokenBatch
from ergotext.lm.energy import Sum
from ergotext.lm.matches import matches
from ergotext.lm.protocols import Bounded, Ending
from ergotext.samplers import Independence, SeededDraws, SuffixResampling
from ergotext.samplers.ais import log_q
from ergotext.samplers.growth import grown
from ergotext.samplers.importance import importance
from ergotext.samplers.next_token import finishing, masked
from ergotext.samplers.smc import smc
from ergotext.samplers.stochastic_beam import stochastic_beam
from ergotext.samplers.target import Target
from tests.exhaust import every_run, paths_of_step, stationary, transitions
from tests.faulty import modules, modules_with_fault
from tests.samplers.weighted_worlds import END, Ints, Row, Table, check_unbiased, mass, target
from tests.toy import ToyFluency, ToyScorer

pytestmark = pytest.mark.filterwarnings("ignore::ergotext.samplers.weighted.HeavyWeightsWarning")


class Hoping(Table):
    """A table that finds some endings and has no bound (``Ending``); wrong about nothing it says.

    From state 2 it finds none, though there is one: that is allowed.
    """

    def ending(self, state: int) -> Row | None:
        ways: dict[int, Row] = {state: ()}
        while state not in (2, -1) and ways:
            ended = [way for at, way in ways.items() if END in self.ways[at] or not self.ways[at]]
            if ended:
                return min(ended)
            if len(next(iter(ways.values()))) > len(self.ways):
                return None
            ways = {
                after: (*way, token)
                for at, way in ways.items()
                for token, after in self.ways[at].items()
            }
        return None

    def kinds(self) -> Ints:
        return np.zeros(5, np.int64)


DETOUR = Hoping(({1: 1, 3: 2, 4: 3}, {END: 4, 2: 0}, {END: 4, 1: 2, 2: 0}, {1: 3, 2: 3}, {}))
"""3 leads where no ending is found, 4 where there is none at all."""

SMALL = Hoping(({1: 1, 3: 2}, {END: 3, 2: 0}, {END: 3, 1: 2}, {}))


def check_worlds(m: Any) -> None:
    for longest in (1, 2, 3):
        check_unbiased(m.importance.importance, target(DETOUR, longest), 1)
    check_unbiased(m.smc.smc, target(SMALL, 3), 2, threshold=1.0)


def test_every_sequence_has_its_mass() -> None:
    assert isinstance(DETOUR, Ending) and not isinstance(DETOUR, Bounded)
    check_worlds(modules(NAMES))


def test_fewer_draws_are_lost() -> None:
    of = target(DETOUR, 3)
    kept = {proposal: len(importance(of, SeededDraws(0), 200, proposal=proposal))
            for proposal in (masked, finishing)}  # fmt: skip
    assert kept[finishing] >= 195 and kept[masked] < 150
    assert len(smc(of, SeededDraws(0), 60)) >= 55


def test_without_replacement_all_are_found() -> None:
    whole = stochastic_beam(target(DETOUR, 3), SeededDraws(0), 500)
    assert whole.exact
    assert whole.log_z == pytest.approx(np.log(sum(mass(target(DETOUR, 3)).values())))


def test_the_law_of_what_is_written_is_known() -> None:
    energy = Sum([(1.0, ToyFluency(ToyScorer())), (1.0, matches(DETOUR))])
    of = Target.of(energy, 3)
    drawn: dict[Row, float] = {}
    for p, rows in every_run(lambda draws: grown(draws, of, finishing, 1)):
        if rows.log_weight[0] > -np.inf:
            row = rows.batch.rows()[0]
            drawn[row] = drawn.get(row, 0.0) + p
    assert log_q(of, TokenBatch.of(list(drawn))).exp().tolist() == pytest.approx(
        list(drawn.values()), abs=1e-12
    )


@pytest.mark.parametrize("chain", [Independence, SuffixResampling])
def test_chains_keep_their_target(chain: Any) -> None:
    energy = Sum([(1.0, ToyFluency(ToyScorer())), (1.0, matches(DETOUR))])
    states = TokenBatch.of(list(mass(Target.of(energy, 3))))
    kernel, value = chain(energy, 3), energy(states)
    matrix = transitions(paths_of_step(kernel, states, value), states)
    pi = stationary(value)
    assert np.abs(pi @ matrix - pi).max() < 1e-9


NAMES = ("finishing", "within", "next_token", "growth", "importance", "smc")
FAULTS = {
    "what is not known has no share": (
        "finishing", "np.log(SHARE / (1 - SHARE)) +", "-np.inf +"
    ),
    "the factor is left in the weight": ("growth", "- owed[at] - new", "- new"),
    "it is given back twice": ("growth", "owed[at] = new.where(going, 0.0)",
                               "owed[at] = 2 * new.where(going, 0.0)"),
    "copies owe what others do": ("growth", "            self.owed[index],\n",
                                  "            self.owed,\n"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_caught(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    faulty = modules_with_fault(NAMES, FAULTS[fault], monkeypatch)
    with pytest.raises((AssertionError, ValueError, IndexError)):
        check_worlds(faulty)
