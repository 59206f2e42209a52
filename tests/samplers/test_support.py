"""Chains and hard constraints: what the energy forbids is no state, and would be told."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from ergotext.errors import InputError
from ergotext.lm.batch import TokenBatch
from ergotext.lm.energies.keywords import Keywords
from ergotext.lm.energies.matches import Matches, matches
from ergotext.lm.energies.template import template
from ergotext.lm.energies.term import Sum
from ergotext.lm.energies.terms import fluency
from ergotext.lm.loading import load
from ergotext.samplers import SAMPLERS, Result, SeededDraws, sample
from ergotext.samplers.diagnostics import Diagnosis
from ergotext.samplers.run import run
from ergotext.testing.exhaust import paths_of_step, stationary, transitions
from ergotext.testing.tables import END, Table
from ergotext.testing.toy import TOKENS, ToyFluency, ToyMasked, ToyProposer, ToyScorer, flat_energy
from tests.faulty import load_with_fault
from tests.samplers.registry_worlds import of_length

PAIRS = Table(({1: 1, 2: 1, 3: 1}, {2: 2, 3: 2}, {END: 3}, {}))
JOINT = ToyFluency(ToyScorer(2))


class Consistent(ToyMasked):
    """A masked model whose conditionals are those of a joint law, exp(−JOINT)."""

    def conditional_log_prob(self, batch: TokenBatch, position: Tensor) -> Tensor:
        every = torch.arange(TOKENS)
        wide = batch.ids[:, None, :].expand(-1, TOKENS, -1).clone()
        wide.scatter_(
            2,
            position[:, None, None].expand(-1, TOKENS, 1),
            every[None, :, None].expand(len(batch), -1, 1),
        )
        length = batch.length.repeat_interleave(TOKENS)
        rows = TokenBatch(wide.flatten(0, 1), length, torch.zeros_like(wide.flatten(0, 1)))
        value = -JOINT(rows).view(len(batch), TOKENS)
        return value.masked_fill(~self.allowed, -torch.inf).log_softmax(-1)


class Proposer(ToyProposer):
    @property
    def masked(self) -> Consistent:
        return Consistent()


def test_the_masked_chain_keeps_its_law_cut_to_the_support() -> None:
    """Where there is a joint law p, the chain keeps p of the texts that are allowed."""

    def forbidden(batch: TokenBatch) -> Tensor:
        twice = (batch.ids[:, 1:] == 2) & (batch.ids[:, :-1] == 2)
        return torch.where(twice.any(1), torch.inf, 0.0)

    energy = Sum([(0.0, Proposer()), (1.0, JOINT)]) + forbidden
    states = of_length(energy, 3)
    value = energy(states)
    assert 30 < len(states) < 4**3
    sampler = SAMPLERS["mlm-gibbs"](energy, max_length=3)
    matrix = transitions(paths_of_step(sampler, states, value), states)
    pi = stationary(value)
    np.testing.assert_allclose(matrix.sum(1), 1, atol=1e-12)
    assert np.abs(pi @ matrix - pi).max() < 1e-9 and np.diag(matrix).min() < 1


def test_the_masked_chain_stays_inside_an_automaton() -> None:
    energy = Sum([(1.0, JOINT), (0.0, ToyProposer()), (1.0, matches(PAIRS))])
    result = sample(
        energy, "mlm-gibbs", chains=4, steps=60, initial=TokenBatch.of([(1, 2)]), progress=False
    )
    assert isinstance(result, Result) and bool(torch.isfinite(result.energy).all())
    assert 0 < result.acceptance["redraw"] < 1
    assert not any("infinite" in said for said in result.warnings)


def test_a_chain_that_left_the_support_would_be_told_of() -> None:
    """9: the plain chain as it was, which took whatever the masked model drew."""
    fault = ("allowed = torch.isfinite(energy)", "allowed = torch.ones(len(batch)).bool()")
    wandering = load_with_fault("samplers.chains.masked", fault).MaskedGibbs
    energy = Sum([(1.0, JOINT), (0.0, ToyProposer()), (1.0, matches(PAIRS))])
    sampler, draws = wandering(energy), SeededDraws(0)
    trace, _ = run(sampler, draws, sampler.init(draws, 4, TokenBatch.of([(1, 2)])), 60)
    assert torch.isinf(trace.energy).float().mean() > 0.1
    told = Diagnosis.of("energy", trace.energy[30:].numpy())
    assert told.infinite > 0.1 and "infinite energy" in told.warnings()[0]


def test_infinite_values_are_told_with_their_share() -> None:
    values = np.random.default_rng(0).normal(size=(400, 4))
    values[:40, 1] = math.inf
    told = Diagnosis.of("energy", values)
    assert told.infinite == 0.025 and told.r_hat == math.inf == told.mcse and told.ess_bulk == 0
    (said,) = told.warnings()
    assert said.startswith("0.025 of the draws have an infinite energy") and "mlm-mh" in said
    assert Diagnosis.of("energy", values[40:]).infinite == 0


def test_a_result_that_went_outside_says_so() -> None:
    result = sample(flat_energy(), "mh", chains=4, steps=40, max_length=4, progress=False)
    assert isinstance(result, Result)
    for energy in result.trace.energies[30:]:
        energy[0] = math.inf
    outside = replace(result)
    assert "infinite energy" in outside.warnings[0] and len(outside.warnings) == 1
    assert "energy inf" in outside.diagnose().text()


class Unmade(Matches):
    """A constraint that no text can be made for, only checked."""

    def initial(self, count: int) -> TokenBatch:
        raise AssertionError("a text was asked for, and one was given to start from")


@pytest.mark.parametrize("name", ["mh", "gibbs", "mlm-gibbs", "mlm-mh", "tempering", "annealing"])
def test_a_text_to_start_from_is_all_that_is_needed(name: str) -> None:
    """Keywords and an automaton, for which no common text need be found."""
    terms = [
        (1.0, JOINT),
        (0.0, ToyProposer()),
        (1.0, Keywords(["a"])),
        (1.0, Unmade(PAIRS, JOINT.scorer)),
    ]
    begin = TokenBatch.of([(1, 2)])
    result = sample(Sum(terms), name, chains=2, steps=4, initial=begin, progress=False)
    assert isinstance(result, Result) and result.steps == 4
    with pytest.raises(InputError, match="does not contain every keyword"):
        sample(Sum(terms), name, chains=2, steps=4, initial=TokenBatch.of([(3, 2)]))


def test_marks_are_told_without_a_text() -> None:
    assert Sum([(1.0, JOINT), (1.0, Keywords(["a", "c b"]))]).marks == {1, 2}
    assert (
        Sum([(1.0, JOINT), (1.0, Unmade(PAIRS, JOINT.scorer))]).marks == JOINT.marks == frozenset()
    )


def test_marks_of_a_template_are_those_of_its_given_texts() -> None:
    lm = load("tiny-causal")
    for text, marks in (("The cat ___", {1}), ("The ___ sat.", {1, 2})):
        energy = fluency(lm) + template(text)
        assert energy.marks == marks == set(energy.initial(1).locked.unique().tolist()) - {0}
