"""Stochastic beam search: its noise, its inclusion probabilities, and its unbiased estimates."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ergotext.errors import InputError, ModelError
from ergotext.lm.batch import TokenBatch
from ergotext.lm.causal import CausalLM
from ergotext.lm.energies.matches import matches
from ergotext.lm.energies.term import Sum
from ergotext.lm.energies.terms import Length
from ergotext.lm.protocols import Twist
from ergotext.lm.tokenizers.characters import Alphabet
from ergotext.lm.trie import build
from ergotext.samplers import SAMPLERS, sample
from ergotext.samplers.draws import SeededDraws
from ergotext.samplers.search.stochastic_beam import StochasticBeam, stochastic_beam
from ergotext.samplers.search.top_down import Leaves, leaves
from ergotext.samplers.search.without_replacement import WithoutReplacement, log_inclusion
from ergotext.samplers.target import EnergyError, Target
from ergotext.samplers.weighted.pareto import k_hat
from ergotext.samplers.weighted.samples import WeightedSamples, ZeroWeightError
from ergotext.testing.tables import (
    END,
    EVERYTHING,
    FEW,
    LOOP,
    NOTHING,
    PAIR,
    Row,
    Table,
    mass,
    measured,
    target,
)
from ergotext.testing.toy import ToyFluency, ToyScorer
from tests.decoding import CausalDecoding
from tests.quadrature import GivenDraws, grid
from tests.samplers.search.test_gumbel import plackett_luce
from tests.samplers.weighted.test_exactness import GIVES_UP, Hopes

pytestmark = pytest.mark.filterwarnings(
    "ignore::ergotext.samplers.weighted.samples.HeavyWeightsWarning"
)
FLAT = Table(({1: 1, 2: 1, 4: 1}, {END: 2}, {}))
MANY = 10_000


class ByToken:
    """A twist by the token alone."""

    def psi(self, states: Any, left: int, size: int) -> Any:
        return np.tile(np.array([0.0, 1.6, 0.6, 1.0, 0.8])[:size], (len(states), 1))


REAL = SimpleNamespace(search=leaves, log_inclusion=log_inclusion, sampler=stochastic_beam)


MISLEADS = Hopes(FEW, 3.0, -4.0, 2.5, -1.0, 0.4)


def q_of(of: Target, twist: Twist | None = None) -> dict[Row, float]:
    """q of every sequence that does not run into a dead end, by the definition."""
    result: dict[Row, float] = {}

    def walk(row: Row, state: int, chance: float) -> None:
        ways = dict(of.automaton.ways[state])
        if len(row) == of.max_length:
            ways = {t: n for t, n in ways.items() if t == END}
        batch = TokenBatch.of([row])
        law = of.scorer.next_log_prob(batch, batch.length)[0].exp()
        if twist is not None and len(row) < of.max_length:
            left = of.max_length - 1 - len(row)
            law = law * torch.from_numpy(twist.psi(np.array([state]), left, len(law))[0])
        total = sum(float(law[t]) for t in ways)
        for token, after in ways.items():
            p = chance * float(law[token]) / total
            if token == END:
                result[row] = p
            else:
                walk((*row, token), after, p)

    walk((), 0, 1.0)
    return result


def drawn(
    of: Target,
    k: int,
    count: int = MANY,
    seed: int = 0,
    m: Any = REAL,
    twist: Twist | None = None,
) -> Leaves:
    """That many draws of ``k`` side by side: each is an input of its own."""
    decoding = CausalDecoding.of(of.scorer, END, [()] * count)
    how = {"k": k, "max_length": of.max_length, "twist": twist}
    return m.search(decoding, of.automaton, SeededDraws(seed), **how)


def column(found: Leaves, rows: list[Row], value: Tensor) -> Tensor:
    """float64 [draws, rows]: the value of each sequence in each draw, 0 where it is not drawn."""
    index = {row: i for i, row in enumerate(rows)}
    table = torch.zeros(len(found.threshold), len(rows), dtype=torch.float64)
    at = torch.tensor([index[row] for row in found.batch.rows()])
    table[found.input, at] = value
    return table


def within_5(values: Tensor, wanted: Tensor) -> bool:
    """Whether means over draws (float64 [draws, n]) are as they should be.

    What is met in less than a twentieth of the draws is left out: rare and heavy, its mean is
    far from normal.
    """
    common = (values != 0).double().mean(0) > 0.05
    assert int(common.sum()) > 1
    error = values.std(0) / len(values) ** 0.5
    return bool(((values.mean(0) - wanted).abs() <= 5 * error + 1e-12)[common].all())


@pytest.mark.parametrize(("table", "longest"), [(FEW, 3), (EVERYTHING, 2)])
def test_perturbed_leaves_are_independent_gumbel(table: Table, longest: int) -> None:
    """With E = exp(−(G − log q)): E[exp(−aE)] = 1/(1+a), and products of two factorise."""
    of = target(table, longest)
    q = q_of(of)
    found = drawn(of, len(q))
    assert len(found.input) == MANY * len(q) and bool((found.threshold == -torch.inf).all())
    assert bool(found.perturbed.view(MANY, -1).diff(dim=1).lt(0).all())
    assert column(found, list(q), found.log_q)[0].exp().tolist() == pytest.approx(list(q.values()))
    standard = column(found, list(q), (found.log_q - found.perturbed).exp())
    for a in (0.3, 2.0, 9.0):
        value = (-a * standard).exp()
        assert within_5(value, torch.tensor(1 / (1 + a)).double())
        pairs = value[:, :, None] * value[:, None, :]
        upper = torch.triu_indices(len(q), len(q), 1)
        assert within_5(pairs[:, upper[0], upper[1]], torch.tensor(1 / (1 + a) ** 2).double())


def check_inclusion(m: Any, table: Table, longest: int, k: int, twist: Twist | None = None) -> None:
    """Orders and inclusion probabilities against their enumeration over all sequences."""
    of = target(table, longest)
    q = q_of(of, twist)
    assert sum(q.values()) == pytest.approx(1.0), "no dead ends, so that k are always drawn"
    found = drawn(of, k, seed=k, m=m, twist=twist)
    # Not as lists: of those pytest would work out the whole difference, for minutes.
    assert torch.equal(found.input.bincount(), torch.full((MANY,), k))
    index = {row: i for i, row in enumerate(q)}
    place = torch.tensor([index[row] for row in found.batch.rows()]).view(MANY, k)
    law = plackett_luce(torch.tensor(list(q.values())), k)
    for i in range(len(q)):
        seen = float((place == i).any(1).double().mean())
        wanted = sum(p for order, p in law.items() if i in order)
        assert wanted < 0.01 or abs(seen - wanted) <= 5 * (wanted * (1 - wanted) / MANY) ** 0.5
    for order, p in law.items():
        share = float((place == torch.tensor(order)).all(1).double().mean())
        assert p < 0.01 or abs(share - p) <= 5 * (p * (1 - p) / MANY) ** 0.5


@pytest.mark.parametrize(("table", "longest"), [(FEW, 3), (EVERYTHING, 2)])
@pytest.mark.parametrize("k", [1, 2, 3])
def test_inclusion_and_order_are_those_of_plackett_and_luce(
    table: Table, longest: int, k: int
) -> None:
    check_inclusion(REAL, table, longest, k)


def test_inclusion_and_order_under_a_twist() -> None:
    check_inclusion(REAL, FEW, 3, 2, MISLEADS)


def estimates(of: Target, found: Leaves, rows: list[Row], m: Any = REAL) -> Tensor:
    """float64 [draws, rows]: each draw's estimate of p̃ of each sequence."""
    log_target = found.log_prob + of.log_soft(found.batch)
    chance = m.log_inclusion(found.log_q, found.threshold[found.input])
    return column(found, rows, (log_target - chance).exp())


