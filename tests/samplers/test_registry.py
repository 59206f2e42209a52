"""Every registered sampler, tested by its kind; none is skipped.

The tests run over ``SAMPLERS`` itself: a sampler that has no world in ``registry_worlds.py`` fails.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

from ergotext.samplers import SAMPLERS, SeededDraws
from ergotext.samplers.target import Target
from ergotext.testing.exhaust import (
    ladder_transitions,
    one_aperiodic_class,
    paths_from,
    paths_of_step,
    stationary,
    transitions,
)
from ergotext.testing.tables import expected, mass, measured
from tests.samplers.registry_worlds import CHAINS, OPTIMISERS, WEIGHTED, Chains, Weighted

pytestmark = pytest.mark.filterwarnings(
    "ignore::ergotext.samplers.weighted.samples.HeavyWeightsWarning"
)

SEEDS = 200
CLASSES = {sampler.__name__: name for name, sampler in reversed(SAMPLERS.items())}
WORLDS = {
    (name, world)
    for cls, name in CLASSES.items()
    for world in (CHAINS | WEIGHTED | OPTIMISERS).get(cls, {"no world": None})
}


def of_kind(*kinds: str) -> Any:
    """Every world of every registered sampler of these kinds."""
    cases = sorted((n, w) for n, w in WORLDS if SAMPLERS[n].kind in kinds)
    return pytest.mark.parametrize(("name", "world"), cases)


def test_every_sampler_is_tested_by_its_kind() -> None:
    assert {sampler.kind for sampler in SAMPLERS.values()} <= {
        "invariant", "weighted", "optimiser", "implicit"
    }  # fmt: skip
    for name, sampler in SAMPLERS.items():
        worlds = {"weighted": WEIGHTED, "optimiser": OPTIMISERS}.get(sampler.kind, CHAINS)
        assert worlds.get(sampler.__name__), f"{name} has no world to be tested in"


@cache
def chains(cls: str, world: str) -> tuple[Chains, list[np.ndarray], np.ndarray]:
    """A world, the transition matrix of each turn that the chain takes, and the energy's law π."""
    of = CHAINS[cls][world]()
    value = of.sampler.energy(of.states)
    pi = stationary(value, 1 / of.temperature)
    if of.pairs is not None:
        law, pi = pi, of.pairs.invariant(float((-value).logsumexp(0)))
        assert pi.sum() == pytest.approx(1, abs=1e-9)
        assert np.abs(of.pairs.marginal(pi, of.states) - law).max() < 1e-9, "of x alone"
        paths = paths_from(of.pairs.tabled(of.sampler), of.pairs.state)
        matrices = [of.pairs.transitions(paths)]
    elif of.hot is None:
        paths = paths_of_step(of.sampler, of.states, value)
        fresh = of.sampler.energy(paths.after.batch)
        assert torch.allclose(paths.after.energy, fresh, rtol=0, atol=1e-12), "a stale energy"
        matrices = [transitions(paths, of.states)]
    else:  # on the product space of two rungs
        matrices = ladder_transitions(of.sampler, of.states, value)
        pi = np.outer(pi, stationary(value, 1 / of.hot)).flatten()
    for matrix in matrices:
        np.testing.assert_allclose(matrix.sum(1), 1, atol=1e-12)
    return of, matrices, pi


@of_kind("invariant")
def test_it_leaves_the_target_invariant(name: str, world: str) -> None:
    of, matrices, pi = chains(SAMPLERS[name].__name__, world)
    assert 4 <= len(of.states) < 1000 and pi.std() > 0
    for matrix in matrices:
        assert np.abs(pi @ matrix - pi).max() < 1e-9
        # The identity leaves everything invariant too.
        assert np.diag(matrix).min() < 1
    assert one_aperiodic_class(np.linalg.multi_dot([*matrices, np.eye(len(pi))])) == of.connected


