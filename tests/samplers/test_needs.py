"""What each sampler needs of an energy: told, checked, and documented."""

from __future__ import annotations

import itertools
import re
from typing import get_args

import numpy as np
import pytest

from ergotext.errors import InputError
from ergotext.lm.batch import TokenBatch
from ergotext.lm.energies.matches import matches
from ergotext.lm.energies.term import Sum
from ergotext.lm.energies.terms import Length
from ergotext.samplers import SAMPLERS, SeededDraws, sample
from ergotext.samplers.base import Need
from ergotext.samplers.catalog import Kind
from ergotext.samplers.registry import check_fit, lacking
from ergotext.samplers.target import Target
from ergotext.samplers.unconstrained import Unconstrained
from ergotext.testing.tables import LOOP, mass
from ergotext.testing.toy import SPELLING, ToyFluency, ToyProposer, ToyScorer, toy_energy
from tests.lm.automata.worlds import check_protocol, language
from tests.paths import ROOT

DOCS = ROOT / "docs" / "samplers.md"


FLUENT, PRIOR, HARD, MASKED = ToyFluency(ToyScorer()), Length(3, 1), matches(LOOP), ToyProposer()
ENERGIES = {
    "`length`": [(1.0, PRIOR)],
    "`fluency`": [(1.0, FLUENT)],
    "`fluency + length`": [(1.0, FLUENT), (1.0, PRIOR)],
    "`fluency + matches`": [(1.0, FLUENT), (1.0, HARD)],
    "`0.5 fluency`": [(0.5, FLUENT)],
    "masked model, `length`": [(0.0, MASKED), (1.0, PRIOR)],
    "masked model, `fluency`": [(0.0, MASKED), (1.0, FLUENT)],
}


def table() -> str:
    """The table of docs/samplers.md, from what the samplers declare."""
    lines = [["sampler", "kind", "needs", *ENERGIES], ["---"] * (3 + len(ENERGIES))]
    for name, sampler in sorted(SAMPLERS.items()):
        needs = [need for need in get_args(Need) if need in sampler.needs]
        fits = ["–" if lacking(sampler, Sum(e)) else "yes" for e in ENERGIES.values()]
        lines.append([f"`{name}`", sampler.kind, ", ".join(needs), *fits])
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def test_the_docs_have_the_table_of_the_registry() -> None:
    text = DOCS.read_text(encoding="utf-8")
    (there,) = re.findall(r"<!-- table -->\n(.*?)\n<!-- end -->", text, re.S)
    assert there == table(), f"put this into docs/samplers.md:\n{table()}"


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_pair_that_cannot_work_is_refused_with_a_sentence(name: str) -> None:
    sampler = SAMPLERS[name]
    assert sampler.kind in get_args(Kind) and sampler.needs <= set(get_args(Need))
    refused = 0
    for parts in ENERGIES.values():
        energy = Sum(parts)
        if lacking(sampler, energy):
            refused += 1
            advice = "; add |; build |set log_bound"
            for made in (lambda e=energy: check_fit(sampler, e), lambda e=energy: sampler(e)):
                with pytest.raises(InputError, match=rf"the sampler \S+ .*({advice})"):
                    made()
        else:
            check_fit(sampler, energy)
    assert refused


def test_a_bound_that_is_stated_is_enough() -> None:
    energy = Sum([(0.5, FLUENT), (1.0, matches(LOOP))])
    with pytest.raises(InputError, match="set log_bound"):
        SAMPLERS["rejection"](energy, max_length=3)
    sampler = SAMPLERS["rejection"](energy, max_length=3, log_bound=4.0)
    assert len(sampler.draw(SeededDraws(0), 3)) == 3
    assert SAMPLERS["rejection"](Sum([(1.0, FLUENT), (1.0, PRIOR)])).log_bound == -PRIOR.lowest


@pytest.mark.parametrize("weight", [1.0, 0.8, 1.5])
@pytest.mark.parametrize("hard", [True, False])
def test_a_target_is_the_energy(weight: float, hard: bool) -> None:
    """p̃(x) = exp(−E(x)) for every row that the energy allows, and no other has any."""
    parts = [(weight, FLUENT), (1.0, PRIOR), *([(1.0, HARD)] if hard else [])]
    energy, longest = Sum(parts), 4
    wanted = {}
    for row in (r for n in range(longest + 1) for r in itertools.product(SPELLING, repeat=n)):
        if np.isfinite(value := float(energy(TokenBatch.of([row])))):
            wanted[row] = np.exp(-value)
    assert mass(Target.of(energy, longest)) == pytest.approx(wanted, abs=1e-12)


def test_a_target_of_the_model_alone_has_nothing_soft() -> None:
    assert Target.of(FLUENT, 3).soft is None
    assert Target.of(FLUENT + HARD, 3).soft is None
    assert Target.of(FLUENT + PRIOR, 3).soft is not None
    with pytest.raises(InputError, match="add fluency"):
        Target.of(PRIOR, 3)


def test_no_constraint_is_an_automaton_too() -> None:
    free = Unconstrained(np.array([False, True, False, True, True]), 0)
    assert language(free, 3) == {
        row for n in range(4) for row in itertools.product((1, 3, 4), repeat=n)
    }
    check_protocol(free, pad=2, size=5)
    assert free.advance(free.start(3), np.array([-1, 2, 5])).tolist() == [-1, -1, -1]


def test_proposals_by_name() -> None:
    with pytest.raises(InputError, match="no proposal 'best'"):
        SAMPLERS["smc"](FLUENT, proposal="best")
    for name in ("masked", "model", "adaptive"):
        samples = SAMPLERS["smc"](toy_energy(), max_length=4, proposal=name).draw(
            SeededDraws(0), 50
        )
        assert samples.tries == 50 and samples.batch.longest <= 4


def test_a_weighted_sampler_is_no_chain() -> None:
    with pytest.raises(InputError, match="drop chains"):
        sample(toy_energy(), "smc", chains=3)
    with pytest.raises(InputError, match="drop steps"):
        sample(toy_energy(), "smc", steps=3)
    with pytest.raises(InputError, match="instead of n"):
        sample(toy_energy(), "mh", n=3)