def check_integrated(m: Any, table: Table, k: int, twist: Twist | None = None) -> None:
    """E[Σ w 1[x]] = p̃(x) to 1e-7 with all noise integrated, and with it the threshold.

    Sequences of one token. One box for each order of them: the highest takes the root's noise
    whatever its own is, which so is 1/2 here and leaves its chance to be the highest as a factor;
    the noise of each further one, which lies below that of the one before, is stretched to (0, 1).
    """
    of = target(table, 1)
    rows = [(token,) for token in table.ways[0]]
    rate = of.scorer.table[0, 0, list(table.ways[0])].exp()
    if twist is not None:
        rate = rate * torch.from_numpy(twist.psi(table.start(1), 0, 5)[0, list(table.ways[0])])
    rate = rate / rate.sum()
    (root, *shares), weight = grid(*[45] * 2 if len(rows) == 2 else [23] * 3)
    got = torch.zeros(len(rows), dtype=torch.float64)
    for order in itertools.permutations(range(len(rows))):
        noise = torch.full((len(weight), len(rows)), 0.5, dtype=torch.float64)
        jacobian, unit = weight * rate[order[0]], torch.ones_like(weight)
        for before, j, share in zip(order, order[1:], shares, strict=False):
            power = rate[j] / rate[before]
            noise[:, j] = share * noise[:, before] ** power
            jacobian, unit = jacobian * unit**power, share * unit**power
        decoding = CausalDecoding.of(of.scorer, END, [()] * len(weight))
        draws = GivenDraws([root, noise.reshape(-1)])
        found = m.search(decoding, table, draws, k=k, max_length=1, twist=twist)
        got += (jacobian[:, None] * estimates(of, found, rows, m)).sum(0)
    wanted = mass(of)
    assert float((got - torch.tensor([wanted[row] for row in rows])).abs().max()) < 1e-7


