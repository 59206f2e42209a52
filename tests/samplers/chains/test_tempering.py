"""Parallel tempering: its ladder, what it reports, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ergotext.errors import InputError
from ergotext.samplers import MetropolisHastings, ParallelTempering, SeededDraws, sample
from ergotext.samplers.chains.tempering import Ladder, LadderInfo
from ergotext.testing.exhaust import stationary
from tests.samplers.chains.test_exactness import problem
from tests.samplers.registry_worlds import of_length, tilted


def test_the_ladder_and_its_exchanges() -> None:
    """By turns a move of all and exchanges of even or odd pairs, whose energies go with them."""
    energy, _, longest = problem("free")
    sampler = ParallelTempering(energy, longest, temperature=0.5, hottest=4.0, rungs=4)
    assert sampler.ladder.tolist() == pytest.approx([0.5, 1.0, 2.0, 4.0])
    draws = SeededDraws(0)
    state = sampler.init(draws, 20)
    assert isinstance(state, Ladder) and len(state.batch) == 20 and len(state.above) == 60
    counted = torch.zeros(2, 3, dtype=torch.int64)
    for turn in range(80):
        before = state
        state, info = sampler.step(draws, state)
        assert isinstance(state, Ladder) and isinstance(info, LadderInfo)
        pairs = [False] * 3 if turn % 2 == 0 else [turn % 4 == 1, turn % 4 == 3, turn % 4 == 1]
        assert info.swap_tried.tolist() == [pairs] * 20
        assert not (info.swap_accepted & ~info.swap_tried).any()
        if turn % 2:  # nothing is lost or made, and nothing moves where nothing was accepted
            for r in range(20):
                old = [before.batch.rows()[r], *before.above.rows()[r::20]]
                new = [state.batch.rows()[r], *state.above.rows()[r::20]]
                for k in info.swap_accepted[r].nonzero()[:, 0].tolist():
                    old[k], old[k + 1] = old[k + 1], old[k]
                assert old == new
        expected = info.proposal.where(info.accepted, before.batch)
        assert state.batch.rows() == expected.rows() and state.step == turn + 1
        torch.testing.assert_close(state.energy, energy(state.batch))
        torch.testing.assert_close(state.above_energy, energy(state.above))
        counted += torch.stack([info.swap_tried.sum(0), info.swap_accepted.sum(0)])
    assert torch.equal(state.tried, counted[0]) and torch.equal(state.exchanged, counted[1])
    assert state.swap_rate.tolist() == pytest.approx((counted[1] / counted[0]).tolist())
    assert 0.1 < float(state.swap_rate.min()) < float(state.swap_rate.max()) < 1


def test_the_coldest_of_three_rungs_is_the_target() -> None:
    energy = tilted(masked=1)
    states = of_length(energy, 2)
    sampler = ParallelTempering(energy, 2, 0.5, 2.0, rungs=3, kernel="gibbs")
    draws, count = SeededDraws(1), 4000
    state = sampler.init(draws, count, states.select([0]))
    for _ in range(40):
        state, _ = sampler.step(draws, state)
    index = {row: i for i, row in enumerate(states.rows())}
    for r, rows in enumerate([state.batch.rows(), state.above.rows()[:count]]):
        seen = np.bincount([index[row] for row in rows], minlength=len(index)) / count
        pi = stationary(energy(states), 1 / float(sampler.ladder[r]))
        assert (np.abs(seen - pi) < 5 * np.sqrt(pi * (1 - pi) / count)).all()


def test_a_kernel_of_ones_own() -> None:
    energy, _, longest = problem("free")
    kernel = MetropolisHastings(energy, longest)
    assert ParallelTempering(energy, longest, kernel=kernel).kernel is kernel
    result = sample(energy, "tempering", steps=4, max_length=longest, kernel=kernel, progress=False)
    assert result.steps == 4
    with pytest.raises(InputError, match="built for another energy"):
        ParallelTempering(problem("free")[0], longest, kernel=kernel)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rungs": 1}, "rungs must be at least 2"),
        ({"hottest": 0.5}, "rungs must be at least 2"),
        ({"temperature": 0.0}, "positive"),
        ({"kernel": "annealing"}, "cannot run"),
        ({"kernel": "tempering"}, "cannot run"),
        ({"kernel": "smc"}, "cannot run"),
        ({"kernel": "mlm-mh"}, "masked language model"),
    ],
)
def test_ladders_that_cannot_be(options, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ParallelTempering(problem("free")[0], 4, **options)
