"""Metropolis-Hastings move by move; that the whole kernel is exact is in test_registry.py."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ergotext.lm.batch import TokenBatch
from ergotext.lm.energies.term import Sum
from ergotext.samplers.chains.edits import DELETE, INSERT, MOVES, REPLACE, SWAP
from ergotext.samplers.chains.metropolis import MetropolisHastings
from ergotext.samplers.chains.moves import EditMoves
from ergotext.samplers.chains.token_proposal import Slot
from ergotext.samplers.draws import SeededDraws
from ergotext.samplers.run import run
from ergotext.testing.exhaust import one_aperiodic_class, paths_of_step, stationary, transitions
from ergotext.testing.toy import flat_energy, space, toy_energy

SLOT = Slot(top=2, horizon=1, prior=0.2, uniform=0.05)
SLOTS = {"as shipped": Slot(top=2), "both sides": SLOT, "whole row": Slot(top=3, horizon=9)}
"""The list is as long as a toy allows; a horizon of 9 sees every row to its end."""


def problem(name: str) -> tuple[Sum, TokenBatch, int]:
    """An energy, all its states, and the maximum length that bounds them."""
    words = {
        "ordered": ["a", "c b"],
        "any order": ["a", "c b"],
        "nested": ["b", "b c", "b"],
        "overlapping": ["a", "b c", "a b"],
    }
    if name == "free":
        return toy_energy(), space(toy_energy(), 4), 4
    if name == "tilted":
        return flat_energy(), space(flat_energy(), 4), 4
    length = 6 if len(words[name]) > 2 else 5
    energy = toy_energy(words[name], any_order=name != "ordered")
    return energy, space(energy, length, needed=len(words[name])), length


PROBLEMS = ["free", "tilted", "ordered", "any order", "nested", "overlapping"]


@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize("slot", SLOTS)
def test_every_move_is_in_balance_with_its_reverse(name: str, slot: str) -> None:
    energy, states, longest = problem(name)
    kernel = MetropolisHastings(energy, longest, moves=EditMoves(longest, slot=SLOTS[slot]))
    value = energy(states)
    paths = paths_of_step(kernel, states, value)
    taken = {m: transitions(paths, states, (paths.info.move == m) & paths.info.accepted) for m in
             (INSERT, DELETE, REPLACE, SWAP)}  # fmt: skip
    pi = stationary(value)
    for move, back in ((INSERT, DELETE), (REPLACE, REPLACE), (SWAP, SWAP)):
        flow = pi[:, None] * taken[move]
        assert flow.sum() > 1e-4, f"{MOVES[move]} never happens"
        assert np.abs(flow - (pi[:, None] * taken[back]).T).max() < 1e-12, MOVES[move]


def test_a_single_kind_of_move_is_invariant_but_confined() -> None:
    energy, states, longest = problem("free")
    value = energy(states)
    for weights in ((0, 0, 1, 0), (0, 0, 0, 1), (1, 1, 0, 0)):
        kernel = MetropolisHastings(energy, longest, moves=EditMoves(longest, weights, SLOT))
        matrix = transitions(paths_of_step(kernel, states, value), states)
        pi = stationary(value)
        assert np.abs(pi @ matrix - pi).max() < 1e-9
        assert one_aperiodic_class(matrix) == (weights == (1, 1, 0, 0))


def test_info_holds_the_proposal_before_the_decision() -> None:
    energy, states, longest = problem("ordered")
    kernel = MetropolisHastings(energy, longest, moves=EditMoves(longest, slot=SLOT))
    value = energy(states)
    paths = paths_of_step(kernel, states, value)
    info, after, before = paths.info, paths.after, states.select(paths.origin)
    rejected = ~info.accepted
    assert rejected.any() and info.accepted.any()
    for row, old, new, move in zip(
        after.batch.select(rejected).rows(),
        before.select(rejected).rows(),
        info.proposal.select(rejected).rows(),
        info.move[rejected].tolist(),
        strict=True,
    ):
        assert row == old
        assert len(new) == len(old) + {INSERT: 1, DELETE: -1}.get(move, 0)
    accepted = info.accepted
    assert after.batch.select(accepted).rows() == info.proposal.select(accepted).rows()
    assert torch.equal(after.energy[accepted], info.proposal_energy[accepted])
    assert torch.equal(after.energy[rejected], value[paths.origin][rejected])


def test_kept_energy_is_the_fresh_one() -> None:
    energy, states, longest = problem("any order")
    kernel = MetropolisHastings(energy, longest, moves=EditMoves(longest, slot=SLOT))
    paths = paths_of_step(kernel, states, energy(states))
    assert torch.equal(paths.after.energy, energy(paths.after.batch))


def test_trace_repeats_the_state_on_rejection() -> None:
    energy, _, longest = problem("ordered")
    kernel = MetropolisHastings(energy, longest, moves=EditMoves(longest, slot=SLOT))
    draws = SeededDraws(0)
    trace, _ = run(kernel, draws, kernel.init(draws, 16), 40, progress=False)
    assert len(trace.states) == 41 and trace.energy.shape == (41, 16)
    moves = sum(trace.accepted.values())
    changed = sum(
        a != b
        for old, new in zip(trace.states, trace.states[1:], strict=False)
        for a, b in zip(old.rows(), new.rows(), strict=True)
    )
    assert 0 < changed <= moves < 40 * 16
    for batch, value in zip(trace.states, trace.energies, strict=True):
        assert torch.equal(energy(batch), value)