@pytest.mark.parametrize(("table", "k"), [(PAIR, 1), (FLAT, 1), (FLAT, 2)])
def test_estimates_are_unbiased_with_all_noise_integrated(table: Table, k: int) -> None:
    check_integrated(REAL, table, k)


@pytest.mark.parametrize("k", [1, 2])
def test_estimates_are_unbiased_under_a_twist_with_all_noise_integrated(k: int) -> None:
    check_integrated(REAL, FLAT, k, ByToken())


def check_estimates(
    m: Any, of: Target, k: int, count: int = MANY, twist: Twist | None = None
) -> None:
    """p̃(x) and, for k > 1, p̃(x) p̃(y) are met on average: so the variance of Z can be told."""
    wanted = mass(of)
    rows, value = list(wanted), torch.tensor(list(wanted.values()))
    seen = estimates(of, drawn(of, k, count, m=m, twist=twist), rows, m)
    total = seen.sum(1, keepdim=True)
    assert within_5(torch.cat([seen, total], dim=1), torch.cat([value, value.sum()[None]]))
    if k > 1:
        pairs = seen[:, :, None] * seen[:, None, :]
        one, two = torch.triu_indices(len(rows), len(rows), 1)
        assert within_5(pairs[:, one, two], value[one] * value[two])


@pytest.mark.parametrize("k", [1, 2, 3])
@pytest.mark.parametrize(("table", "longest"), [(FEW, 3), (LOOP, 4), (EVERYTHING, 2)])
def test_estimates_are_unbiased(table: Table, longest: int, k: int) -> None:
    """LOOP has dead ends, and sequences that are closed at the greatest length."""
    check_estimates(REAL, target(table, longest), k)


def test_estimates_are_unbiased_under_a_twist() -> None:
    """One that knows that nothing follows a state of LOOP, so no place is lost there."""
    check_estimates(REAL, target(LOOP, 4), 2, twist=Hopes(LOOP, *GIVES_UP))


def check_samples(m: Any) -> None:
    """What is returned against what was found."""
    of = target(LOOP, 4)
    samples = m.sampler(of, SeededDraws(7), 3)
    found = drawn(of, 3, 1, seed=7, m=m)
    assert isinstance(samples, WeightedSamples)
    assert samples.batch.rows() == found.batch.rows() and samples.tries == 3
    assert samples.threshold == found.threshold[0] and not samples.exact
    own = measured(samples)
    table = estimates(of, found, found.batch.rows(), m)[0]
    assert list(own.values()) == pytest.approx(table.tolist())
    assert math.exp(samples.log_z) == pytest.approx(float(table.sum()))
    chance = m.log_inclusion(found.log_q, found.threshold[found.input]).exp()
    error = math.sqrt(float((table.square() * (1 - chance)).sum())) / float(table.sum())
    assert samples.log_z_stderr == pytest.approx(error)
    assert samples.ess == pytest.approx(error**-2) and samples.k_hat == math.inf
    assert set(samples.resample(SeededDraws(0), 50).rows()) <= set(samples.batch.rows())


def check_tail(cls: Any) -> None:
    """k-hat is of what was left to chance, among all places; exact draws leave nothing."""
    random = np.random.default_rng(3)
    log_q = torch.from_numpy(np.log(random.dirichlet(np.full(120, 0.3))[:80] + 1e-9))
    log_target = log_q + torch.from_numpy(random.normal(size=80))
    rows = TokenBatch.of([(1,)] * 80)
    samples = cls.weighted(rows, log_target, log_q, -6.0, 100)
    by_chance = samples.log_weight + (-torch.expm1(samples.log_inclusion)).log()
    own, places = by_chance.numpy(), 100
    assert samples.k_hat == pytest.approx(k_hat(own, places), abs=1e-9)
    others = k_hat(samples.log_weight.numpy(), places), k_hat(own, len(own))
    assert min(abs(samples.k_hat - other) for other in others) > 0.01
    whole = cls.weighted(rows, log_target, log_q, -math.inf, 100)
    assert whole.exact and whole.k_hat == -math.inf


