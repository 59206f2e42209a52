"""Diagnostics against an independent computation, and what arviz-stats alone gets wrong."""

from __future__ import annotations

from itertools import chain as joined
from statistics import NormalDist, fmean, median, variance

import numpy as np
import pytest

from ergotext.samplers.diagnostics import (
    Diagnosis,
    autocorrelation,
    ess_bulk,
    ess_tail,
    mcse,
    r_hat,
)


def normal_scores(chains: list[list[float]]) -> list[list[float]]:
    """Blom's scores of average ranks, written from the paper."""
    everything = list(joined(*chains))

    def rank(value: float) -> float:
        below = sum(other < value for other in everything)
        return below + (sum(other == value for other in everything) + 1) / 2

    return [
        [NormalDist().inv_cdf((rank(v) - 3 / 8) / (len(everything) + 1 / 4)) for v in chain]
        for chain in chains
    ]


def split(values: np.ndarray) -> list[list[float]]:
    half = len(values) // 2
    return [part.tolist() for c in values.T for part in (c[:half], c[len(c) - half :])]


def by_hand_r_hat(values: np.ndarray) -> float:
    middle = median(joined(*split(values)))
    results = []
    for halves in (split(values), [[abs(v - middle) for v in c] for c in split(values)]):
        scores = normal_scores(halves)
        n = len(scores[0])
        within = fmean(variance(c) for c in scores)
        between = n * variance([fmean(c) for c in scores])
        results.append((((n - 1) / n * within + between / n) / within) ** 0.5)
    return max(results)


def by_hand_ess(chains: list[list[float]]) -> float:
    """Equations 10 to 13 of the paper with Geyer's pairs, by sums over lags."""
    m, n = len(chains), len(chains[0])
    means = [fmean(c) for c in chains]

    def covariance(lag: int) -> float:
        return fmean(
            sum((c[t] - mu) * (c[t + lag] - mu) for t in range(n - lag)) / n
            for c, mu in zip(chains, means, strict=True)
        )

    within = covariance(0) * n / (n - 1)
    total = within * (n - 1) / n + variance(means)
    rho = [1.0] + [1 - (within - covariance(lag)) / total for lag in range(1, n)]
    pairs: list[float] = []
    for t in range(0, n - 2, 2):
        if t and (pairs[-1] <= 0 or rho[t] + rho[t + 1] < 0):
            break
        pairs.append(min([rho[t] + rho[t + 1], *pairs[-1:]]))
    else:
        pairs.pop()
    tau = -1 + 2 * sum(pairs) + max(0.0, rho[t])
    return m * n / tau


def ar1(phi: float, draws: int, chains: int, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=(draws, chains))
    values = np.zeros_like(noise)
    values[0] = noise[0]
    for t in range(1, draws):
        values[t] = phi * values[t - 1] + (1 - phi**2) ** 0.5 * noise[t]
    return values


SAMPLES = {
    "smooth": ar1(0.6, 101, 4, 0),
    "ties": np.round(ar1(0.6, 100, 4, 1)),
    "two values": (ar1(0.5, 80, 3, 2) > 0.8).astype(float),
    "apart": ar1(0.3, 60, 4, 3) + np.arange(4) * 0.4,
    "one wide": ar1(0.3, 60, 4, 4) * [1, 1, 1, 4],
}


@pytest.mark.parametrize("name", SAMPLES)
def test_r_hat_is_that_of_the_paper(name: str) -> None:
    assert r_hat(SAMPLES[name]) == pytest.approx(by_hand_r_hat(SAMPLES[name]), abs=1e-9)


@pytest.mark.parametrize("name", SAMPLES)
def test_ess_is_that_of_the_paper(name: str) -> None:
    values = SAMPLES[name]
    assert ess_bulk(values) == pytest.approx(by_hand_ess(normal_scores(split(values))), rel=1e-9)
    worth = by_hand_ess(split(values))
    assert mcse(values) == pytest.approx(values.std(ddof=1) / worth**0.5, rel=1e-9)


def by_hand_tail(values: np.ndarray) -> float:
    """Section 4.3: indicators of "at most the quantile"; the lesser of both."""
    cuts = [values <= np.quantile(values, at) for at in (0.05, 0.95)]
    return min(by_hand_ess(split(cut.astype(float))) for cut in cuts if not cut.all())


def on_the_quantile() -> np.ndarray:
    """Four chains, of which one is stuck for a while on the value of the 95% quantile."""
    values = ar1(0.3, 200, 4, 11)
    values[60:110, 1] = np.sort(values.flatten())[-39]
    assert np.quantile(values, 0.95) == values[60, 1]
    return values


TIES = {"stuck on a quantile": on_the_quantile(), "levels": np.round(2 * ar1(0.6, 100, 4, 12)),
        "rare": (ar1(0.5, 100, 4, 13) > 1.5).astype(float)}  # fmt: skip


