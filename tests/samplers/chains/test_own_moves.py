"""Metropolis-Hastings by moves of one's own: exact, by every path; and faults in them are told."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from ergotext import testing
from ergotext.lm.batch import TokenBatch
from ergotext.lm.energies.term import Sum
from ergotext.samplers import MetropolisHastings, Moves, Proposal, SimulatedAnnealing, sample
from ergotext.testing.exhaust import one_aperiodic_class, paths_of_step, stationary, transitions
from ergotext.testing.toy import flat_energy, space, toy_energy


@dataclass(frozen=True)
class Redraw:
    """Another token, from the model's law after what stands before it, at any place."""

    names: tuple[str, ...] = ("redraw",)
    fault: str = ""

    def propose(self, draws, batch, scorer, temperature) -> Proposal:
        count = batch.length.clamp(min=1)
        inside = torch.arange(max(1, batch.width)) < count[:, None]
        place = draws.categorical(inside.double() / count[:, None])
        law = scorer.next_log_prob(batch, place)
        law = law.masked_fill(~scorer.allowed, -torch.inf).softmax(1)
        if self.fault == "special tokens":
            law = torch.full_like(law, 1 / law.shape[1])
        token = draws.categorical(law)
        ids = batch.padded(max(1, batch.width)).ids
        old = ids.gather(1, place[:, None])[:, 0]
        after = TokenBatch(
            ids.scatter(1, place[:, None], token[:, None]), batch.length,
            batch.padded(max(1, batch.width)).locked,
        )  # fmt: skip
        here = batch.length > 0
        to = law.gather(1, token[:, None])[:, 0].log()
        back = law.gather(1, old[:, None])[:, 0].log()
        move = torch.where(here, 0, len(self.names))
        if self.fault == "symmetric":
            back = to
        back = torch.where(here, back, 0.0)
        return Proposal(after, move, torch.where(here, to, 0.0), back)


class Ends:
    """A free token is written behind, or the last one, if it is free, is taken away."""

    names = ("longer", "shorter")
    forgets_the_end = False

    def propose(self, draws, batch, scorer, temperature) -> Proposal:
        count = int(scorer.allowed.sum())
        shorter = draws.bernoulli(torch.full((len(batch),), 0.5, dtype=torch.float64))
        law = (scorer.allowed.double() / count).expand(len(batch), -1)
        token = draws.categorical(law)
        wide = batch.padded(batch.width + 1)
        at = batch.length[:, None]
        longer = replace(wide, ids=wide.ids.scatter(1, at, token[:, None]), length=at[:, 0] + 1)
        last = wide.locked.gather(1, (at - 1).clamp(min=0))[:, 0]
        can = (batch.length > 0) & (last == 0)
        cut = replace(wide, length=torch.where(can, batch.length - 1, batch.length))
        log = torch.tensor([0.5 / count, 0.5], dtype=torch.float64).log()
        to, back = torch.where(shorter, log[1], log[0]), torch.where(shorter, log[0], log[1])
        if self.forgets_the_end:
            back = to
        back = torch.where(shorter & ~can, -torch.inf, back)
        return Proposal(cut.where(shorter, longer), shorter.long(), to, back)


@dataclass(frozen=True)
class Either:
    """One of two kinds of moves, each half of the time: a mixture keeps what each keeps."""

    one: Moves
    other: Moves

    @property
    def names(self) -> tuple[str, ...]:
        return (*self.one.names, "stay", *self.other.names)

    def propose(self, draws, batch, scorer, temperature) -> Proposal:
        which = draws.bernoulli(torch.full((len(batch),), 0.5, dtype=torch.float64))
        a, b = (m.propose(draws, batch, scorer, temperature) for m in (self.one, self.other))
        move = torch.where(which, a.move, b.move + len(self.one.names) + 1)
        to = torch.where(which, a.log_q_to, b.log_q_to)
        back = torch.where(which, a.log_q_back, b.log_q_back)
        return Proposal(a.batch.where(which, b.batch), move, to, back)


BOTH = Either(Redraw(), Ends())


@pytest.mark.parametrize("moves", [Ends(), BOTH])
@pytest.mark.parametrize("temperature", [1.0, 0.4])
@pytest.mark.parametrize(
    ("energy", "needed"), [(flat_energy(), 0), (toy_energy(["a"]), 1), (toy_energy(["a", "c"]), 2)]
)
def test_any_moves_are_exact(energy: Sum, needed: int, moves: Moves, temperature: float) -> None:
    states = space(energy, 3, needed)
    kernel = MetropolisHastings(energy, 3, temperature, moves)
    paths = paths_of_step(kernel, states, energy(states))
    matrix, pi = transitions(paths, states), stationary(energy(states), 1 / temperature)
    assert np.abs(pi @ matrix - pi).max() < 1e-9
    assert np.diag(matrix).min() < 1 and len(states) > 10
    assert needed or one_aperiodic_class(matrix)


def test_one_call_proves_them() -> None:
    for moves in (Redraw(), Ends(), BOTH):
        testing.check_sampler(MetropolisHastings, moves=moves)
    for moves in (Redraw(), BOTH):
        testing.check_sampler(MetropolisHastings, toy_energy(["a"]), moves=moves, temperature=0.6)
    with pytest.raises(AssertionError, match=r"reaches 1 texts in all"):  # the keyword is the end
        testing.check_sampler(MetropolisHastings, toy_energy(["a"]), moves=Ends())


@pytest.mark.parametrize(
    ("moves", "sentence"),
    [
        (Redraw(fault="symmetric"), "does not keep exp"),
        (Redraw(fault="special tokens"), r"it proposed the tokens \[0\], which the model does not"),
        (type("Lopsided", (Ends,), {"forgets_the_end": True})(), "does not keep exp"),
    ],
)
def test_faults_are_told(moves: Moves, sentence: str) -> None:
    with pytest.raises(AssertionError, match=sentence):
        testing.check_sampler(MetropolisHastings, moves=moves)


def test_what_is_too_long_is_rejected() -> None:
    kernel = MetropolisHastings(flat_energy(), 2, moves=Ends())
    states = space(flat_energy(), 2)
    paths = paths_of_step(kernel, states, flat_energy()(states))
    long = paths.info.proposal.length > 2
    assert long.any() and not paths.info.accepted[long].any()
    assert paths.info.proposal_energy[long].isposinf().all()


def test_what_is_too_long_is_not_read() -> None:
    """A model may have no room for it."""

    def short(batch: TokenBatch) -> torch.Tensor:
        assert batch.longest <= 2, "it was read"
        return batch.length.double()

    energy = flat_energy() + short
    sample(energy, "mh", moves=Ends(), chains=4, steps=20, max_length=2, progress=False)


def test_runs_report_them_by_name() -> None:
    how = {"chains": 4, "steps": 40, "max_length": 4, "progress": False}
    result = sample(flat_energy(), "mh", moves=BOTH, **how)
    assert set(result.acceptance) == {"all", "redraw", "longer", "shorter"}
    annealed = sample(flat_energy(), "annealing", moves=BOTH, **how)
    assert set(annealed.acceptance) == {"all", "redraw", "longer", "shorter"}
    assert SimulatedAnnealing(flat_energy(), 4, moves=Redraw()).moves == ("redraw", "stay")
