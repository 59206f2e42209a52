"""Search for texts by a budget: grow particles, or run chains."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, TypeAlias, TypeVar

import torch

from ergotext.errors import InputError
from ergotext.lm.batch import TokenBatch
from ergotext.lm.energies.keywords import Keywords
from ergotext.lm.energies.term import Sum, Term
from ergotext.lm.energies.terms import Fluency
from ergotext.lm.pooled import Pooled
from ergotext.lm.twist import Hazards
from ergotext.samplers.progress import Progress
from ergotext.samplers.result import Result
from ergotext.samplers.sampling import sample
from ergotext.samplers.target import Target
from ergotext.samplers.twists import twist_of
from ergotext.samplers.weighted.particles import Particles
from ergotext.samplers.weighted.result import WeightedResult
from ergotext.samplers.weighted.samples import HeavyWeightsWarning, ZeroWeightError
from ergotext.tasks.budget import CHAINS, PARTICLES, STEPS, Budget

Problem = TypeVar("Problem")
Found: TypeAlias = Result | WeightedResult


def grown(
    fluent: Term,
    demanded: Term,
    budget: Budget,
    max_length: int,
    *,
    asked: bool = False,
    progress: Progress = True,
    **options: Any,
) -> WeightedResult:
    """Texts grown by smc towards p^power under a constraint, with their own energies.

    Parameters
    ----------
    fluent, demanded : Term
        −log p, and the constraint.
    budget : Budget
    max_length : int
    asked : bool
        Whether the model was told what the constraint demands.
    **options
        Of smc.
    """
    energy = budget.power * fluent + demanded
    target = Target.of(energy, max_length, tempered=True)
    known = Hazards.of_answers(target.scorer)
    if asked and known.power == target.power:
        options["twist"] = twist_of(target, known)
    with warnings.catch_warnings():
        # What it says against its weights is said of p^power.
        warnings.simplefilter("ignore", HeavyWeightsWarning)
        found = sample(
            energy,
            budget.sampler,
            n=PARTICLES if budget.particles is None else budget.particles,
            seed=budget.seed,
            max_length=max_length,
            progress=progress,
            record=budget.record,
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
    request: Fluency,
    fluent: Fluency,
    demanded: Term,
    budget: Budget,
    max_length: int,
    *,
    beside: Sequence[Term] = (),
    nothing: str = "did what was asked",
    progress: Progress = True,
) -> WeightedResult:
    """Texts that are likely after a request and after the context, with the energy of both.

    Particles follow the geometric mean of the two laws (``Pooled``): the request knows what must
    come, and the context what is good in itself. They are never copied: of all next tokens as many
    different beginnings are kept as there are particles.

    Parameters
    ----------
    request, fluent : Fluency
        −log p after the request (``tasks.request``), and after the context alone.
    demanded : Term
        The constraint.
    budget : Budget
    max_length : int
    beside : sequence of Term
        Further terms of the energy, cheap to evaluate, which only the finished texts meet.
    nothing : str
        What is said where these forbid all texts (``turned``).
    """
    both = Fluency(Pooled([fluent.scorer, request.scorer]))
    words = isinstance(demanded, Keywords)
    found = grown(
        both, demanded, budget, max_length,
        asked=words, progress=progress, resampling="distinct",
    )  # fmt: skip
    close = sum(beside, start=Sum([(1.0, demanded)]))
    return turned(found, fluent + request + close, close, nothing)


def found_or_not(
    find: Callable[[Problem], Found], problems: Iterable[Problem]
) -> Iterator[Found | ZeroWeightError]:
    """What is found of each problem in turn; where nothing is, the error stands for it."""
    for problem in problems:
        try:
            yield find(problem)
        except ZeroWeightError as error:
            yield error


def only(results: Iterable[Found | ZeroWeightError]) -> Found:
    """The result of a single problem; ZeroWeightError where nothing was found."""
    (result,) = results
    if isinstance(result, ZeroWeightError):
        raise result
    return result


def turned(result: WeightedResult, energy: Sum, close: Term, nothing: str) -> WeightedResult:
    """A run of ``grown`` as one of another energy: the weights are those of exp(−E).

    Parameters
    ----------
    result : WeightedResult
    energy : Sum
        It allows no text that the run's energy forbids.
    close : Term
        One of its terms, cheap to evaluate; what it forbids is not scored by the others.
    nothing : str
        What is said where it forbids all of the texts, after their number.

    Raises
    ------
    ZeroWeightError
        It does.
    """
    samples = _particles(result)
    log_factor = torch.full((len(samples),), -torch.inf, dtype=torch.float64)
    met = torch.isfinite(close(samples.batch))
    if not bool(met.any()):
        raise ZeroWeightError(f"none of {samples.tries} particles {nothing}")
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
    progress: Progress = True,
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
        record=budget.record,
        **options,
    )
    if not isinstance(result, Result):
        raise InputError(f"{budget.sampler} runs no chains; use annealing or mh")
    return result
