"""Samplers under sentence ending, every path enumerated: a row of two sentences has energy +inf."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from ergotext.samplers import SAMPLERS
from ergotext.samplers.chains.moves import EditMoves
from ergotext.samplers.chains.token_proposal import Slot
from ergotext.samplers.weighted.importance import importance
from ergotext.samplers.weighted.smc import smc
from ergotext.testing.exhaust import paths_of_step, stationary, transitions
from ergotext.testing.tables import expected, mass, require_mass
from ergotext.testing.toy import space
from tests.lm.endings.checks import EXACT, every_row, target_of
from tests.lm.endings.toy import TEXTS, sentence_energy, sentence_toy

pytestmark = pytest.mark.filterwarnings(
    "ignore::ergotext.samplers.weighted.samples.HeavyWeightsWarning"
)
LONGEST = 3
FAR = EditMoves(LONGEST, slot=Slot(top=3, horizon=9))
"""Sees every row to its end, where the probability of the end counts."""
CHAINS: dict[str, tuple[str, dict[str, Any]]] = {
    "mh": ("mh", {}),
    "mh that sees the end": ("mh", {"moves": FAR}),
    "gibbs": ("gibbs", {}),
    "suffix": ("suffix", {}),
    "rewrite": ("rewrite", {"tries": 1, "stretch": 1}),
}


@pytest.mark.parametrize(
    ("name", "world"),
    [
        (name, world)
        for name in CHAINS
        for world in TEXTS
        if name in ("mh", "mh that sees the end", "gibbs") or world == "english"
    ],
)
def test_chains_keep_the_law(name: str, world: str) -> None:
    sampler, options = CHAINS[name]
    energy = sentence_energy(world)
    states = space(energy, LONGEST)
    assert len(states) < len(every_row(LONGEST))
    kernel = SAMPLERS[sampler](energy, max_length=LONGEST, **options)
    pi = stationary(energy(states))
    paths = paths_of_step(kernel, states, energy(states))
    proposed = torch.isinf(paths.info.proposal_energy)
    if sampler == "mh":
        assert proposed.any() and not paths.info.accepted[proposed].any()
    assert np.abs(pi @ transitions(paths, states) - pi).max() < EXACT


@pytest.mark.parametrize("world", ["english", "chinese"])
@pytest.mark.parametrize("sampler", [importance, smc])
def test_weighted_samplers_have_the_mass_of_the_law(sampler: Any, world: str) -> None:
    target = target_of(sentence_toy(world), 2)
    wanted = {row: p for row, p in mass(target).items() if p}
    got, _ = expected(sampler, target, 1)
    assert len(wanted) < len(every_row(2))
    require_mass(got, wanted)
