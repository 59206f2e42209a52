"""Faults of Gumbel noise and stochastic beams, put into ours one at a time: a check must see each.

The numbers are those of the list of known faults in CONTRIBUTING.md.
"""

from __future__ import annotations

from typing import Any

import pytest

from ergotext.errors import ErgotextError
from ergotext.testing.tables import EVERYTHING, FEW, LOOP, target
from tests.faulty import modules, modules_with_fault
from tests.samplers.search.test_gumbel import check_family, check_noise
from tests.samplers.search.test_stochastic_beam import (
    FLAT,
    MISLEADS,
    ByToken,
    check_estimates,
    check_exact,
    check_inclusion,
    check_integrated,
    check_samples,
    check_tail,
)

pytestmark = pytest.mark.filterwarnings(
    "ignore::ergotext.samplers.weighted.samples.HeavyWeightsWarning"
)
NAMES = ("search.gumbel", "search.without_replacement", "search.top_down", "search.stochastic_beam")
FAULTS = {
    "12: k-hat of weights that are certain": (
        "search.without_replacement",
        "k_hat(self._by_chance().numpy(), self.tries)",
        "k_hat(self.log_weight.numpy(), self.tries)",
    ),
    "12: k-hat of those met alone": (
        "search.without_replacement",
        "k_hat(self._by_chance().numpy(), self.tries)",
        "k_hat(self._by_chance().numpy(), len(self))",
    ),
    "noise in single precision": (
        "search.gumbel",
        "return gumbel_quantile(draws.uniform(int(np.prod(shape)))).view(shape)",
        "return gumbel_quantile(draws.uniform(int(np.prod(shape))).float()).double().view(shape)",
    ),
    "children are shifted to the parent's noise, not held below it": (
        "search.gumbel",
        "return wanted - v.clamp(min=0.0) - torch.log1p(torch.exp(-v.abs()))",
        "return free - highest + wanted",
    ),
    "children of one parent are held below another's noise": (
        "search.gumbel",
        "wanted = maximum[family]",
        "wanted = maximum.flip(0)[family]",
    ),
    "10: the locally normalised model passes for the target": (
        "search.stochastic_beam",
        "log_target = found.log_prob + target",
        "log_target = found.log_q + target",
    ),
    "10: the soft energy is left out": (
        "search.stochastic_beam",
        "found.log_prob + target.log_soft(found.batch)",
        "found.log_prob + 0 * target.log_soft(found.batch)",
    ),
    "11: the end token forced at the greatest length is not weighed": (
        "search.top_down",
        "parent.log_prob + score,",
        "parent.log_prob + (1 if room else 0) * score,",
    ),
    "23: probabilities of a step are not normalised": (
        "search.top_down",
        "parent.log_q + hope - _mass(hope, row, len(self.open))[row]",
        "parent.log_q + hope",
    ),
    "the twist is part of the target": (
        "search.top_down",
        "parent.log_prob + score,",
        "parent.log_prob + hope,",
    ),
    "drawn by the twist and told without it": (
        "search.top_down",
        "log_q = parent.log_q + hope - _mass(hope, row, len(self.open))[row]\n"
        "        perturbed = gumbels_below(self.draws, log_q, row, self.open.perturbed)\n",
        "log_q = parent.log_q + hope - _mass(hope, row, len(self.open))[row]\n"
        "        perturbed = gumbels_below(self.draws, log_q, row, self.open.perturbed)\n"
        "        log_q = parent.log_q + score - _mass(score, row, len(self.open))[row]\n",
    ),
    "the power is left out": (
        "search.stochastic_beam",
        "return self.power * log_prob[rows, tokens]",
        "return log_prob[rows, tokens]",
    ),
    "the threshold is the lowest that was left out": (
        "search.top_down",
        'scatter_reduce(0, inputs, left_out, "amax")',
        'scatter_reduce(0, inputs, left_out, "amin")',
    ),
    "the threshold is that of the last step": (
        "search.top_down",
        "self.threshold = self.threshold.scatter_reduce(",
        "self.threshold = torch.full_like(self.threshold, -torch.inf).scatter_reduce(",
    ),
    "a place that a dead end left is filled from below the threshold": (
        "search.top_down",
        "return best & (contest.perturbed > self.threshold[inputs])",
        "return best",
    ),
    "finished sequences leave the contest": (
        "search.top_down",
        "kept = self._kept(contest)",
        "kept = torch.cat([torch.ones(len(self.finished)).bool(), self._kept(grown)])",
    ),
    "what is certain to be drawn is weighted all the same": (
        "search.without_replacement",
        "log_weight = log_target - chance + math.log(places)",
        "log_weight = log_target - log_q + math.log(places)",
    ),
    "weights do not know how many were asked for": (
        "search.without_replacement",
        "log_target - chance + math.log(places)",
        "log_target - chance",
    ),
    "the error of log Z takes draws for independent": (
        "search.without_replacement",
        "(self.weights.square() * -torch.expm1(self.log_inclusion)).sum()",
        "self.weights.square().sum()",
    ),
}


def check(m: Any) -> None:
    """The checks of the other modules in short, over these functions."""
    check_noise(m.gumbel.gumbel)
    check_family(m.gumbel.gumbels_below)
    m.search, m.sampler = m.top_down.leaves, m.stochastic_beam.stochastic_beam
    m.log_inclusion = m.without_replacement.log_inclusion
    check_tail(m.without_replacement.WithoutReplacement)
    check_exact(m.sampler, FEW)
    check_exact(m.sampler, FEW, MISLEADS, power=2.5)
    check_samples(m)
    check_integrated(m, FLAT, 2)
    check_integrated(m, FLAT, 2, ByToken())
    check_inclusion(m, EVERYTHING, 2, 2)
    check_estimates(m, target(FEW, 3), 2, 5000)
    check_estimates(m, target(LOOP, 4), 3, 20_000)


def test_the_code_as_it_is_passes() -> None:
    check(modules(NAMES))


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_caught(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    faulty = modules_with_fault(NAMES, FAULTS[fault], monkeypatch)
    with pytest.raises((AssertionError, ErgotextError, ValueError)):
        check(faulty)
