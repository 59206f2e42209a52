"""Faults of particle chains, put into ours one at a time: exhausting their paths shows each."""

from __future__ import annotations

import numpy as np
import pytest

from ergotext.errors import ErgotextError
from ergotext.lm.energies.term import Sum
from ergotext.samplers import SAMPLERS
from ergotext.samplers.particle_chains.runs import ParticleChains
from ergotext.testing.exhaust import paths_from, paths_of_step, stationary, transitions
from ergotext.testing.tables import END, FEW, LOOP, Table
from ergotext.testing.toy import space
from tests.faulty import load_with_fault
from tests.samplers.pairs import Pairs
from tests.samplers.registry_worlds import weighted
from tests.samplers.test_particle_chains import MULTINOMIAL, check_equilibrium
from tests.samplers.test_registry_faults import put_in

RUNS, PIMH, GIBBS = (f"particle_chains.{name}" for name in ("runs", "pimh", "gibbs"))
SMC, CHOICES = "weighted.smc", "weighted.choices"

SHORT = Table(({END: 2, 1: 1, 2: 1}, {END: 2}, {}))
"""() (1) (2): a text may close while two others are open."""

FAULTS = {
    "Ẑ of the last run instead of the accepted one": (
        PIMH, "torch.where(accepted, new.log_z, state.log_z)", "new.log_z", "pimh",
    ),
    "the ratio is inverted": (
        PIMH, "(new.log_z - state.log_z)", "(state.log_z - new.log_z)", "pimh",
    ),
    "every run is accepted": (
        PIMH, "log_ratio.clamp(max=0.0).exp()", "(log_ratio > -torch.inf).double()", "pimh",
    ),
    "the energies decide instead of the runs": (
        PIMH, "(new.log_z - state.log_z)", "(state.energy - new.energy)", "pimh",
    ),
    "a particle is picked uniformly": (
        RUNS, "law = log_weight.softmax(1)",
        "law = (log_weight > -torch.inf).double()\n        law /= law.sum(1, keepdim=True)", "pimh",
    ),
    "an island is picked uniformly": (
        RUNS, "law = log_weight.softmax(1)",
        "law = torch.zeros_like(log_weight)\n"
        "        for g in range(each):\n"
        "            law[:, self.island == g] = log_weight[:, self.island == g].softmax(1)\n"
        "        law = law.nan_to_num(0.0)\n"
        "        law /= law.sum(1, keepdim=True)", "islands",
    ),
    "Ẑ leaves dead particles out": (
        RUNS, "log_z = log_mean_exp(log_weight)",
        "log_z = log_weight.logsumexp(1) - (log_weight > -torch.inf).sum(1).log()", "dead ends",
    ),
    "Ẑ is that of the best particle": (
        RUNS, "log_z = log_mean_exp(log_weight)", "log_z = log_weight.max(1).values", "pimh",
    ),
    "the kept text is resampled like the others": (
        SMC, "held = 0 if kept is None else kept.among(pool.places)", "held = 0", "gibbs",
    ),
    "conditional SMC resamples systematically": (
        GIBBS, 'return "multinomial"', 'return "systematic"', "lengths",
    ),
    "a closed text's island holds a place for it": (
        SMC, "return int(torch.isin(places[:1], self.place).sum())", "return min(1, len(places))",
        "lengths",
    ),
    "the kept text is never picked": (
        RUNS, "law = log_weight.softmax(1)",
        "law = log_weight.softmax(1)\n"
        "        if kept is not None:\n"
        "            law[:, 0] = 0.0\n"
        "            law /= law.sum(1, keepdim=True)", "gibbs",
    ),
    "the kept text weighs nothing after resampling": (
        SMC, "log_weight[self.places] = log_mean_exp(self.log_weight)",
        "log_weight[self.places[1:]] = log_mean_exp(self.log_weight)", "gibbs",
    ),
    "the kept text's tokens are those before": (
        SMC, "token = wide.ids.gather(1, written[:, None])[:, 0]",
        "token = wide.ids.gather(1, (written - 1).clamp(min=0)[:, None])[:, 0]", "gibbs",
    ),
    "the kept text is not held": (
        CHOICES, "return torch.where(sure[:, None], there.double(), law)", "return law", "gibbs",
    ),
    "all particles write the kept text": (
        SMC, "given = torch.full((len(rows.open),), -1)",
        "given = torch.full((len(rows.open),), int(token[0]))", "gibbs",
    ),
    "given texts have the Ẑ of free runs": (
        RUNS, "self.run(draws, chains, state.batch).log_z", "self.run(draws, chains).log_z",
        "equilibrium",
    ),
}  # fmt: skip


def check(world: str) -> None:
    """What test_registry.py and test_particle_chains.py compute, of one world."""
    if world == "equilibrium":
        check_equilibrium(FEW, 2, MULTINOMIAL)
        return
    if world == "gibbs":
        check_gibbs(*weighted(FEW, 3), 2)
        return
    if world == "lengths":
        check_gibbs(*weighted(SHORT, 1), 3)
        return
    energy, longest = weighted(FEW, 2) if world != "dead ends" else weighted(LOOP, 2, seed=0)
    options = {
        "pimh": {"threshold": 1.0},
        "dead ends": {"threshold": 0.9},
        "islands": {"threshold": 0.0, "islands": 2},
    }[world]
    sampler = SAMPLERS["pimh"](energy, longest, particles=2, **options)
    pairs, states = Pairs.of(sampler), space(energy, longest)
    value = energy(states)
    law = pairs.invariant(float((-value).logsumexp(0)))
    assert np.abs(pairs.marginal(law, states) - stationary(value)).max() < 1e-9
    paths = paths_from(pairs.tabled(sampler), pairs.state)
    assert np.abs(law @ pairs.transitions(paths) - law).max() < 1e-9


def check_gibbs(energy: Sum, longest: int, particles: int) -> None:
    sampler = SAMPLERS["particle-gibbs"](energy, longest, particles, threshold=1.0)
    states = space(energy, longest)
    value = sampler.energy(states)
    matrix = transitions(paths_of_step(sampler, states, value), states)
    law = stationary(value)
    assert np.abs(law @ matrix - law).max() < 1e-9


WORLDS = sorted({world for *_, world in FAULTS.values()})


@pytest.mark.parametrize("world", WORLDS)
def test_the_code_as_it_is_passes(world: str) -> None:
    check(world)


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_caught(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, old, new, world = FAULTS[fault]
    if module == RUNS:  # the base class of both
        faulty = load_with_fault(f"samplers.{module}", (old, new)).ParticleChains
        for method in ("run", "begin"):
            monkeypatch.setattr(ParticleChains, method, getattr(faulty, method))
    else:
        put_in(f"samplers.{module}", old, new, monkeypatch)
    with pytest.raises((AssertionError, ErgotextError, IndexError, ValueError, RuntimeError)):
        check(world)
