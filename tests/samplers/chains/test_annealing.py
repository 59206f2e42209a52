"""Annealing: the same kernel, its schedule, and that it goes down."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ergotext.errors import InputError
from ergotext.samplers import MetropolisHastings, SeededDraws, SimulatedAnnealing, sample
from ergotext.samplers.base import State
from ergotext.samplers.chains.annealing import Adaptive
from ergotext.samplers.chains.moves import EditMoves
from ergotext.samplers.chains.schedules import lam_rate
from ergotext.testing.exhaust import PrescribedDraws, paths_of_step, stationary, transitions
from tests.samplers.chains.test_exactness import SLOT, problem


def test_schedules_go_from_hot_to_cold() -> None:
    energy, _, longest = problem("free")
    wanted = {
        "linear": [1.6, 1.225, 0.85, 0.475, 0.1, 0.1],
        "geometric": [1.6, 0.8, 0.4, 0.2, 0.1, 0.1],
        "logarithmic": [1.6 / (1 + 15 * np.log(k) / np.log(5)) for k in (1, 2, 3, 4, 5, 5)],
    }
    for name, values in wanted.items():
        how = {"hot": 1.6, "cold": 0.1, "schedule": name}
        once = SimulatedAnnealing(energy, longest, steps=5, **how)
        assert [once.temperature(k) for k in range(6)] == pytest.approx(values)
        twice = SimulatedAnnealing(energy, longest, steps=10, restarts=1, **how)
        assert [twice.temperature(k) for k in range(11)] == pytest.approx(values[:5] * 2 + [0.1])
        assert SimulatedAnnealing(energy, longest, steps=1, schedule=name).temperature(0) == 1.2


def test_the_adaptive_schedule_follows_what_is_accepted() -> None:
    """Chains that accept too much cool, the others heat; a restart makes all hot again."""
    energy, _, longest = problem("free")
    how = {"hot": 2.0, "cold": 0.2, "schedule": "adaptive"}
    annealing = SimulatedAnnealing(energy, longest, steps=100, restarts=1, **how)
    draws = SeededDraws(0)
    state = annealing.init(draws, 30)
    assert isinstance(state, Adaptive) and (state.temperature == 2.0).all()
    for step in range(100):
        before = state
        state, info = annealing.step(draws, state)
        hot = torch.full((30,), 2.0).double() if step == 50 else before.temperature
        assert torch.equal(info.temperature, hot)
        assert isinstance(state, Adaptive) and state.step == step + 1
        cooler = state.rate > lam_rate(step % 50 / 50)
        factor = torch.where(cooler, 0.1 ** (1 / 5), 0.1 ** (-1 / 5))
        wanted = (hot * factor).clamp(0.2, 2.0)
        torch.testing.assert_close(state.temperature, wanted)
    assert len(state.temperature.unique()) > 1
    assert [lam_rate(share) for share in (0, 0.1499, 0.5)] == pytest.approx(
        [1, 0.441, 0.44], abs=1e-4
    )
    assert lam_rate(1.0) == pytest.approx(0.001)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"schedule": "slow"}, "choose one of linear"), ({"restarts": 300}, "do not fit 300 steps")],
)
def test_schedules_that_cannot_be(options, message: str) -> None:
    with pytest.raises(InputError, match=message):
        SimulatedAnnealing(problem("free")[0], **options)


@pytest.mark.parametrize("step", [0, 3])
def test_a_step_is_the_kernel_at_that_temperature(step: int) -> None:
    """Its transition matrix leaves exp(−E/T) of that very step invariant."""
    energy, states, longest = problem("ordered")
    edits = EditMoves(longest, slot=SLOT)
    annealing = SimulatedAnnealing(energy, longest, steps=4, hot=1.5, cold=0.5, moves=edits)
    value = energy(states)

    class Later:
        def step(self, draws: PrescribedDraws, state: State):
            return annealing.step(draws, State(state.batch, state.energy, step))

    matrix = transitions(paths_of_step(Later(), states, value), states)
    pi = stationary(value, 1 / annealing.temperature(step))
    assert np.abs(pi @ matrix - pi).max() < 1e-9
    other = MetropolisHastings(energy, longest, 0.9, edits)
    assert np.abs(transitions(paths_of_step(other, states, value), states) - matrix).max() > 1e-3


def test_it_ends_in_the_minimum_more_often_than_sampling_does() -> None:
    energy, states, longest = problem("ordered")
    value = energy(states)
    share = float((-value).softmax(0).max())
    ends = {}
    for name in ("mh", "annealing"):
        result = sample(energy, name, chains=200, steps=150, max_length=longest, progress=False)
        lowest = result.trace.energies[-1] < float(value.min()) + 1e-9
        ends[name] = float(lowest.double().mean())
    error = (share * (1 - share) / 200) ** 0.5
    assert abs(ends["mh"] - share) < 5 * error
    assert ends["annealing"] > share + 10 * error
