"""What the diagnostics of a run say, in sentences."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from ergotext.samplers.catalog import PROMISES
from ergotext.samplers.diagnostics import AGREED, ENOUGH, Diagnosis
from ergotext.samplers.result import Result
from ergotext.samplers.weighted.pareto import trusted
from ergotext.samplers.weighted.particles import FEW_ANCESTORS, Particles
from ergotext.samplers.weighted.result import WeightedResult

SEARCHED = (
    "These texts are the best of a search. This is about averages over all of the run, which a "
    "search does not need: warnings here are no fault of the texts."
)


@dataclass(frozen=True)
class Remark:
    """A sentence on a run.

    Parameters
    ----------
    kind : "good", "warn" or "plain"
        Whether it says that all is well, that something is not, or neither.
    text : str
    """

    kind: Literal["good", "warn", "plain"]
    text: str


def remarks(result: Result | WeightedResult, searched: bool = False) -> list[Remark]:
    """All sentences on a run: what its sampler promises, what was measured, and the warnings."""
    measured = _of_chains(result) if isinstance(result, Result) else _of_weights(result)
    first = SEARCHED if searched else f"{result.sampler} is {PROMISES[result.kind]}."
    warned = [Remark("warn", f"{said[0].upper()}{said[1:]}.") for said in result.warnings]
    return [Remark("plain", first), *measured, *warned]


def _of_chains(result: Result) -> list[Remark]:
    accepted = f"{result.acceptance['all']:.0%} of the proposals were accepted."
    if result.kind == "optimiser":
        none = "The chains are no samples, so there is no R-hat and no effective sample size."
        return [Remark("plain", none), Remark("plain", accepted)]
    told = result.diagnose()
    return [*_agreement(told), *_worth(told), Remark("plain", accepted)]


def _agreement(told: Diagnosis) -> list[Remark]:
    """Where it is bad, a warning says so."""
    if told.infinite or not told.r_hat <= AGREED:
        return []
    return [
        Remark(
            "good",
            f"R-hat of the energy is {told.r_hat:.3f}: the {told.chains} chains agree, as they do "
            f"up to {AGREED}.",
        )
    ]


def _worth(told: Diagnosis) -> list[Remark]:
    if told.infinite or math.isinf(told.mcse):
        return []
    worth = min(told.ess_bulk, told.ess_tail)
    said = (
        f"The {told.chains} × {told.draws} draws of the second half are worth "
        f"{told.ess_bulk:.0f} independent ones (ESS), and {told.ess_tail:.0f} in the tails. Their "
        f"mean energy is {told.mean:.2f} ± {told.mcse:.2g} nats."
    )
    return [Remark("good" if worth >= ENOUGH else "plain", said)]


def _of_weights(result: WeightedResult) -> list[Remark]:
    samples = result.samples
    if samples.exact:
        return [Remark("good", f"These are all {len(samples)} texts: log Z is exact.")]
    if isinstance(samples, Particles) and samples.resampled:
        found = [_ancestors(samples)]
    else:
        found = [_effective(result), *_tail(result)]
    error = result.log_z_stderr
    shown = "; its error is unknown" if math.isinf(error) else f" ± {error:.2g}"
    return [*found, Remark("plain", f"log Z is {result.log_z:.2f}{shown}.")]


def _ancestors(samples: Particles) -> Remark:
    """After resampling, ESS and k-hat of the last weights speak of copies."""
    left = samples.ancestors
    return Remark(
        "good" if left >= FEW_ANCESTORS else "plain",
        f"The {samples.tries} particles descend from {left:.1f} effective ancestors; under "
        f"{FEW_ANCESTORS}, texts begin alike. As particles were copied on the way, ESS and k-hat "
        "of their last weights would say too much, and are not shown.",
    )


def _effective(result: WeightedResult) -> Remark:
    tries, ess = result.samples.tries, result.ess
    more = "more than that many" if ess > tries else f"{ess:.1f}"
    return Remark("plain", f"{tries} draws are worth {more} of equal weight (ESS).")


def _tail(result: WeightedResult) -> list[Remark]:
    k, most = result.k_hat, trusted(result.samples.tries)
    if k == math.inf:
        return [Remark("plain", "k-hat is unknown: too few different weights to tell.")]
    if k == -math.inf:
        return [Remark("good", "The weights have no heavy tail: the greatest are alike.")]
    if k > most:
        return []  # a warning says so
    return [
        Remark(
            "good",
            f"k-hat is {k:.2f}: no few draws carry all the weight (for {result.samples.tries} "
            f"draws they may above {most:.2f}).",
        )
    ]