def test_tails_are_of_what_is_left_to_chance() -> None:
    check_tail(WithoutReplacement)


def test_samples_are_those_of_the_search() -> None:
    check_samples(REAL)
    assert stochastic_beam(target(LOOP, 4), SeededDraws(7), 1).log_z_stderr == math.inf


def test_the_registered_sampler_is_unbiased_of_its_energy() -> None:
    """Of kind weighted: (1/N) Σ w 1[x] is exp(−E(x)) on average, here over 400 draws of eight."""
    energy = Sum([(0.8, ToyFluency(ToyScorer())), (1.0, Length(2, 1)), (1.0, matches(LOOP))])
    sampler = SAMPLERS["stochastic-beam"](energy, max_length=5)
    assert isinstance(sampler, StochasticBeam) and sampler.kind == "weighted"
    runs = [measured(sampler.draw(SeededDraws(seed), 8)) for seed in range(400)]
    rows = list(mass(sampler.target))
    wanted = (-energy(TokenBatch.of(rows))).exp()
    seen = torch.tensor([[run.get(row, 0.0) for row in rows] for run in runs], dtype=torch.float64)
    assert within_5(seen, wanted)
    assert within_5(seen.sum(1, keepdim=True).repeat(1, 2), wanted.sum())


def check_exact(sampler: Any, table: Table, twist: Twist | None = None, power: float = 1.0) -> None:
    """With room for all there is nothing left to chance."""
    plain = target(table, 3)

    def soft(batch: TokenBatch) -> Tensor:
        return (1 - power) * plain.scorer.log_prob(batch) - plain.log_soft(batch)

    of, wanted = replace(plain, power=power), mass(replace(plain, soft=soft))
    for k in (len(wanted) + 3, 500):
        samples = sampler(of, SeededDraws(1), k, twist=twist)
        assert samples.exact and samples.log_z_stderr == 0 and samples.ess == math.inf
        assert samples.log_z == pytest.approx(math.log(sum(wanted.values())), abs=1e-12)
        assert measured(samples) == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("table", [FEW, LOOP, EVERYTHING])
def test_with_room_for_all_it_is_exact(table: Table) -> None:
    check_exact(stochastic_beam, table)


def test_with_room_for_all_it_is_exact_under_a_twist() -> None:
    check_exact(stochastic_beam, FEW, MISLEADS)
    check_exact(stochastic_beam, LOOP, Hopes(LOOP, *GIVES_UP), power=2.5)


def test_a_run_says_that_it_is_exact() -> None:
    energy = Sum([(1.0, ToyFluency(ToyScorer())), (1.0, matches(FEW))])
    whole = sample(energy, "stochastic-beam", n=9, max_length=3, progress=False)
    assert "9 draws, all of the 4 sequences, log Z" in whole.text() and "exact" in whole.text()
    part = sample(energy, "stochastic-beam", n=2, max_length=3, progress=False)
    assert "ESS" in part.text() and "k-hat unknown" in part.text() and "±" in part.text()
    alone = sample(energy, "stochastic-beam", n=9, max_length=1, progress=False)
    assert len(alone.samples) == 1 and alone.warnings == whole.warnings == []


def test_log_z_and_its_error() -> None:
    """1,365 sequences, 64 drawn: within 3 stated errors in 97% of 200 seeds, and they are real."""
    of = target(EVERYTHING, 5)
    log_z = math.log(sum(mass(of).values()))
    runs = [stochastic_beam(of, SeededDraws(seed), 64) for seed in range(200)]
    assert np.mean([abs(r.log_z - log_z) <= 3 * r.log_z_stderr for r in runs]) >= 0.97
    seen = np.std([r.log_z for r in runs])
    assert 0.8 < np.mean([r.log_z_stderr for r in runs]) / seen < 1.25
    z = np.exp([r.log_z for r in runs])
    assert abs(z.mean() - math.exp(log_z)) < 5 * z.std() / math.sqrt(len(runs))


def test_chances_far_from_one_keep_their_precision() -> None:
    above = torch.tensor([-800.0, -40.0, -30.1, -29.9, -1.0, 5.0, 800.0], dtype=torch.float64)
    chance = log_inclusion(above - 3, torch.tensor(-3.0).double())
    x = above.exp()
    wanted = [-800.0, -40.0, -30.1, -29.9, math.log(1 - math.exp(-float(x[4]))), 0.0, 0.0]
    assert chance.tolist() == pytest.approx(wanted, abs=1e-12)
    everything = log_inclusion(above, torch.tensor(-math.inf).double())
    assert everything.tolist() == [0.0] * 7


