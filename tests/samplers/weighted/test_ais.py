"""Annealed importance sampling: its path, and the bounds of log Z."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from ergotext.errors import InputError
from ergotext.lm.batch import TokenBatch
from ergotext.lm.energies.term import Sum
from ergotext.lm.protocols import Energy
from ergotext.samplers import AnnealedImportance, Rejection, SeededDraws
from ergotext.samplers.target import Target
from ergotext.samplers.weighted.ais import Between, log_q
from ergotext.samplers.weighted.proposals import masked
from ergotext.samplers.weighted.rollout import grown
from ergotext.testing.exhaust import every_run
from ergotext.testing.tables import FEW, mass
from ergotext.testing.toy import toy_energy
from tests.samplers.registry_worlds import LOOPED, weighted

pytestmark = pytest.mark.filterwarnings(
    "ignore::ergotext.samplers.weighted.samples.HeavyWeightsWarning"
)


def everything(energy: Sum, longest: int) -> tuple[TokenBatch, torch.Tensor]:
    """All rows that have mass, and log p̃ of each."""
    masses = mass(Target.of(energy, longest))
    values = torch.tensor(list(masses.values()), dtype=torch.float64)
    return TokenBatch.of(list(masses)), values.log()


def test_the_path_goes_from_the_proposal_to_the_energy() -> None:
    energy, longest = LOOPED
    rows, log_mass = everything(energy, longest)
    target = Target.of(energy, longest)
    q = log_q(target, rows)
    drawn = dict.fromkeys(rows.rows(), 0.0)
    for p, row in every_run(lambda draws: grown(draws, target, masked, 1)):
        if row.log_weight[0] > -torch.inf:
            drawn[row.batch.rows()[0]] += p
    assert q.exp().tolist() == pytest.approx(list(drawn.values()), abs=1e-12)
    assert float(q.exp().sum()) < 0.99, "what comes to a dead end is lost"
    torch.testing.assert_close(Between(energy, target, 0.0)(rows), -q)
    torch.testing.assert_close(Between(energy, target, 1.0)(rows), -log_mass)
    torch.testing.assert_close(Between(energy, target, 0.3)(rows), -0.7 * q - 0.3 * log_mass)
    outside = TokenBatch.of([(4, 4), (2, 2)])
    assert torch.isinf(Between(energy, target, 0.0)(outside)).all()
    between = Between(energy, target, 0.5)
    assert isinstance(between, Energy) and between.masked is None
    assert between.terms(rows)["between"].tolist() == between(rows).tolist()


def inverse_mass(energy: Sum, longest: int, levels: int, kernel: str) -> float:
    """E[1/w] on the way back from the target, by enumeration."""
    rows, log_mass = everything(energy, longest)
    sampler = AnnealedImportance(energy, longest, levels, kernel)
    total = 0.0
    for i, share in enumerate(log_mass.softmax(0).tolist()):
        for p, bound in every_run(lambda d, i=i: sampler.upper_bound(d, rows.select([i]))):
            total += share * p * math.exp(-bound)
    return total


@pytest.mark.parametrize(
    ("world", "levels", "kernel"),
    [(weighted(FEW, 3), 2, "suffix"), (weighted(FEW, 3), 3, "gibbs"),
     (weighted(FEW, 2), 2, "mh"), (LOOPED, 3, "gibbs"), (LOOPED, 1, "mh")],
)  # fmt: skip
def test_on_the_way_back_the_mean_is_that_of_one_over_z(world, levels: int, kernel: str) -> None:
    energy, longest = world
    rows, log_mass = everything(energy, longest)
    ended = float(log_q(Target.of(energy, longest), rows).exp().sum())
    wanted = ended / float(log_mass.exp().sum())
    assert inverse_mass(energy, longest, levels, kernel) == pytest.approx(wanted, abs=1e-9)


def test_log_z_lies_between_the_bounds() -> None:
    """On average over seeds, and the closer the more levels there are."""
    energy, longest = weighted(FEW, 3)
    log_z = float(everything(energy, longest)[1].logsumexp(0))
    gaps = []
    for levels in (1, 12):
        sampler = AnnealedImportance(energy, longest, levels, "suffix")
        lower, upper = [], []
        for seed in range(30):
            draws = SeededDraws(seed)
            exact = Rejection(energy, longest, "masked", 0.8).draw(draws, 1).batch
            lower.append(sampler.draw(draws, 1).log_z)
            upper.append(sampler.upper_bound(draws, exact))
        for bound, sign in ((lower, 1), (upper, -1)):
            error = np.std(bound, ddof=1) / math.sqrt(len(bound))
            assert sign * (np.mean(bound) - log_z) < 3 * error
        gaps.append(np.mean(upper) - np.mean(lower))
    assert gaps[0] > 0.1 and gaps[1] < 0.7 * gaps[0]


def test_what_cannot_be() -> None:
    energy, longest = weighted(FEW, 3)
    with pytest.raises(InputError, match="at least one level"):
        AnnealedImportance(energy, longest, 0)
    with pytest.raises(InputError, match="cannot run"):
        AnnealedImportance(energy, longest, kernel="annealing")
    sampler = AnnealedImportance(energy, longest, 2)
    for rows in ([], [(1, 1)]):
        with pytest.raises(InputError, match="exact draws"):
            sampler.upper_bound(SeededDraws(0), TokenBatch.of(rows))


def test_of_several_exact_draws_the_bound_is_that_of_the_mean() -> None:
    """The mean of 1/w over the draws, not their sum."""
    energy, longest = weighted(FEW, 3)
    rows, _ = everything(energy, longest)
    sampler = AnnealedImportance(energy, longest, 1)  # without a move nothing is drawn
    each = [sampler.upper_bound(SeededDraws(0), rows.select([i])) for i in range(len(rows))]
    wanted = -math.log(np.mean(np.exp(-np.array(each))))
    assert len(set(each)) > 2
    assert sampler.upper_bound(SeededDraws(0), rows) == pytest.approx(wanted, abs=1e-12)


def test_lock_marks_move_with_their_rows() -> None:
    """Behind every move the marks are those of the row that stands there."""
    energy = toy_energy(["b"])
    sampler = AnnealedImportance(energy, 3, levels=6, kernel="mh")
    batch = sampler.draw(SeededDraws(0), 400).batch
    assert len({tuple(marks) for marks in batch.locked.tolist()}) > 3
    torch.testing.assert_close(batch.locked, energy.locked(batch))
