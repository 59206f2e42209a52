"""Weighted samplers proven unbiased part by part: every path enumerated (and test_registry.py)."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from ergotext.errors import ErgotextError, InputError
from ergotext.lm.batch import TokenBatch
from ergotext.samplers.draws import SeededDraws
from ergotext.samplers.feasible import FeasibleAutomaton
from ergotext.samplers.target import Target
from ergotext.samplers.weighted.adaptive import AdaptiveRejection
from ergotext.samplers.weighted.importance import importance
from ergotext.samplers.weighted.proposals import TokenProposal, masked, model
from ergotext.samplers.weighted.rejection import rejection
from ergotext.samplers.weighted.resampling import ancestors
from ergotext.samplers.weighted.samples import ZeroWeightError
from ergotext.samplers.weighted.smc import smc
from ergotext.samplers.weighted.twisted import Twisted
from ergotext.testing.exhaust import every_run
from ergotext.testing.tables import (
    FEW,
    LOOP,
    Table,
    check_unbiased,
    mass,
    target,
)
from ergotext.testing.toy import ToyScorer

pytestmark = pytest.mark.filterwarnings(
    "ignore::ergotext.samplers.weighted.samples.HeavyWeightsWarning"
)
SCHEMES = ["multinomial", "stratified", "systematic", "distinct"]


class Hopes:
    """A twist by the state of a table (``protocols.Twist``)."""

    def __init__(self, table: Table, *log_psi: float) -> None:
        self.table, self.log_psi = table, np.array(log_psi)

    def psi(self, states: NDArray[np.int64], left: int, size: int) -> NDArray[np.float64]:
        row, token, after = self.table.candidates(states)
        psi = np.zeros((len(states), size))
        psi[row, token] = np.exp(self.log_psi[after] + 0.3 * left * (token % 2))
        return psi


TWIST = (0.2, 0.9, -0.7, 1.1, 0.4)
GIVES_UP = (0.2, 0.9, -0.7, -np.inf, 0.4)
"""Of LOOP: knows that nothing follows on state 3."""


def twisted(table: Table, log_psi: tuple[float, ...] | None) -> TokenProposal:
    return masked if log_psi is None else Twisted(Hopes(table, *log_psi))


@pytest.mark.parametrize(("table", "longest"), [(LOOP, 4), (LOOP, 1), (FEW, 3)])
@pytest.mark.parametrize("proposal", [model, masked])
def test_importance(table: Table, longest: int, proposal: TokenProposal) -> None:
    """LOOP is bounded by the length alone: what is forced to end there is weighed for it."""
    check_unbiased(importance, target(table, longest), 1, proposal=proposal)


def test_importance_of_several_draws() -> None:
    assert check_unbiased(importance, target(FEW, 3), 2) == 16


def check_step(proposal: TokenProposal, table: Table = FEW, seed: int = 0) -> None:
    """E[w · 1[v]] = p(v) · 1[v allowed] for one token, from every state."""
    automaton = table
    for state, ways in enumerate(table.ways):
        row = torch.tensor([[state % 3 + 1]])
        log_prob = ToyScorer(seed).table[row[0, 0], 1][None]

        def step(draws: Any, log_prob: Any = log_prob, state: int = state) -> tuple[int, float]:
            taken = proposal(draws, log_prob, automaton, np.array([state]))
            if taken.log_weight[0] > -torch.inf:
                assert table.ways[state].get(int(taken.token[0])) == taken.state[0]
            return int(taken.token[0]), float(taken.log_weight[0].exp())

        total = np.zeros(5)
        for p, (token, weight) in every_run(step):
            total[token] += p * weight
        allowed = np.isin(np.arange(5), list(ways))
        assert np.abs(total - log_prob[0].exp().numpy() * allowed).max() < 1e-12


@pytest.mark.parametrize(
    "proposal",
    [
        model,
        masked,
        *[AdaptiveRejection(asked, doubt) for asked in (0, 1, 2, 5) for doubt in (0.0, 0.4, 1e9)],
    ],
)
@pytest.mark.parametrize("table", [FEW, LOOP])
def test_one_token(proposal: TokenProposal, table: Table) -> None:
    check_step(proposal, table)


def test_one_token_by_a_twist() -> None:
    """E[w/ψ(v) · 1[v]] = p(v) · 1[v allowed], and the tokens left must be known."""
    proposal = Twisted(Hopes(FEW, *TWIST))
    automaton, log_prob = FeasibleAutomaton(FEW, 2), ToyScorer(0).table[1, 1][None]
    total = np.zeros(5)

    def step(draws: Any) -> tuple[int, float]:
        taken = proposal(draws, log_prob, automaton, FEW.start(1))
        assert taken.owed is not None
        return int(taken.token[0]), float((taken.log_weight - taken.owed)[0].exp())

    for p, (token, weight) in every_run(step):
        total[token] += p * weight
    allowed = np.isin(np.arange(5), list(FEW.ways[0]))
    assert np.abs(total - log_prob[0].exp().numpy() * allowed).max() < 1e-12
    with pytest.raises(InputError, match="how many tokens are left"):
        proposal(SeededDraws(0), log_prob, FEW, FEW.start(1))


class Counting(Table):
    """Counts the tokens that it is asked about one by one, and the states that it lists."""

    asked, listed = 0, 0

    def advance(self, states: Any, tokens: Any) -> Any:
        self.asked += len(tokens)
        return super().advance(states, tokens)

    def candidates(self, states: Any) -> Any:
        self.listed += len(states)
        return super().candidates(states)


def check_few_questions(adaptive: Any) -> None:
    """Where few or none of the likely tokens are allowed the automaton lists; else it need not."""
    automaton = Counting(({7: 1, 9: 1}, {}, dict.fromkeys(range(0, 1000, 3), 2)))
    log_prob = (-torch.arange(1000) / 100).double().log_softmax(0).expand(60, -1)
    choice = adaptive.look(log_prob, automaton, np.arange(60) % 3, 9)
    assert automaton.listed == 40 and automaton.asked == 60 * 512
    exact = torch.stack([log_prob[0, [7, 9]].logsumexp(0), log_prob[0, ::3].logsumexp(0)])
    dead = choice.log_mass.view(20, 3)[:, 1] == -torch.inf
    assert bool(dead.all())
    assert float((choice.log_mass.view(20, 3)[:, 0] - exact[0]).abs().max()) < 1e-12
    assert float((choice.log_mass.view(20, 3)[:, 2] - exact[1]).abs().max()) < 0.05
    rows = (torch.arange(60) % 3 == 2).nonzero()[:, 0].repeat(50)
    step = choice.draw(SeededDraws(0), rows)
    weight = choice.log_mass[rows] + step.log_weight - exact[1]
    assert 0 < float(weight.std()) < 0.02 and float(weight.exp().mean()) == pytest.approx(
        1, abs=2e-3
    )


def test_adaptive_rejection_asks_about_few_tokens() -> None:
    check_few_questions(AdaptiveRejection())
    with pytest.raises(InputError, match="patience must be an integer"):
        AdaptiveRejection(-1)
    with pytest.raises(InputError, match="doubt must be 0 or more"):
        AdaptiveRejection(doubt=math.nan)


def check_unlikely(adaptive: Any) -> None:
    """What is allowed may be less likely than the rounding of the sum of all else."""
    log_prob = torch.full((1, 100), -40.0, dtype=torch.float64)
    log_prob[0, :3] = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64).log()
    choice = adaptive.look(log_prob, Table(({70: 1}, {0: 1})), np.array([0]), 9)
    assert float(choice.log_mass[0]) == pytest.approx(-40.0)


def test_adaptive_rejection_of_what_is_unlikely() -> None:
    check_unlikely(AdaptiveRejection())
    check_unlikely(AdaptiveRejection(patience=8))


def check_given(adaptive: Any) -> None:
    """With tokens given, the law of weights is that of free draws of these tokens, by weight.

    Of all E[w 1[v]] 1[w] / p(v), that of a free draw, and E[1[w]] of one that is given v.
    """
    log_prob, states = ToyScorer(0).table[1, 1][None], FEW.start(1)
    choice, one = adaptive.look(log_prob, FEW, states, 3), torch.tensor([0])
    free: dict[int, dict[float, float]] = {}
    for p, step in every_run(lambda draws: choice.draw(draws, one)):
        w = float((step.log_weight + choice.log_mass).exp())
        if w > 0:
            law = free.setdefault(int(step.token[0]), {})
            law[round(w, 9)] = law.get(round(w, 9), 0.0) + p * w
    assert set(free) == set(FEW.ways[0])
    for token, law in free.items():
        given: dict[float, float] = {}
        for p, step in every_run(lambda d, v=token: choice.draw(d, one, torch.tensor([v]))):
            assert int(step.token[0]) == token
            w = round(float((step.log_weight + choice.log_mass).exp()), 9)
            given[w] = given.get(w, 0.0) + p
        mass = sum(law.values())
        assert {w: p / mass for w, p in law.items()} == pytest.approx(given, abs=1e-9)


@pytest.mark.parametrize("asked", [0, 1, 2, 3])
def test_adaptive_rejection_of_given_tokens(asked: int) -> None:
    check_given(AdaptiveRejection(asked, 1e9))


@pytest.mark.parametrize(
    ("n", "max_tries", "at_once"), [(1, 3, 2), (1, 2, 1), (2, 3, 3), (3, 2, 2)]
)
def test_rejection(n: int, max_tries: int, at_once: int) -> None:
    """Whatever ends the count, the last acceptance or the last try, the mean is the target."""
    options = {"proposal": masked, "max_tries": max_tries, "at_once": at_once}
    check_unbiased(rejection, target(FEW, 3), n, log_bound=0.8, **options)
    check_unbiased(rejection, target(FEW, 3, tilted=False), n, **options)


def test_rejection_from_the_model_itself() -> None:
    check_unbiased(rejection, target(FEW, 3), 1, log_bound=0.4, max_tries=2, at_once=1)


def test_what_is_accepted_is_exact() -> None:
    """Every accepted draw has the law p̃/Z, not only on weighted average."""
    of = target(FEW, 2)
    total: dict[tuple[int, ...], float] = {}

    def first(draws: Any) -> tuple[int, ...] | None:
        try:
            return rejection(of, draws, 1, log_bound=0.4, max_tries=1).batch.rows()[0]
        except RuntimeError:
            return None

    for p, row in every_run(first):
        if row is not None:
            total[row] = total.get(row, 0.0) + p
    accepted, z = sum(total.values()), sum(mass(of).values())
    assert accepted == pytest.approx(z / math.exp(0.4), abs=1e-9)
    for row, p in mass(of).items():
        assert total[row] / accepted == pytest.approx(p / z, abs=1e-9)


@pytest.mark.parametrize("resampling", SCHEMES)
@pytest.mark.parametrize("threshold", [0.0, 0.8, 1.0])
@pytest.mark.parametrize("twist", [None, TWIST])
def test_smc(resampling: str, threshold: float, twist: tuple[float, ...] | None) -> None:
    how = {"resampling": resampling, "threshold": threshold, "proposal": twisted(FEW, twist)}
    check_unbiased(smc, target(FEW, 3), 2, **how)


@pytest.mark.parametrize("twist", [None, GIVES_UP])
def test_smc_outlives_impossible_particles(twist: tuple[float, ...] | None) -> None:
    """Token 4 leads LOOP to a dead end, so in many runs one particle dies and one lives."""
    check_unbiased(smc, target(LOOP, 3), 2, threshold=1.0, proposal=twisted(LOOP, twist))


def test_smc_of_three_from_the_model() -> None:
    check_unbiased(smc, target(FEW, 3), 3, threshold=1.0, resampling="stratified")
    check_unbiased(smc, target(FEW, 1), 2, threshold=1.0, proposal=model)


def check_power(smc: Any, target_of: Any, proposals: Any) -> None:
    """p^α, with and without a ramp, that some texts are shorter than."""
    plain = target(FEW, 3)
    for power, ramp in [(2.0, 0), (3.0, 2), (0.5, 1), (2.5, 3)]:

        def soft(batch: TokenBatch, power: float = power) -> torch.Tensor:
            return plain.soft(batch) + (1 - power) * plain.scorer.log_prob(batch)

        wanted = mass(target_of(plain.scorer, plain.automaton, 3, soft))
        of = target_of(plain.scorer, plain.automaton, 3, plain.soft, power, None, ramp)
        for proposal in proposals:
            found: dict[tuple[int, ...], float] = {}

            def run(draws: Any, of: Any = of, proposal: Any = proposal) -> Any:
                try:
                    return smc(of, draws, 1, proposal=proposal)
                except ErgotextError:  # the one draw died
                    return None

            for p, samples in every_run(run):
                if samples is None:
                    continue
                for row, w in zip(samples.batch.rows(), samples.log_weight.exp(), strict=True):
                    found[row] = found.get(row, 0.0) + p * float(w)
            assert found.keys() == wanted.keys()
            assert all(abs(found[row] - wanted[row]) < 1e-9 for row in wanted)


def test_powers_of_the_model() -> None:
    check_power(smc, Target, [masked, model, Twisted(Hopes(FEW, *TWIST))])
    with pytest.raises(InputError, match="needs p itself"):
        rejection(replace(target(FEW, 3, tilted=False), power=2.0), SeededDraws(0), 3)
    ramped = replace(target(FEW, 3), power=2.0, ramp=2)
    whole = replace(target(FEW, 3), power=2.0)
    assert [ramped.exponent(n) for n in (0, 1, 2)] == pytest.approx([4 / 3, 5 / 3, 2])
    assert whole.exponent(0) == 2


def check_islands(smc: Any) -> None:
    """Each is a run of its own: Z is the mean of theirs, and no row crosses."""
    samples = smc(target(LOOP, 6), SeededDraws(3), 80, threshold=0.95, islands=4)
    assert samples.resampled > 4 and samples.islands == 4
    assert (samples.root // 20).tolist() == samples.island.tolist()
    each = samples.island_log_z
    assert samples.log_z == pytest.approx(float(each.logsumexp(0)) - math.log(4), abs=1e-9)
    share = (each - samples.log_z).exp()
    wanted = float(share.std()) / 2 * 3.3068 / 2  # t of 3 degrees of freedom at 2 errors
    assert samples.log_z_stderr == pytest.approx(wanted, rel=1e-3)
    for n in (1, 2):
        z = mass(target(LOOP, 3))
        total = dict.fromkeys(z, 0.0)

        def run(draws: Any, n: int = n) -> Any:
            try:
                return smc(target(LOOP, 3), draws, 2, threshold=1.0, islands=n)
            except ZeroWeightError:
                return None

        for p, samples in every_run(run):
            if samples is None:
                continue
            dead = samples.island_log_z == -torch.inf
            assert bool(dead.any()) == (n == 2 and len(samples) == 1) or n == 1
            for row, w in zip(samples.batch.rows(), samples.log_weight.exp(), strict=True):
                total[row] += p * float(w) / 2
        assert all(abs(total[row] - z[row]) < 1e-9 for row in z)


def test_islands() -> None:
    check_islands(smc)
    with pytest.raises(InputError, match="islands must be from 1 to the 3"):
        smc(target(LOOP, 3), SeededDraws(0), 3, islands=4)


@pytest.mark.parametrize("scheme", SCHEMES[:-1])
def test_every_particle_has_its_share_of_offspring(scheme: Any) -> None:
    weight = torch.tensor([0.0, 0.37, 0.21, 0.0, 0.42, 0.0], dtype=torch.float64)
    for count in (1, 3, 6):
        share, few, many = np.zeros(6), np.full(6, count), np.zeros(6)
        for p, chosen in every_run(lambda d, n=count: ancestors(d, weight, n, scheme)):
            times = np.bincount(chosen, minlength=6)
            share += p * times
            few, many = np.minimum(few, times), np.maximum(many, times)
        np.testing.assert_allclose(share, count * weight, atol=1e-12)
        if scheme == "systematic":
            exact = count * weight.numpy()
            assert (few >= np.floor(exact)).all() and (many <= np.ceil(exact)).all()


def test_a_point_that_rounds_up_to_the_end_is_of_the_last_particle() -> None:
    """The interval between a fractional part of all nines and 1 has its middle at 1."""
    below = math.nextafter(1.0, 0.0)
    weight = torch.tensor([below / 2, 1 - below / 2, 0.0], dtype=torch.float64)
    runs = list(every_run(lambda d: ancestors(d, weight, 2, "systematic")))
    assert sum(p for p, _ in runs) == pytest.approx(1) and len(runs) == 2
    assert all(set(chosen.tolist()) <= {0, 1} for _, chosen in runs)


class Noted(SeededDraws):
    """Keeps the first draw of each particle."""

    first: torch.Tensor | None = None

    def categorical(self, probability: torch.Tensor) -> torch.Tensor:
        drawn = super().categorical(probability)
        self.first = drawn if self.first is None else self.first
        return drawn


def check_genealogy(smc: Any) -> None:
    """Each sequence begins with the token that its root drew first."""
    draws = Noted(3)
    samples = smc(target(LOOP, 6), draws, 300, threshold=0.95)
    assert draws.first is not None and len(samples.root) == len(samples)
    begun = torch.tensor([1, 3, 4])[draws.first]
    assert len(samples.root.unique()) < len(samples)
    assert [row[0] for row in samples.batch.rows()] == begun[samples.root].tolist()


def test_genealogies_stay_right() -> None:
    check_genealogy(smc)
