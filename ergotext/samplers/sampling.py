"""``sample``: run any sampler over any energy."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from ergotext.errors import InputError
from ergotext.lm.batch import TokenBatch
from ergotext.lm.protocols import Energy
from ergotext.samplers.base import Sampler
from ergotext.samplers.checkpoint.saving import Keeper
from ergotext.samplers.draws import Draws, SeededDraws
from ergotext.samplers.options import (
    check_new,
    check_whole,
    check_window,
    made,
    options_of,
    plain,
    refused,
)
from ergotext.samplers.progress import Bar, Growth, Progress, Watch, Watched
from ergotext.samplers.registry import Registered, name_of, registered, sampler_named
from ergotext.samplers.result import Result
from ergotext.samplers.run import Pauses, Run, proceed
from ergotext.samplers.stop_rule import StopRule
from ergotext.samplers.weighted.result import WeightedResult
from ergotext.samplers.weighted.samples import WeightedSampler
from ergotext.support.bars import busy
from ergotext.support.words import counted

EVERY = 100
"""Steps between checkpoints, and between looks at R-hat, if nothing else is said."""


def sample(
    energy: Energy,
    sampler: str | Registered = "mh",
    *,
    chains: int | None = None,
    steps: int | None = None,
    n: int | None = None,
    seed: int = 0,
    max_length: int = 40,
    max_seconds: float | None = None,
    r_hat: float | None = None,
    initial: TokenBatch | None = None,
    checkpoint: str | Path | None = None,
    every: int = EVERY,
    resume: bool = False,
    settings: Mapping[str, Any] | None = None,
    progress: Progress = True,
    record: bool = False,
    **options: Any,
) -> Result | WeightedResult:
    """Run a sampler over an energy.

    Parameters
    ----------
    energy : Energy
        For example ``fluency(lm) + keywords(["summer", "beach"]) + length(14)``.
    sampler : str or class
        A name, such as ``mh``, which samples from exp(−E), ``annealing``, which looks for its
        minimum, or ``smc``, which weighs what it writes; or a sampler of your own, as its class or
        as ``file.py:Class``.
    chains, steps : int, optional
        Number of chains (8), and steps per chain (300). Weighted samplers have neither.
    n : int, optional
        Draws or particles of a weighted sampler (64). Chains have none.
    seed : int
        The same seed gives the same run on the same machine.
    max_length : int
        Maximum length of a text in tokens.
    max_seconds : float, optional
        Stop chains after the step that passes this limit. How far a run gets then depends on the
        machine, so the seed alone does not reproduce it.
    r_hat : float, optional
        Stop chains when R-hat of the energy is no more than this, examined every ``every`` steps
        over the second half of them, and they are worth 10 independent draws a chain.
    initial : TokenBatch, optional
        Initial texts of the chains; by default those of the energy.
    checkpoint : path, optional
        Save the run to this file, every ``every`` steps and at its end.
    every : int
        Steps between checkpoints. The models' caches are dropped there, with or without a
        checkpoint, so that a resumed run has the same numbers as an uninterrupted one.
    resume : bool
        Continue from the checkpoint, if there is one. Steps and seconds count from the beginning.
    settings : mapping, optional
        Other settings to record with the run, JSON; they must be the same on resumption.
    progress : bool or callable
        Show how far the run is, with its best text so far (chains and smc) or the time it has
        taken, on stderr if that is a terminal, and in a notebook. A function is called with a
        ``samplers.Stage`` instead, after each step of chains and each token of smc.
    record : bool
        Keep every proposal of chains (``result.trace.infos``), and all particles of smc after each
        token (``result.growth``). The texts are the same; a resumed run has the proposals since.
    **options
        Of the sampler: ``temperature`` (mh); ``hot``, ``cold`` (annealing).

    Returns
    -------
    Result or WeightedResult
        Both have ``best``, ``draws``, ``text`` and ``warnings``.

    Raises
    ------
    InputError
        A count is not positive, energy and sampler do not fit together, or ``max_length`` is more
        than the window of a model leaves for a text.
    EnergyError
        The energy gives other than one number per text, NaN or −inf.
    CheckpointError
        The checkpoint is broken, or of another run.
    """
    if not callable(energy) or not hasattr(energy, "terms"):
        raise InputError(
            f"{energy!r:.60} is not an energy: build one, such as fluency(lm) + length(14)"
        )
    check_whole(chains=chains, steps=steps, n=n, max_length=max_length, every=every)
    check_whole(0, seed=seed)
    check_window(energy, max_length)
    factory = sampler_named(sampler)
    known = options_of(factory, options, list(sample.__annotations__))
    # A file is named as it was given, and an alias by the first of its names.
    named = isinstance(sampler, str) and factory not in registered().values()
    name = sampler if named else name_of(factory)
    made_of = {"sampler": name, "seed": seed, "max_length": max_length, **(settings or {})}
    if factory.kind == "weighted":
        _refuse_of_chains(
            name, chains=chains, steps=steps, max_seconds=max_seconds, r_hat=r_hat,
            initial=initial, checkpoint=checkpoint,
        )  # fmt: skip
        made_of |= {"options": plain(options, repr), "n": n or 64}
        return _weighted(
            energy, made(factory, energy, max_length, options), made_of, progress, record
        )
    if n is not None:
        raise InputError(f"{name} runs chains: give chains and steps instead of n")
    chains, steps = chains or 8, steps or 300
    budget = StopRule(steps, max_seconds, r_hat, chains)
    told = plain(options, repr if checkpoint is None else refused)
    made_of |= {"options": told, "chains": chains, "every": every}
    if "steps" in known:  # of those that follow a schedule
        options.setdefault("steps", steps)
        made_of["schedule"] = options["steps"]
    algorithm = made(factory, energy, max_length, options)
    file = None if checkpoint is None else Path(checkpoint)
    if file is not None:
        check_new(file, resume)
    return _chains(energy, algorithm, budget, made_of, initial, file, progress, record)


def _refuse_of_chains(name: object, **given: object) -> None:
    if wrong := [one for one, value in given.items() if value is not None]:
        raise InputError(
            f"{name} draws n weighted texts and runs no chains: drop {', '.join(wrong)}"
        )


def _chains(
    energy: Energy,
    sampler: Sampler,
    budget: StopRule,
    made_of: Mapping[str, Any],
    initial: TokenBatch | None,
    file: Path | None,
    progress: Progress,
    record: bool,
) -> Result:
    draws = SeededDraws(made_of["seed"])
    run = _begun(energy, sampler, draws, budget.chains, initial)
    same, kept = {**made_of, "moves": list(sampler.moves)}, None
    if file is not None and file.exists():
        kept, run = Keeper.go_on(file, run.state, energy, draws, same, budget.over)
    elif file is not None:
        kept = Keeper.begin(file, run, energy, draws, same)
    energy.forget()
    run.trace.infos = {} if record else None

    def pause(run: Run) -> str | None:
        if kept is not None:
            kept.keep(run)
        if not budget.over(run):
            energy.forget()
        return budget.reached(run)

    stopped = proceed(
        run, sampler, draws, budget.steps, budget.max_seconds, progress,
        Pauses(made_of["every"], pause), energy.scorer,
    )  # fmt: skip
    limits = {name: getattr(budget, name) for name in ("steps", "max_seconds", "r_hat")}
    return Result(
        energy, run.trace, made_of["sampler"], sampler.kind, made_of["seed"], run.seconds, stopped,
        {**made_of, **limits}, run.state,
    )  # fmt: skip


def _begun(
    energy: Energy, sampler: Sampler, draws: Draws, chains: int, initial: TokenBatch | None
) -> Run:
    """Chains in their first state, whose making counts in the seconds."""
    began = time.monotonic()
    energy.forget()
    run = Run.start(sampler.init(draws, chains, initial))
    run.seconds = time.monotonic() - began
    return run


def _weighted(
    energy: Energy,
    sampler: WeightedSampler,
    made_of: Mapping[str, Any],
    progress: Progress,
    record: bool,
) -> WeightedResult:
    growth: list[Growth] = []
    with ExitStack() as shown:
        if isinstance(sampler, Watched):
            line = Bar(energy.scorer, made_of["max_length"] + 1, "token", progress)
            show = shown.enter_context(line).watch
            sampler.watch = partial(_both, show, growth.append) if record else show
        else:  # of these nobody knows how far they are
            draws = counted(made_of["n"], "draw")
            shown.enter_context(busy(f"{made_of['sampler']}, {draws}", progress is True))
        began = time.monotonic()
        energy.forget()
        try:
            samples = sampler.draw(SeededDraws(made_of["seed"]), made_of["n"])
        except KeyboardInterrupt as error:
            # Said by the command line, whichever command ran the sampler.
            error.add_note(_nothing_kept(made_of["sampler"]))
            raise
        seconds = time.monotonic() - began
    return WeightedResult(
        energy, samples, made_of["sampler"], made_of["seed"], seconds, made_of, growth=growth
    )


def _nothing_kept(sampler: str) -> str:
    """Why an interrupted run has no results."""
    if sampler in ("importance", "rejection"):  # else they would have kept some
        return f"{sampler} had no complete draws, so there are no results"
    return f"{sampler} finishes all its draws together, so there are no results"


def _both(show: Watch, keep: Watch, grown: Growth) -> None:
    show(grown)
    keep(grown)
