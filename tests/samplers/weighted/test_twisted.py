"""Weights make up for whatever a twist says: every path of samplers under good and bad ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from ergotext.errors import ErgotextError, InputError
from ergotext.lm.batch import TokenBatch
from ergotext.lm.protocols import Twist
from ergotext.lm.twist import compile_twist
from ergotext.samplers import SAMPLERS
from ergotext.samplers.draws import SeededDraws
from ergotext.samplers.target import EnergyError, Target
from ergotext.samplers.twists import hazards_of, twist_of
from ergotext.samplers.weighted.importance import importance
from ergotext.samplers.weighted.smc import smc
from ergotext.samplers.weighted.twisted import Twisted
from ergotext.testing.tables import FEW, LOOP, Table, expected, mass, require_mass, soft, target
from ergotext.testing.toy import toy_energy
from tests.faulty import modules_with_fault
from tests.lm.twist.worlds import Spelled, automaton

pytestmark = pytest.mark.filterwarnings(
    "ignore::ergotext.samplers.weighted.samples.HeavyWeightsWarning"
)


class Wild:
    """A twist of random numbers between 10^−most and 10^most, 0 for tokens that are dead.

    Those of one step are within 10^40 of one another: no float64 holds the probability of others.
    """

    def __init__(self, table: Table, seed: int, most: float) -> None:
        self.table = table
        random, near = np.random.default_rng(seed), min(most, 20.0)
        self.log10 = random.uniform(-near, near, (len(table.ways), 9, 5))
        self.log10 += random.choice([-1.0, 1.0], (1, 9, 1)) * (most - near)

    def psi(self, states: NDArray[np.int64], left: int, size: int) -> NDArray[np.float64]:
        row, token, after = self.table.candidates(states)
        psi = np.zeros((len(states), size))
        psi[row, token] = 10.0 ** self.log10[after, left, token]
        dead = np.array([not ways for ways in self.table.ways])[after] & (token != self.table.end)
        psi[row[dead], token[dead]] = 0.0
        return psi


def check(sampler: Any, of: Target, n: int, **options: Any) -> None:
    """Σ p·w·1[x] = p̃(x) to 1e-9, p^α included."""
    wanted = mass(as_soft(of))
    require_mass(expected(sampler, of, n, **options)[0], wanted)


def as_soft(of: Target) -> Target:
    """The same target, its power written as a soft energy."""
    if of.power == 1:
        return of

    def energy(batch: TokenBatch) -> torch.Tensor:
        return -of.log_soft(batch) + (1 - of.power) * of.scorer.log_prob(batch)

    return Target(of.scorer, of.automaton, of.max_length, energy)


TARGETS = {
    "soft": target(FEW, 3),
    "dead ends": target(LOOP, 3),
    "power": replace(target(LOOP, 2), power=2.5),
    "ramp": replace(target(LOOP, 3), power=0.5, ramp=2),
}


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("most", [3.0, 200.0])
@pytest.mark.parametrize("seed", range(3))
def test_any_twist(name: str, most: float, seed: int) -> None:
    of = TARGETS[name]
    proposal = Twisted(Wild(of.automaton, seed, most))  # type: ignore[arg-type]  # all are tables
    check(importance, of, 1, proposal=proposal)
    check(smc, of, 1, proposal=proposal)
    if of.automaton is FEW:
        scheme = ("systematic", "multinomial", "stratified")[seed]
        check(smc, of, 2, proposal=proposal, threshold=1.0, resampling=scheme, islands=1 + seed % 2)


class Heedless:
    """A twist that is above 0 everywhere, also at tokens that may not follow."""

    def psi(self, states: NDArray[np.int64], left: int, size: int) -> NDArray[np.float64]:
        return np.tile(np.arange(1.0, size + 1), (len(states), 1))


def check_heedless() -> None:
    for name in ("soft", "power"):
        check(importance, TARGETS[name], 1, proposal=Twisted(Heedless()))
        check(smc, TARGETS[name], 1, proposal=Twisted(Heedless()))


def test_what_may_not_follow_has_no_weight_whatever_the_twist_says() -> None:
    check_heedless()


def by_length(lengths: NDArray[np.int64]) -> NDArray[np.float64]:
    return 0.9 * (lengths - 2.0) ** 2


def both(batch: TokenBatch) -> torch.Tensor:
    """A part of the length, which the twist knows, and a part of the tokens, which it does not."""
    return soft(batch) + torch.from_numpy(by_length(batch.length.numpy()))


COMPILED = {
    "two words": automaton(["a", "b"]),
    "in order, without": automaton(["b", "a"], any_order=False, without=["bb"]),
    "alternatives in a window": automaton([("ab", "b")], window=(1, 2)),
    "a word of two tokens": automaton(["ab"]),
    "nothing but the length": LOOP,
}


def compiled_target(name: str, power: float = 1.0, ramp: int = 0) -> Target:
    return Target(Spelled(1), COMPILED[name], 3, both, power, by_length, ramp)


@pytest.mark.parametrize("name", COMPILED)
@pytest.mark.parametrize(("power", "ramp"), [(1.0, 0), (2.0, 1)])
def test_compiled_twists(name: str, power: float, ramp: int) -> None:
    of = compiled_target(name, power, ramp)
    proposal = Twisted(twist_of(of))
    check(importance, of, 1, proposal=proposal)
    short = replace(of, max_length=2)
    check(smc, short, 2, proposal=Twisted(twist_of(short)), threshold=1.0)


@pytest.mark.parametrize("value", [-2000.0, 2000.0])
def test_lengths_of_any_energy(value: float) -> None:
    """exp(−2000) and exp(2000) are no float64; only differences count."""
    of = compiled_target("two words")
    plain = smc(of, SeededDraws(0), 200, proposal=Twisted(twist_of(of)))
    moved = replace(of, by_length=lambda n: by_length(n) + value, soft=lambda b: both(b) + value)
    other = smc(moved, SeededDraws(0), 200, proposal=Twisted(twist_of(moved)))
    assert other.batch.rows() == plain.batch.rows()
    assert other.log_z == pytest.approx(plain.log_z - value, abs=1e-9)
    steep = replace(of, by_length=lambda n: np.where(n == 3, 0.0, 900.0), soft=None)
    psi = twist_of(steep).psi(steep.automaton.start(1), 2, 5)
    assert np.isfinite(psi).all() and (psi[0, 1:] > 0).all()


def test_tokens_far_less_probable_than_those_that_are_forbidden() -> None:
    """p(v) = exp(−900) beside a forbidden token of p = 1 is no zero."""
    log_prob = torch.tensor([[-950.0, 0.0, -900.0, -901.0, -950.0]], dtype=torch.float64)

    class Two:
        def psi(self, states: Any, left: int, size: int) -> NDArray[np.float64]:
            return np.array([[0.0, 0.0, 1.0, 1e-50, 0.0]])

    choice = Twisted(Two()).look(log_prob, FEW, np.array([1]), 1)
    wanted = -900 + np.log1p(np.exp(-1) * 1e-50)
    assert float(choice.log_mass[0]) == pytest.approx(wanted, abs=1e-12)
    assert choice.draw(SeededDraws(0), torch.tensor([0])).token.tolist() == [2]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -1.0, "shape", "type"])
def test_what_is_no_twist(bad: Any) -> None:
    class Bad:
        def psi(self, states: Any, left: int, size: int) -> NDArray[np.float64]:
            psi = np.ones((len(states), size))
            if bad == "shape":
                return psi[:, :1]
            if bad == "type":
                return psi.astype(np.float32)  # type: ignore[return-value] # the fault
            psi[0, 2] = bad
            return psi

    with pytest.raises(EnergyError, match="the twist must be"):
        smc(target(FEW, 3), SeededDraws(0), 4, proposal=Twisted(Bad()))


def test_hazards_are_those_of_the_model_alone() -> None:
    """Whatever was drawn or asked before, and of whatever rows."""
    first, second = Spelled(2), Spelled(2)
    smc(Target(second, COMPILED["two words"], 3), SeededDraws(9), 7)
    torch.manual_seed(3)
    np.random.seed(3)  # noqa: NPY002 - the global state is what must not count
    one, other = hazards_of(first), hazards_of(second)
    assert one is hazards_of(first)
    assert one.beginnings == other.beginnings and bool((one.mass == other.mass).all())
    assert one.stopping == other.stopping and one.ends_stopped == other.ends_stopped
    assert hazards_of(first, 2.0) is not one and hazards_of(first, 2.0).power == 2.0
    assert one.stops.tolist() == [False] * 4 + [True]
    inside = float(one.mass[:4].sum())
    assert one.ends + one.goes_on + one.stopping == pytest.approx(1)
    assert inside == pytest.approx(1 - one.stopping)
    assert one.ends_stopped + one.goes_on_stopped == pytest.approx(1)
    assert isinstance(compile_twist(LOOP, first, 3, one), Twist)


def test_importance_takes_the_twist_by_name() -> None:
    energy = toy_energy()
    twisted = SAMPLERS["importance"](energy, 3, proposal="twisted")
    assert isinstance(twisted.proposal, Twisted) and twisted.target.power == 0.8
    with pytest.raises(InputError, match='a twist goes with proposal="twisted"'):
        SAMPLERS["importance"](energy, 3, twist=Wild(LOOP, 0, 1.0))
    with pytest.raises(InputError, match="twist must have a method psi"):
        SAMPLERS["importance"](energy, 3, proposal="twisted", twist=3)


FAULTS = {
    "rows in logs only where all are 0": ("twists", "weight.sum(1) < FAINT", "weight.sum(1) < 0"),
    "the factor of rows in logs is that of others": (
        "twists",
        "scale[low] = log_weight.amax(1)",
        "scale[low] = scale[low]",
    ),
    "a twist below 0": ("twists", "least >= 0 and most < torch.inf", "most < torch.inf"),
    "a twist without end": ("twists", "least >= 0 and most < torch.inf", "least >= 0"),
    "nothing is owed": (
        "weighted.choices",
        "owed = self.psi[rows, token].log()",
        "owed = self.psi[rows, token] * 0",
    ),
    "owed by the token of another row": (
        "weighted.choices",
        "owed = self.psi[rows, token].log()",
        "owed = self.psi[rows.flip(0), token].clamp(min=1e-300).log()",
    ),
    "what may not follow has a weight": (
        "weighted.choices",
        "from_numpy(state < 0)",
        "from_numpy(state < -9)",
    ),
    "states of other rows": (
        "weighted.choices",
        "self.automaton.advance(self.states[rows.numpy()]",
        "self.automaton.advance(self.states[: len(rows)]",
    ),
    "one number for all": ("twists", "psi.shape != (len(states), size) or ", ""),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_caught(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    faulty = modules_with_fault(
        ("twists", "weighted.choices", "weighted.twisted"), FAULTS[fault], monkeypatch
    )
    monkeypatch.setitem(globals(), "Twisted", faulty.twisted.Twisted)
    with pytest.raises(
        (AssertionError, ErgotextError, ValueError, IndexError, pytest.fail.Exception)
    ):
        check_all()


def check_all() -> None:
    test_tokens_far_less_probable_than_those_that_are_forbidden()
    for bad in (-1.0, np.inf, np.nan, "shape"):
        test_what_is_no_twist(bad)
    check_heedless()
    for name in ("dead ends", "soft"):
        test_any_twist(name, 200.0, 0)
