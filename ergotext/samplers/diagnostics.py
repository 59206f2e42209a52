"""Convergence diagnostics of chains: R-hat, effective sample sizes and their warnings.

The estimators are those of arviz-stats. They are asked about chains that move: of a chain that
stands still arviz-stats says that each of its draws is an independent one, and of values that are
all alike it divides by zero.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ergotext.support.arrays import Floats

AGREED = 1.01
"""The highest R-hat at which chains agree (Vehtari et al. 2021, section 4)."""
ENOUGH = 400.0
"""The fewest effective draws for which R-hat and ESS are stable themselves (the same place)."""
FEWEST = 4
"""Minimum draws per chain for diagnostics (arviz-stats')."""


@dataclass(frozen=True)
class Diagnosis:
    """Convergence diagnostics of the average of one quantity over chains.

    Parameters
    ----------
    name : str
        Of the quantity.
    draws, chains : int
        How many it was taken from, warm-up left out.
    mean, sd : float
        Over all draws of all chains.
    mcse : float
        Monte Carlo standard error of the mean.
    r_hat : float
        Rank-normalised split R-hat, the greater of bulk's and tails'.
    ess_bulk, ess_tail : float
        Effective draws, rank-normalised; and for the 5% and 95% quantiles, the lesser.
    still : int
        Chains in which the quantity never changes.
    infinite : float
        Share of draws in which the quantity is not finite; if there are any, the averages are
        infinite and nothing vouches for them.
    """

    name: str
    draws: int
    chains: int
    mean: float
    sd: float
    mcse: float
    r_hat: float
    ess_bulk: float
    ess_tail: float
    still: int
    infinite: float = 0.0

    @classmethod
    def of(cls, name: str, values: Floats) -> Diagnosis:
        """The diagnosis of values [draws, chains]."""
        draws, chains = values.shape
        if infinite := float((~np.isfinite(values)).mean()):
            none = math.inf
            return cls(name, draws, chains, none, none, none, none, 0.0, 0.0, 0, infinite)
        return cls(
            name,
            draws,
            chains,
            float(values.mean()),
            float(values.std(ddof=1)) if values.size > 1 else math.inf,
            mcse(values),
            r_hat(values),
            ess_bulk(values),
            ess_tail(values),
            int((np.ptp(values, axis=0) == 0).sum()),
        )

    def warnings(self) -> list[str]:
        """Warnings in plain words; empty if all is well."""
        if self.infinite:
            return [
                f"{self.infinite:.2g} of the draws have an infinite {self.name}: the sampler does "
                f"not keep to what is allowed; take one that does, such as mh or mlm-mh"
            ]
        return [said for said in (self._still(), self._disagree(), self._few()) if said]

    def _still(self) -> str | None:
        if not self.still:
            return None
        who = "the chain" if self.chains == 1 else f"{self.still} of {self.chains} chains"
        return (
            f"{who} never changed {self.name} in {self.draws} draws and count for nothing; run "
            f"longer, temper, or loosen the constraint"
        )

    def _disagree(self) -> str | None:
        if self.chains < 2:
            return "one chain has none to agree with; run 4 or more"
        if self.draws < FEWEST:
            return f"{self.draws} draws per chain are too few to diagnose {self.name}; run longer"
        if self.r_hat > AGREED:
            # Chains that never move divide by a spread of rounding errors.
            shown = f"{self.r_hat:.2f}" if self.r_hat < 1000 else "over 1000"
            return (
                f"these {self.chains} chains disagree on {self.name}: R-hat {shown} > "
                f"{AGREED}; run longer, temper, or use a weighted sampler"
            )
        return None

    def _few(self) -> str | None:
        worth = min(self.ess_bulk, self.ess_tail)
        if self.draws < FEWEST or self.still == self.chains or worth >= ENOUGH:
            return None
        return (
            f"{self.chains} × {self.draws} draws of {self.name} are worth {worth:.0f} independent "
            f"ones, and averages want {ENOUGH:.0f}; run longer"
        )

    def text(self) -> str:
        """One line."""
        return (
            f"{self.name} {self.mean:.4g} ± {self.mcse:.2g}, R-hat {self.r_hat:.3f}, "
            f"ESS {self.ess_bulk:.0f} bulk, {self.ess_tail:.0f} tail"
        )


def r_hat(values: Floats) -> float:
    """Rank-normalised split R-hat of values [draws, chains]; near 1 where chains agree.

    The greater of that of the values and that of their distances from the median. +inf where
    nothing vouches for agreement: a single chain, fewer than four draws, values that never change.

    References
    ----------
    Vehtari, Gelman, Simpson, Carpenter and Bürkner 2021, "Rank-normalization, folding, and
    localization: an improved R-hat", Bayesian Analysis 16(2), equations 4 to 14.
    """
    draws, chains = values.shape
    if draws < FEWEST or chains < 2:
        return math.inf
    value = _asked("rhat", values, method="rank")
    return math.inf if math.isnan(value) else value


def ess_bulk(values: Floats) -> float:
    """Effective number of draws in values [draws, chains], rank-normalised; ties share a rank.

    Half chains in which nothing changes count for nothing. 0 below four draws.

    References
    ----------
    Vehtari et al. 2021, section 4.1; Geyer 1992, "Practical Markov chain Monte Carlo", for where
    the sum of autocorrelations ends.
    """
    return _awake(values) * _ess(values, "bulk")


def ess_tail(values: Floats) -> float:
    """The lesser effective number of draws for the 5% and the 95% quantile.

    That of "at most the quantile", as in R's posterior and arviz-stats; where the maximum ties so
    often that this holds for all draws, that of "below the quantile". Half chains in which nothing
    changes count for nothing. 0 below four draws.

    References
    ----------
    Vehtari et al. 2021, section 4.3.
    """
    tails = [_tail(values, float(at)) for at in np.quantile(values, [0.05, 0.95])]
    return _awake(values) * min(_ess(tail, "mean") for tail in tails)


def _tail(values: Floats, quantile: float) -> Floats:
    """1 for draws up to the quantile, 0 for those above it; if none is above, for those at it."""
    within = values <= quantile
    return (values < quantile if within.all() else within).astype(np.float64)


def mcse(values: Floats) -> float:
    """Monte Carlo standard error of the mean of values [draws, chains]; +inf if nothing moves."""
    worth = _awake(values) * _ess(values, "mean")
    return float(values.std(ddof=1)) / math.sqrt(worth) if worth else math.inf


def autocorrelation(values: Floats, lags: int) -> Floats:
    """float64 [lags + 1]: correlation of draws so many steps apart, averaged over chains.

    About the mean of all chains, so that chains that stay apart are correlated at every lag. NaN
    where nothing changes.

    References
    ----------
    Gelman et al. 2013, "Bayesian Data Analysis", 3rd edition, equation 11.7, with the variance of
    all draws pooled.
    """
    centred = values - values.mean()
    count = min(lags, len(values) - 1) + 1
    products = [(centred[lag:] * centred[: len(values) - lag]).mean() for lag in range(count)]
    variance = products[0] if products[0] > 0 else math.nan
    return np.array(products) / variance


def _awake(values: Floats) -> float:
    """The share of half chains in which the value changes."""
    half = len(values) // 2
    halves = np.concatenate([values[:half], values[len(values) - half :]], axis=1)
    return float((np.ptp(halves, axis=0) > 0).mean()) if half else 0.0


def _ess(values: Floats, method: str) -> float:
    if len(values) < FEWEST or not np.ptp(values):
        return 0.0
    value = _asked("ess", values, method=method)
    return 0.0 if math.isnan(value) else value


def _asked(name: str, values: Floats, **options: str) -> float:
    """What arviz-stats says; where it divides by zero, NaN or infinity and no warning."""
    from arviz_stats.base.array import array_stats  # scipy takes a second

    with np.errstate(all="ignore"):
        return float(getattr(array_stats, name)(np.ascontiguousarray(values.T), **options))
