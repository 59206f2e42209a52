"""Particle chains: where they begin, chains side by side, checkpoints, what they refuse."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ergotext.errors import InputError
from ergotext.lm.batch import TokenBatch
from ergotext.lm.energies.keywords import keywords
from ergotext.lm.energies.matches import matches
from ergotext.lm.energies.term import Sum
from ergotext.samplers import SAMPLERS, SeededDraws, sample
from ergotext.samplers.particle_chains.pimh import RunState
from ergotext.samplers.target import EnergyError
from ergotext.samplers.weighted.samples import ZeroWeightError
from ergotext.testing.exhaust import every_run, joint_paths, stationary
from ergotext.testing.tables import FEW, LOOP, PAIR, Table
from ergotext.testing.toy import ToyFluency, ToyScorer, space
from tests.samplers.pairs import Pairs, runs
from tests.samplers.registry_worlds import hoped, weighted

NAMES = ["pimh", "particle-gibbs"]
MULTINOMIAL = {"threshold": 1.0, "resampling": "multinomial"}


def made(table: Table, longest: int, **options: Any) -> Any:
    return SAMPLERS["pimh"](*weighted(table, longest), **({"particles": 2} | options))


@pytest.mark.parametrize(
    ("table", "longest", "options"),
    [(FEW, 2, MULTINOMIAL), (LOOP, 1, hoped(LOOP, 0.2, 0.9, -0.7, 1.1, 0.4, **MULTINOMIAL))],
)
def test_from_a_draw_it_begins_in_equilibrium(
    table: Table, longest: int, options: dict[str, Any]
) -> None:
    """x ~ π and Ẑ of a run conditional on it have the law π(x, Ẑ) = q(x, Ẑ) Ẑ / Z."""
    check_equilibrium(table, longest, options)


def check_equilibrium(table: Table, longest: int, options: dict[str, Any]) -> None:
    sampler = made(table, longest, **options)
    energy = sampler.energy
    pairs, states = Pairs.of(sampler), space(energy, longest)
    value = energy(states)
    law = np.zeros(len(pairs))
    for i, p in enumerate(stationary(value)):
        first = states.select([i])
        begun = Pairs(runs(lambda draws, at=first: sampler.init(draws, 1, at)), energy)
        assert begun.law.sum() == pytest.approx(1, abs=1e-12)
        law[pairs.at(begun.state)] += p * begun.law
    assert np.abs(law - pairs.invariant(float((-value).logsumexp(0)))).max() < 1e-9


def check_whole_step(sampler: Any, states: Any) -> None:
    """The step and its run as one, path by path."""
    pairs, value = Pairs.of(sampler), sampler.energy(states)
    paths = joint_paths(sampler, pairs.state)
    law = pairs.invariant(float((-value).logsumexp(0)))
    assert np.abs(law @ pairs.transitions(paths) - law).max() < 1e-9


def test_the_run_within_a_step() -> None:
    sampler = made(PAIR, 1, threshold=1.0)
    check_whole_step(sampler, space(sampler.energy, 1))


def test_chains_side_by_side_are_independent() -> None:
    """Two chains of one batch have the product of the laws of one."""
    energy = Sum([(1.0, ToyFluency(ToyScorer(1))), (1.0, matches(PAIR))])
    sampler = SAMPLERS["pimh"](energy, 1, particles=2, threshold=1.0)
    pairs = Pairs.of(sampler)
    joint = np.zeros((len(pairs), len(pairs)))
    for p, both in every_run(lambda draws: sampler.run(draws, 2)):
        one, two = pairs.at(both)
        joint[one, two] += p
    assert len(pairs) > 2
    assert np.abs(joint - np.outer(pairs.law, pairs.law)).max() < 1e-12


def test_a_run_that_died_is_rejected() -> None:
    sampler = made(LOOP, 1, proposal="masked", particles=1)
    draws = SeededDraws(0)
    state = sampler.init(draws, 40)
    rejected = 0
    for _ in range(10):
        before, (state, info) = state, sampler.step(draws, state)
        dead = info.proposal_energy == torch.inf
        assert not info.accepted[dead].any() and bool((info.log_ratio[dead] == -torch.inf).all())
        assert torch.equal(state.log_z[~info.accepted], before.log_z[~info.accepted])
        rejected += int(dead.sum())
    assert rejected > 20 and bool(torch.isfinite(state.energy).all())


@pytest.mark.parametrize("name", NAMES)
def test_a_resumed_run_is_the_same(name: str, tmp_path: Path) -> None:
    energy, longest = weighted(LOOP, 5)
    same: dict[str, Any] = {
        "chains": 3, "max_length": longest, "particles": 4, "proposal": "masked",
        "every": 5, "seed": 2, "progress": False,
    }  # fmt: skip
    whole = sample(energy, name, steps=20, **same)
    file = tmp_path / "run"
    sample(energy, name, steps=10, checkpoint=file, **same)
    resumed = sample(energy, name, steps=20, checkpoint=file, resume=True, **same)
    assert torch.equal(resumed.energy, whole.energy)
    assert [b.rows() for b in resumed.trace.states] == [b.rows() for b in whole.trace.states]
    if name == "pimh":
        assert isinstance(resumed.state, RunState)
        assert torch.equal(resumed.state.log_z, whole.state.log_z)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_refused(name: str) -> None:
    energy, longest = weighted(LOOP, 3)
    sampler = SAMPLERS[name]
    for options in ({"particles": 0}, {"particles": 2.5}, {"threshold": 2.0}, {"proposal": "no"}):
        with pytest.raises(InputError, match=next(iter(options)).rstrip("s")):
            sampler(energy, longest, **options)
    with pytest.raises(InputError, match="cannot be conditioned on a text"):
        sampler(energy, longest, proposal="model")
    with pytest.raises(InputError, match="no option temperature"):
        sample(energy, name, temperature=2.0)
    with pytest.raises(InputError, match="cannot run at given temperatures"):
        SAMPLERS["tempering"](energy, longest, kernel=name)


@pytest.mark.parametrize("name", NAMES)
def test_a_start_may_hold_a_keyword_in_other_tokens(name: str) -> None:
    energy = ToyFluency(ToyScorer()) + keywords(["b"])
    usual, other = TokenBatch.of([(1, 3)]), TokenBatch.of([(1, 4)])  # both say "a b"
    draws = SeededDraws(1)
    state = SAMPLERS[name](energy, 3, particles=2).init(draws, 2, other)
    assert state.batch.rows() == [(1, 4), (1, 4)]
    after, _ = SAMPLERS[name](energy, 3, particles=8).step(draws, state)
    assert torch.isfinite(after.energy).all()
    assert SAMPLERS["mh"](energy, 3).init(draws, 1, usual).batch.rows() == [(1, 3)]
    with pytest.raises(InputError, match="as the tokenizer writes it"):
        SAMPLERS["mh"](energy, 3).init(draws, 1, other)
    with pytest.raises(InputError, match="energy of the initial text is"):
        SAMPLERS[name](energy, 3).init(draws, 1, TokenBatch.of([(1, 1)]))


@pytest.mark.parametrize("name", NAMES)
def test_all_particles_die(name: str) -> None:
    energy, longest = weighted(LOOP, 1)
    never = energy + (lambda batch: torch.full((len(batch),), torch.inf, dtype=torch.float64))
    sampler = SAMPLERS[name](never, longest, particles=2, proposal="masked")
    with pytest.raises(ZeroWeightError, match="no first text for 3 of 3 chains"):
        sampler.init(SeededDraws(0), 3)


def test_a_twist_that_is_zero_where_a_text_can_follow() -> None:
    energy, longest = weighted(FEW, 3)
    wrong = hoped(FEW, 0.0, 0.0, -np.inf, 0.0, 0.0)
    sampler = SAMPLERS["particle-gibbs"](energy, longest, particles=4, **wrong)
    states = space(energy, longest)
    with pytest.raises(EnergyError, match="a twist must be above 0"):
        sampler.step(SeededDraws(0), sampler.init(SeededDraws(0), len(states), states))


def test_the_states_log_z_is_that_of_the_accepted_run() -> None:
    sampler = made(FEW, 3)
    draws = SeededDraws(5)
    state = sampler.init(draws, 50)
    low = replace(state, log_z=state.log_z + 100.0)
    after, info = sampler.step(draws, low)
    assert not info.accepted.any() and torch.equal(after.log_z, low.log_z)
    after, info = sampler.step(draws, replace(state, log_z=state.log_z - 100.0))
    assert bool(info.accepted.all())
    found = info.log_ratio + state.log_z - 100.0
    torch.testing.assert_close(after.log_z, found, rtol=0, atol=1e-9)