def stationary_of(matrix: np.ndarray) -> np.ndarray:
    """The law that a matrix leaves invariant, by its eigenvector."""
    value, vector = np.linalg.eig(matrix.T)
    law = np.real(vector[:, np.argmax(np.real(value))])
    return law / law.sum()


@of_kind("implicit")
def test_its_own_law_is_not_the_energys_and_the_corrected_one_is(name: str, world: str) -> None:
    of, (matrix,), pi = chains(SAMPLERS[name].__name__, world)
    assert one_aperiodic_class(matrix)
    law = stationary_of(matrix)
    assert np.abs(law @ matrix - law).max() < 1e-12 and law.min() > 0
    assert np.abs(law - pi).sum() / 2 > 0.1, "in total variation"
    corrected = SAMPLERS["mlm-mh"](of.sampler.energy, of.sampler.max_length, of.temperature)
    value = of.sampler.energy(of.states)
    right = transitions(paths_of_step(corrected, of.states, value), of.states)
    assert np.abs(stationary_of(right) - pi).max() < 1e-9


@pytest.mark.parametrize(
    ("name", "world"),
    [
        (name, world)
        for name, world in sorted(WORLDS)
        if SAMPLERS[name].kind in ("invariant", "implicit")
        # Of the 36 worlds of this one it is enough to draw in one a problem.
        and (name != "mh" or world.endswith("both sides, 1.0"))
    ],
)
def test_production_draws_follow_the_matrix(name: str, world: str) -> None:
    """3,000 chains after six steps against P⁶, every state within 5 standard errors.

    States that fewer than ten are expected in count together. Of tempering, the states of both
    rungs are one.
    """
    of, matrices, _ = chains(SAMPLERS[name].__name__, world)
    first, count, steps = len(of.states) // 3, 3000, 6
    draws = SeededDraws(7)
    # The Ẑ of a given text is that of a run: of such chains, the first state is a run's.
    given = of.states.select([first]) if of.pairs is None else None
    state = of.sampler.init(draws, count, given)
    for _ in range(steps):
        state, _ = of.sampler.step(draws, state)
    index = {row: i for i, row in enumerate(of.states.rows())}
    if of.pairs is not None:
        at, law = of.pairs.at(state), of.pairs.law / of.pairs.law.sum()
    else:
        at = np.array([index[row] for row in state.batch.rows()])
        law = np.eye(len(of.states))[first]
    if of.hot is not None:
        at = at * len(of.states) + [index[row] for row in state.above.rows()]
        law = np.outer(law, law).flatten()
    for step in range(steps):
        law = law @ matrices[step % len(matrices)]
    seen = np.bincount(at, minlength=len(law)) / count
    assert (seen[law == 0] == 0).all()
    common = count * law >= 10
    seen = np.append(seen[common], seen[~common].sum())
    law = np.append(law[common], law[~common].sum())
    error = np.sqrt(law * (1 - law) / count)
    assert (np.abs(seen - law) <= 5 * error + 1e-12).all()


class SeedEach(SeededDraws):
    """A source of draws of its own for every row, so that each chain is a run with its own seed."""

    def __init__(self, count: int) -> None:
        self.sources = [SeededDraws(seed)._generator for seed in range(count)]

    def _uniform(self, count: int) -> torch.Tensor:
        assert count == len(self.sources)
        return torch.tensor([source.random() for source in self.sources], dtype=torch.float64)


@of_kind("optimiser")
def test_it_finds_the_minimum(name: str, world: str) -> None:
    """Within the steps stated, in at least 99% of 200 seeds."""
    of = OPTIMISERS[SAMPLERS[name].__name__][world]
    lowest = float(of.energy(of.states).min())
    sampler = SAMPLERS[name](of.energy, max_length=of.longest, steps=of.steps, **of.options)
    draws = SeedEach(SEEDS)
    state = sampler.init(draws, SEEDS)
    found = state.energy < lowest + 1e-9
    assert not found.any()
    for _ in range(of.steps):
        state, _ = sampler.step(draws, state)
        found |= state.energy < lowest + 1e-9
    assert float(found.double().mean()) >= 0.99


