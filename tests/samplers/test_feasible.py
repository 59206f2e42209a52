"""Proposals that keep to what can still be whole in time: no less of the target, and no more."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
import pytest

from ergotext.errors import InputError
from ergotext.lm.batch import TokenBatch
from ergotext.lm.energies.matches import matches
from ergotext.lm.energies.term import Sum
from ergotext.samplers import AnnealedImportance, SeededDraws
from ergotext.samplers.search.stochastic_beam import stochastic_beam
from ergotext.samplers.target import Target
from ergotext.samplers.weighted.adaptive import AdaptiveRejection
from ergotext.samplers.weighted.ais import log_q
from ergotext.samplers.weighted.importance import importance
from ergotext.samplers.weighted.proposals import TokenProposal, masked, model
from ergotext.samplers.weighted.rollout import grown
from ergotext.samplers.weighted.smc import smc
from ergotext.testing.exhaust import every_run
from ergotext.testing.tables import END, LOOP, Ints, Table, check_unbiased, mass, target
from ergotext.testing.toy import ToyFluency, ToyScorer
from tests.faulty import modules, modules_with_fault
from tests.samplers.search.test_stochastic_beam import REAL, check_estimates

pytestmark = pytest.mark.filterwarnings(
    "ignore::ergotext.samplers.weighted.samples.HeavyWeightsWarning"
)
FAR = 99


class Knowing(Table):
    """A table that knows how far it is to the end from each state."""

    def least(self, states: Ints) -> Ints:
        left = [0 if END in ways else FAR for ways in self.ways]
        left[-1] = 0  # the sink
        for _ in self.ways:
            left = [
                min([own, *(1 + left[after] for token, after in ways.items() if token != END)])
                for own, ways in zip(left, self.ways, strict=True)
            ]
        return np.array([left[state] if state >= 0 else 0 for state in states.tolist()], np.int64)


LOOP_KNOWN = Knowing(LOOP.ways)
LATE = Knowing(({1: 0, 2: 0, 3: 1}, {4: 2, 1: 0}, {END: 3, 2: 2}, {}))
"""3 and 4 must come, one behind the other, as keywords must; 1 breaks them apart."""


def test_it_knows_how_far_it_is() -> None:
    assert LOOP.least(np.arange(5)).tolist() == [0] * 5, "a table knows nothing"
    assert LATE.least(np.arange(4)).tolist() == [2, 1, 0, 0]
    assert LOOP_KNOWN.least(np.arange(5)).tolist() == [1, 0, 0, FAR, 0]


def check_worlds(m: Any) -> None:
    for table, longest in ((LATE, 2), (LATE, 3), (LOOP_KNOWN, 2)):
        check_unbiased(m.importance.importance, target(table, longest), 1)
    check_unbiased(m.smc.smc, target(LATE, 2), 2, threshold=1.0)
    fair = {"proposal": masked, "max_tries": 2, "at_once": 1}
    check_unbiased(m.rejection.rejection, target(LATE, 3), 1, log_bound=1.0, **fair)


def test_every_sequence_has_its_mass() -> None:
    """By enumeration: what is kept out has no mass within max_length."""
    check_worlds(modules(NAMES))


@pytest.mark.parametrize("proposal", [model, AdaptiveRejection(1, 1e9)])
def test_other_proposals(proposal: TokenProposal) -> None:
    check_unbiased(importance, target(LATE, 2), 1, proposal=proposal)


@pytest.mark.parametrize(("table", "longest"), [(LATE, 3), (LOOP_KNOWN, 3)])
def test_stochastic_beam(table: Table, longest: int) -> None:
    if table is LATE:
        check_estimates(REAL, target(table, longest), 2)
    whole = stochastic_beam(target(table, longest), SeededDraws(0), 500)
    assert whole.exact
    assert whole.log_z == pytest.approx(math.log(sum(mass(target(table, longest)).values())))


@pytest.mark.parametrize(("table", "longest"), [(LATE, 3), (LOOP_KNOWN, 3)])
def test_the_law_of_proposals_is_known(table: Table, longest: int) -> None:
    """What annealed importance sampling starts from is drawn as it is weighed."""
    energy = Sum([(1.0, ToyFluency(ToyScorer())), (1.0, matches(table))])
    of = Target.of(energy, longest)
    drawn: dict[tuple[int, ...], float] = {}
    for p, rows in every_run(lambda draws: grown(draws, of, masked, 1)):
        assert rows.log_weight[0] > -math.inf, "nothing comes to a dead end any more"
        row = rows.batch.rows()[0]
        drawn[row] = drawn.get(row, 0.0) + p
    assert sum(drawn.values()) == pytest.approx(1, abs=1e-12)
    q = log_q(of, TokenBatch.of(list(drawn))).exp().tolist()
    assert q == pytest.approx(list(drawn.values()), abs=1e-12)
    assert len(AnnealedImportance(energy, longest, 3, "suffix").draw(SeededDraws(0), 40)) == 40


def test_where_nothing_is_lost_no_weight_is_zero() -> None:
    for sampler in (importance, partial(smc, threshold=0.0)):  # resampling replaces what is lost
        assert len(sampler(target(LATE, 3), SeededDraws(0), 60)) == 60
        blind = sampler(target(Table(LATE.ways), 3), SeededDraws(0), 60)
        assert len(blind) < 60


def test_too_few_tokens_for_anything() -> None:
    with pytest.raises(InputError, match="has 2 tokens, but max_length is 1"):
        target(LATE, 1)


NAMES = (
    "feasible",
    "weighted.rollout",
    "weighted.importance",
    "weighted.rejection",
    "weighted.smc",
)
FAULTS = {
    "the next token is not counted": ("weighted.rollout", "(target.automaton, left - 1)",
                                      "(target.automaton, left - 2)"),
    "a bound that is reached is passed": ("feasible", ".least(states) <= room",
                                          ".least(states) < room"),
    "only what is listed is kept in time": (
        "feasible", "return row[kept], token[kept], after[kept]", "return row, token, after[kept]",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_caught(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    faulty = modules_with_fault(NAMES, FAULTS[fault], monkeypatch)
    with pytest.raises((AssertionError, ValueError, IndexError)):
        check_worlds(faulty)