@pytest.mark.parametrize("name", [*SAMPLES, *TIES])
def test_tails_are_those_of_the_paper_where_draws_tie(name: str) -> None:
    values = (SAMPLES | TIES)[name]
    assert ess_tail(values) == pytest.approx(by_hand_tail(values), rel=1e-9)


def test_a_run_on_the_quantile_is_not_beyond_it() -> None:
    """As R's posterior has it: its fifty draws count as up to the quantile, which costs nothing."""
    beyond = (TIES["stuck on a quantile"] >= TIES["stuck on a quantile"][60, 1]).astype(float)
    assert by_hand_ess(split(beyond)) < 60 < 200 < ess_tail(TIES["stuck on a quantile"])


def test_r_hat_sees_chains_apart_and_of_other_width() -> None:
    assert r_hat(SAMPLES["smooth"]) < 1.03
    assert r_hat(SAMPLES["apart"]) > 1.05 and r_hat(SAMPLES["one wide"]) > 1.1


def test_ess_and_autocorrelation_of_a_known_chain() -> None:
    """AR(1): correlation φ^lag, and n (1 − φ)/(1 + φ) effective draws."""
    values = ar1(0.7, 20_000, 4, 5)
    assert ess_bulk(values) == pytest.approx(80_000 * 0.3 / 1.7, rel=0.1)
    np.testing.assert_allclose(autocorrelation(values, 3), 0.7 ** np.arange(4), atol=0.02)


def test_autocorrelation_of_chains_that_stay_apart_does_not_fall() -> None:
    values = ar1(0.1, 500, 4, 6) * 0.1 + np.arange(4)
    assert autocorrelation(values, 50)[-1] > 0.8
    assert len(autocorrelation(values[:5], 50)) == 5
    assert np.isnan(autocorrelation(np.ones((9, 2)), 2)).all()


def test_chains_that_stand_still_have_no_effective_draws() -> None:
    """arviz-stats alone: 200 and 4.5 effective draws, and R-hat by a division by zero."""
    for values in (np.zeros((50, 4)), np.zeros((50, 4)) + np.arange(4.0)):
        assert ess_bulk(values) == ess_tail(values) == 0.0
        assert r_hat(values) == mcse(values) == np.inf
    assert r_hat(np.full((50, 1), 2.0)) == np.inf


def test_a_chain_that_stands_still_in_the_middle_of_the_others_counts_for_nothing() -> None:
    """Its draws are no more than what they agree with: the three others' are all there is."""
    values = ar1(0.0, 1000, 4, 7)
    values[:, 2] = np.median(values)
    assert ess_bulk(values) <= 3100 and ess_tail(values) <= 3100
    assert r_hat(values) > 1.1
    halted = ar1(0.0, 1000, 4, 7)
    halted[500:, 2] = halted[499, 2]
    assert ess_bulk(halted) < 7 / 8 * 4000


def test_a_fair_coin_has_no_folded_part() -> None:
    coin = np.tile([0.0, 1.0, 1.0, 0.0], 20).reshape(40, 2)
    assert r_hat(coin) == pytest.approx(1, abs=0.05)


def test_tails_that_tie() -> None:
    """Nineteen of twenty draws at the top: "at most the 95% quantile" would hold for all."""
    rare = (ar1(0.9, 2000, 4, 8) > -2.2).astype(float)
    assert 0.95 < rare.mean() < 1
    assert ess_tail(rare) == pytest.approx(by_hand_ess(split(rare)), rel=1e-9)
    assert ess_tail(rare) < 2500


@pytest.mark.parametrize("draws", [1, 2, 3])
def test_too_few_draws_tell_nothing(draws: int) -> None:
    values = ar1(0.0, draws, 4, 9)
    assert r_hat(values) == np.inf and ess_bulk(values) == ess_tail(values) == 0
    (said,) = Diagnosis.of("energy", values).warnings()[-1:]
    assert f"{draws} draws per chain are too few" in said or draws == 1


def test_warnings_are_plain() -> None:
    apart = Diagnosis.of("energy", SAMPLES["apart"])
    disagree, few = apart.warnings()
    assert disagree == (
        f"these 4 chains disagree on energy: R-hat {apart.r_hat:.2f} > 1.01; run longer, temper, "
        f"or use a weighted sampler"
    )
    assert "4 × 60 draws of energy are worth" in few and "averages want 400" in few
    stuck = np.hstack([ar1(0.2, 60, 3, 1), np.zeros((60, 1))])
    assert (
        "1 of 4 chains never changed energy in 60 draws"
        in Diagnosis.of("energy", stuck).warnings()[0]
    )
    assert "one chain has none to agree with" in Diagnosis.of("x", ar1(0, 60, 1, 0)).warnings()[0]
    good = Diagnosis.of("energy", ar1(0.0, 2000, 4, 1))
    assert good.warnings() == [] and "R-hat 1.00" in good.text() and "ESS" in good.text()