def sampler_of(name: str, of: Weighted, production: bool = False) -> Any:
    options = of.production if production and of.production is not None else of.options
    return SAMPLERS[name](of.energy, max_length=of.longest, **options)


@of_kind("weighted")
def test_every_sequence_has_its_mass(name: str, world: str) -> None:
    """Σ_paths p · w · 1[x] = p̃(x), and no other sequence has any.

    Continuous noise has no paths: then inclusion by enumeration of Plackett and Luce's law, and
    weights by quadrature.
    """
    of = WEIGHTED[SAMPLERS[name].__name__][world]
    if of.quadrature is not None:
        of.quadrature()
        return
    wanted = mass(Target.of(of.energy, of.longest))
    sampler = sampler_of(name, of)
    got, _ = expected(lambda _, draws: sampler.draw(draws, of.n), None)
    assert set(got) == set(wanted) and len(wanted) > 2
    assert max(abs(got[row] - wanted[row]) for row in wanted) < 1e-9


@cache
def coverage(name: str, world: str) -> tuple[float, float, float, np.ndarray, np.ndarray]:
    """Share of seeds whose log Z holds, its error stated and seen; masses, and their law."""
    of = WEIGHTED[SAMPLERS[name].__name__][world]
    wanted = mass(Target.of(of.energy, of.longest))
    log_z = math.log(sum(wanted.values()))
    sampler = sampler_of(name, of, production=True)
    runs = [sampler.draw(SeededDraws(seed), of.many) for seed in range(SEEDS)]
    held = np.mean([abs(r.log_z - log_z) <= 3 * r.log_z_stderr for r in runs])
    stated = float(np.mean([r.log_z_stderr for r in runs]))
    seen = float(np.std([r.log_z for r in runs]))
    # What is rarer is met in too few runs for its error to be normal; the enumeration proves it.
    common = [row for row, p in wanted.items() if p > 0.01 * math.exp(log_z)]
    measures = [measured(r) for r in runs]
    values = np.array([[m.get(row, 0.0) for row in common] + [sum(m.values())] for m in measures])
    return (
        float(held),
        stated,
        seen,
        values,
        np.array([*(wanted[r] for r in common), math.exp(log_z)]),
    )


@of_kind("weighted")
def test_log_z_and_production_draws(name: str, world: str) -> None:
    """200 seeds: log Z within 3 of its own errors in 97%, each mass within 5 standard errors."""
    held, stated, seen, values, wanted = coverage(name, world)
    assert held >= 0.97
    assert 0.7 < stated / seen < 1.5, "not by being wide"
    if WEIGHTED[SAMPLERS[name].__name__][world].quadrature is not None:
        # Without replacement what is likely is met in nearly every run; quadrature proves it.
        values, wanted = values[:, -1:], wanted[-1:]
    else:
        assert len(wanted) >= 3
    error = values.std(0, ddof=1) / math.sqrt(SEEDS)
    assert (np.abs(values.mean(0) - wanted) < 5 * error).all()


def coverage_table() -> str:
    """Markdown: of each weighted sampler, how often the enumerated log Z lay within 3 errors."""
    lines = ["| sampler | world | draws | within 3 errors | error stated | error seen |",
             "| --- | --- | --- | --- | --- | --- |"]  # fmt: skip
    for name, world in sorted(WORLDS):
        if SAMPLERS[name].kind == "weighted":
            held, stated, seen, *_ = coverage(name, world)
            many = WEIGHTED[SAMPLERS[name].__name__][world].many
            figures = f"{many} | {held:.1%} of {SEEDS} | {stated:.3f} | {seen:.3f}"
            lines.append(f"| `{name}` | {world} | {figures} |")
    return "\n".join(lines)


if __name__ == "__main__":  # python -m tests.samplers.test_registry prints the coverage table
    print(coverage_table())
