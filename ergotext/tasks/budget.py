"""The search budget of a text, and a search by it."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import Any

import torch

from ergotext.errors import InputError
from ergotext.lm.batch import TokenBatch
from ergotext.lm.energies.term import Sum, Term
from ergotext.samplers.options import check_whole
from ergotext.samplers.result import Result
from ergotext.samplers.sampling import sample
from ergotext.samplers.weighted.particles import Particles
from ergotext.samplers.weighted.result import WeightedResult
from ergotext.samplers.weighted.samples import HeavyWeightsWarning

CHAINS, STEPS, PARTICLES = 8, 300, 64
FINALS = 16
"""Different texts of a run that the model itself scores at its end: what may be shown, and some
that stand for the rest. To score all would cost what faster proposals save."""
POWER = 1.5
"""A search looks for texts of high p^1.5: above 1 likely texts count for more, and far above 1 all
particles would come from the likeliest beginning."""


@dataclass(frozen=True)
class Budget:
    """Search budget of a text.

    Parameters
    ----------
    sampler : str
        ``smc`` grows particles towards what is asked for, and the best of them count;
        ``annealing`` looks for the best sentences by edits; ``mh`` samples from exp(−energy).
    particles : int, optional
        Of smc (64).
    chains, steps : int, optional
        Of the others (8 and 300).
    max_seconds : float, optional
        Time limit of their runs; the annealing schedule then follows the clock.
    seed : int
    power : float
        smc follows p to this power.
    finals : int
        Different texts of a run of smc that the model itself scores, and that can be shown. They
        are proposed in lower precision where that is faster.

    Raises
    ------
    InputError
        A number goes with another sampler, or is out of range.
    """

    sampler: str = "smc"
    particles: int | None = None
    chains: int | None = None
    steps: int | None = None
    max_seconds: float | None = None
    seed: int = 0
    power: float = POWER
    finals: int = FINALS

    def __post_init__(self) -> None:
        if self.max_seconds is not None and not self.max_seconds > 0:
            raise InputError(f"the time limit must be above 0 seconds, got {self.max_seconds}")
        others = ("chains", "steps", "max_seconds") if self.grows else ("particles",)
        if wrong := [name for name in others if getattr(self, name) is not None]:
            goes_with = "annealing or mh" if self.grows else "smc"
            raise InputError(
                f"{', '.join(wrong)} goes with the sampler {goes_with}, not {self.sampler}"
            )
        check_whole(particles=self.particles, chains=self.chains, steps=self.steps)
        check_whole(2, finals=self.finals)
        if not self.power > 0:
            raise InputError(f"the power must be above 0, got {self.power}")

    @property
    def grows(self) -> bool:
        """Whether texts are grown from left to right, not edited."""
        return self.sampler == "smc"


def grown(
    fluent: Term,
    demanded: Term,
    budget: Budget,
    max_length: int,
    *,
    progress: bool = True,
    **options: Any,
) -> WeightedResult:
    """Texts grown by smc towards p^power under a constraint, with their own energies.

    Parameters
    ----------
    fluent, demanded : Term
        −log p, and the constraint.
    budget : Budget
    max_length : int
    **options
        Of smc.
    """
    with warnings.catch_warnings():
        # What it says against its weights is said of p^power.
        warnings.simplefilter("ignore", HeavyWeightsWarning)
        found = sample(
            budget.power * fluent + demanded,
            budget.sampler,
            n=PARTICLES if budget.particles is None else budget.particles,
            seed=budget.seed,
            max_length=max_length,
            progress=progress,
            **{"proposal_dtype": "auto", "finals": budget.finals, **options},
        )
    assert isinstance(found, WeightedResult)
    samples = _particles(found)
    # Weighed for p itself: what is said of log Z and of means is said of that.
    log_prob = -fluent(samples.batch)
    return replace(
        found,
        problem=fluent + demanded,
        samples=samples.reweighed((1 - budget.power) * log_prob),
        settings={**found.settings, "power": budget.power},
    )


def answers(
    request: Term,
    fluent: Term,
    demanded: Term,
    budget: Budget,
    max_length: int,
    *,
    progress: bool = True,
) -> WeightedResult:
    """Texts drawn as answers to a request, with the energy fluent + request + demanded.

    Parameters
    ----------
    request, fluent : Term
        −log p after the request (``tasks.request``), and after the context alone.
    demanded : Term
        The constraint.
    budget : Budget
    max_length : int
    """
    found = grown(request, demanded, budget, max_length, progress=progress)
    return turned(found, fluent + request + demanded, demanded)


def turned(result: WeightedResult, energy: Sum, close: Term) -> WeightedResult:
    """A run of ``grown`` as one of another energy: the weights are those of exp(−E).

    Parameters
    ----------
    result : WeightedResult
    energy : Sum
        It allows no text that the run's energy forbids.
    close : Term
        One of its terms, cheap to evaluate; what it forbids is not scored by the others.

    Raises
    ------
    ZeroWeightError
        The energy forbids all of the texts.
    """
    samples = _particles(result)
    log_factor = torch.full((len(samples),), -torch.inf, dtype=torch.float64)
    met = torch.isfinite(close(samples.batch))
    batch = samples.batch.select(met)
    log_factor[met] = result.problem(batch) - energy(batch)
    return replace(result, problem=energy, samples=samples.reweighed(log_factor))


def _particles(result: WeightedResult) -> Particles:
    assert isinstance(result.samples, Particles)
    return result.samples


def chained(
    energy: Sum,
    budget: Budget,
    max_length: int,
    *,
    initial: TokenBatch | None = None,
    progress: bool = True,
    **options: Any,
) -> Result:
    """The chains of a budget, run over an energy with options of the sampler.

    Raises
    ------
    InputError
        The budget's sampler runs no chains.
    """
    result = sample(
        energy,
        budget.sampler,
        chains=CHAINS if budget.chains is None else budget.chains,
        steps=STEPS if budget.steps is None else budget.steps,
        seed=budget.seed,
        max_length=max_length,
        max_seconds=budget.max_seconds,
        initial=initial,
        progress=progress,
        **options,
    )
    if not isinstance(result, Result):
        raise InputError(f"{budget.sampler} runs no chains; use annealing or mh")
    return result