def test_improbable_sequences_are_told_apart() -> None:
    """Log-probabilities of −400 a token: the noise of all levels is still in order."""

    class Steep(ToyScorer):
        def next_log_prob(self, batch: TokenBatch, position: Tensor) -> Tensor:
            return (300 * super().next_log_prob(batch, position)).log_softmax(-1)

    of = Target(Steep(), EVERYTHING, 6)
    for seed in range(20):
        found = leaves(
            CausalDecoding.of(of.scorer, END, [()]), EVERYTHING, SeededDraws(seed), k=30,
            max_length=6,
        )  # fmt: skip
        assert len(set(found.batch.rows())) == 30 and float(found.log_q.min()) < -300
        assert bool(torch.isfinite(found.perturbed).all())
        assert float((found.perturbed - found.log_q).abs().max()) < 40


def test_a_target_without_sequences() -> None:
    with pytest.raises(ZeroWeightError, match="every sequence of at most 4 tokens"):
        stochastic_beam(target(NOTHING, 4), SeededDraws(0), 5)
    none = Target(ToyScorer(), FEW, 3, lambda b: torch.full((len(b),), torch.inf).double())
    with pytest.raises(ZeroWeightError, match="every sequence of at most 3 tokens"):
        stochastic_beam(none, SeededDraws(0), 9)
    with pytest.raises(ZeroWeightError, match="all 2 draws have weight zero"):
        stochastic_beam(none, SeededDraws(0), 2)


def test_what_cannot_be_is_refused() -> None:
    few = target(FEW, 3)
    with pytest.raises(InputError, match=r"k \(0\) must be at least 1"):
        stochastic_beam(few, SeededDraws(0), 0)
    behind = CausalDecoding.of(few.scorer, END, [()], longest=3)
    with pytest.raises(InputError, match="room for 3 tokens and an end token"):
        leaves(behind, FEW, SeededDraws(0), k=1, max_length=4)
    assert len(leaves(behind, FEW, SeededDraws(0), k=1, max_length=3).batch) == 1
    with pytest.raises(InputError, match="end token is 0, but the model's is 3"):
        leaves(CausalDecoding.of(few.scorer, 3, [()]), FEW, SeededDraws(0), k=1, max_length=3)
    with pytest.raises(InputError, match="allows token 9, but the model has only 5"):
        stochastic_beam(target(Table(({9: 0},)), 3), SeededDraws(0), 2)
    bad = Target(ToyScorer(), FEW, 3, lambda b: torch.full((len(b),), torch.nan).double())
    with pytest.raises(EnergyError, match="NaN or −inf"):
        stochastic_beam(bad, SeededDraws(0), 2)

    class Broken(ToyScorer):
        def next_log_prob(self, batch: TokenBatch, position: Tensor) -> Tensor:
            return super().next_log_prob(batch, position) * torch.nan

    with pytest.raises(ModelError, match="NaN"):
        stochastic_beam(Target(Broken(), FEW, 3), SeededDraws(0), 2)


def test_a_real_model_under_a_trie(small_lm: CausalLM) -> None:
    """For several prompts at once; and all keys where there is room for them."""
    keys = [(30, 40, 50), (30, 41), (30,), (77,), (90, 91, 92, 93)]
    trie = build([(key, None) for key in keys], Alphabet(430, 0, small_lm.end_id))
    prompts = [(), (5, 6), (7,)]
    found = leaves(small_lm.read(prompts), trie, SeededDraws(0), k=9, max_length=5)
    assert found.input.tolist() == [0] * 5 + [1] * 5 + [2] * 5
    for prompt, part in zip(prompts, found.log_prob.split(5), strict=True):
        whole = small_lm.token_log_prob(TokenBatch.of([(*prompt, *key) for key in keys]))
        wanted = whole[:, len(prompt) :].sum(1)
        assert sorted(part.tolist()) == pytest.approx(sorted(wanted.tolist()), abs=1e-3)
    samples = stochastic_beam(Target(small_lm, trie, 5), SeededDraws(0), 9)
    assert set(samples.batch.rows()) == set(keys) and samples.exact
    assert samples.log_z == pytest.approx(
        float(small_lm.log_prob(TokenBatch.of(keys)).logsumexp(0)), abs=1e-3
    )
    few = leaves(small_lm.read(prompts), trie, SeededDraws(1), k=2, max_length=5)
    assert few.input.tolist() == [0, 0, 1, 1, 2, 2] and bool((few.threshold > -9).all())
