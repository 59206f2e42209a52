"""Annealing: the same kernel, its schedule, and that it goes down."""

from __future__ import annotations

import numpy as np
import pytest

from ergotext.samplers import MetropolisHastings, SimulatedAnnealing, sample
from ergotext.samplers.base import State
from ergotext.samplers.proposals import EditMoves
from tests.exhaust import PrescribedDraws, paths_of_step, stationary, transitions
from tests.samplers.test_exactness import SLOT, problem


def test_the_schedule_is_geometric() -> None:
    energy, _, longest = problem("free")
    annealing = SimulatedAnnealing(energy, longest, steps=5, hot=1.6, cold=0.1)
    temperatures = [annealing.temperature(step) for step in range(7)]
    assert temperatures == pytest.approx([1.6, 0.8, 0.4, 0.2, 0.1, 0.1, 0.1])
    assert SimulatedAnnealing(energy, longest, steps=1).temperature(0) == 1.2


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
