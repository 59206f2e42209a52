"""Faults that published samplers have, put into our code one at a time: each must be caught.

A fault is a change of source text. The changed module runs beside the real ones, and the exactness
checks must then fail. The numbers are those of the list of known faults in CONTRIBUTING.md.
"""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
import torch

from ergotext.samplers import run
from ergotext.samplers.chains import metropolis, moves, token_proposal
from ergotext.samplers.chains.edits import DELETE, INSERT
from ergotext.samplers.draws import SeededDraws
from ergotext.testing.exhaust import paths_of_step, stationary, transitions
from tests.faulty import load_with_fault
from tests.samplers.chains.test_exactness import SLOT, problem

FAULTS = {
    "1: position counts left out": (
        "chains.moves",
        "log_to = [_at(chance, move), _at(place_law, place), _at(partner_law, partner)]",
        "log_to = [_at(chance, move), _at(partner_law, partner)]",
    ),
    "1: position count not that of the proposal": (
        "chains.moves",
        "_at(place_back, place_there)",
        "_at(_place_law(here, back, scorer.token_log_prob(batch)), place_there)",
    ),
    "1: surprisal of places not that of the proposal": (
        "chains.moves",
        "place_back = _place_law(there, back, scorer.token_log_prob(proposed))",
        "place_back = _place_law(there, back, torch.zeros(there.gap.shape).double())",
    ),
    "1: choice of move left out": (
        "chains.moves",
        "_at(self._move_probability(there), back)",
        "_at(chance, back)",
    ),
    "1: choice of token left out": (
        "chains.moves",
        "log_to.append(_at(token_law, token))",
        "",
    ),
    "1: partner of a swap looked up where it was": (
        "chains.moves",
        "partner_there = torch.where(move == SWAP, same_unit(here, there, partner), partner)",
        "partner_there = partner",
    ),
    "2: the current token forced into the list": (
        "chains.token_proposal",
        "        score = scorer.candidate_log_prob(",
        "        wide = batch.padded(batch.width + 1).ids\n"
        "        tokens[:, -1] = wide.gather(1, start[:, None])[:, 0]\n"
        "        score = scorer.candidate_log_prob(",
    ),
    "2: special tokens among the candidates": (
        "chains.token_proposal",
        "log_next = scorer.next_log_prob(batch, start).masked_fill(~allowed, -torch.inf)",
        "log_next = scorer.next_log_prob(batch, start)",
    ),
    "3: the proposal goes into the trace whatever was decided": (
        "run",
        "self.states.append(state.batch)",
        "self.states.append(info.proposal)",
    ),
    "3: Info holds the state after the decision": (
        "chains.metropolis",
        "Info(proposal.move, proposal.batch, energy,",
        "Info(proposal.move, after.batch, energy,",
    ),
    "4: a mean of log-probabilities instead of their sum": (
        "chains.moves",
        "torch.stack(parts).sum(0)",
        "torch.stack(parts).mean(0)",
    ),
    "19: the reverse probability from another row": (
        "chains.moves",
        "log_back.append(_log_back_token(slot, move, old, token))",
        "log_back.append(_log_back_token(slot.roll(1, 0), move, old, token))",
    ),
    "19: the reverse probability of the wrong token": (
        "chains.moves",
        "log_back.append(_log_back_token(slot, move, old, token))",
        "log_back.append(_log_back_token(slot, move, token, token))",
    ),
    "the old token not left out on the way back": (
        "chains.moves",
        "replaced = weight / others.sum(-1)",
        "replaced = weight",
    ),
    "single precision in the acceptance": (
        "chains.metropolis",
        "ratio = beta * (energy - proposed)",
        "ratio = beta * (energy - proposed).float()",
    ),
    "proposal ratio upside down": (
        "chains.metropolis",
        "proposal.log_q_back - proposal.log_q_to",
        "proposal.log_q_to - proposal.log_q_back",
    ),
    "temperature on the whole ratio": (
        "chains.metropolis",
        "ratio = beta * (energy - proposed) + proposal.log_q_back - proposal.log_q_to",
        "ratio = beta * (energy - proposed + proposal.log_q_back - proposal.log_q_to)",
    ),
    "displaced keywords accepted": (
        "chains.metropolis",
        "kept = (target.locked(batch) == batch.locked).all(-1)",
        "kept = batch.length >= 0",
    ),
    "old energy kept after acceptance": (
        "chains.metropolis",
        "torch.where(accepted, energy, state.energy)",
        "state.energy",
    ),
}


def check_exactness(modules: dict[str, ModuleType]) -> None:
    """The checks of test_exactness.py in short; AssertionError if one fails."""
    law = modules["chains.token_proposal"].Slot(SLOT.top, SLOT.horizon, SLOT.prior, SLOT.uniform)
    for name in ("tilted", "ordered", "any order"):
        energy, states, longest = problem(name)
        edits = modules["chains.moves"].EditMoves(longest, slot=law)
        kernel = modules["chains.metropolis"].MetropolisHastings(energy, longest, 0.7, edits)
        value = energy(states)
        paths = paths_of_step(kernel, states, value)
        matrix = transitions(paths, states)
        pi = stationary(value, 1 / 0.7)
        assert np.abs(pi @ matrix - pi).max() < 1e-9
        assert torch.equal(paths.after.energy, energy(paths.after.batch))
        before = states.length[paths.origin]
        growth = (paths.info.move == INSERT).long() - (paths.info.move == DELETE).long()
        assert torch.equal(paths.info.proposal.length, before + growth)
    draws = SeededDraws(0)
    trace, _ = modules["run"].run(kernel, draws, kernel.init(draws, 8), 20, progress=False)
    for batch, kept in zip(trace.states, trace.energies, strict=True):
        assert torch.equal(energy(batch), kept)


REAL = {
    "chains.token_proposal": token_proposal,
    "chains.moves": moves,
    "chains.metropolis": metropolis,
    "run": run,
}


def test_the_code_as_it_is_passes() -> None:
    check_exactness(REAL)


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_caught(fault: str) -> None:
    name, old, new = FAULTS[fault]
    with pytest.raises(AssertionError):
        check_exactness(REAL | {name: load_with_fault(f"samplers.{name}", (old, new))})
