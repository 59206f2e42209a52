"""The loop around any sampler: progress, trace, time limit, and what comes out."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from inspect import signature

import torch
from torch import Tensor
from tqdm import tqdm

from ergotext.lm.batch import TokenBatch
from ergotext.lm.protocols import Energy, InputError
from ergotext.samplers.base import Info, Kind, Sampler, State, sampler_named
from ergotext.samplers.draws import Draws, SeededDraws


@dataclass(frozen=True)
class Sample:
    """One text that a chain visited."""

    text: str
    log_prob: float
    """log p(text, end | context) in nats, under the energy's language model"""
    energy: float
    terms: dict[str, float]
    chain: int
    step: int
    tokens: tuple[int, ...] = field(repr=False)


@dataclass
class Trace:
    """Every state of every chain, in order; on rejection the old state stands there again."""

    states: list[TokenBatch]
    energies: list[Tensor]
    proposed: Counter[str] = field(default_factory=Counter)
    accepted: Counter[str] = field(default_factory=Counter)

    def record(self, state: State, info: Info, moves: Sequence[str]) -> None:
        self.states.append(state.batch)
        self.energies.append(state.energy)
        for move, yes in zip(info.move.tolist(), info.accepted.tolist(), strict=True):
            if moves[move] != "stay":
                self.proposed[moves[move]] += 1
                self.accepted[moves[move]] += yes

    @property
    def energy(self) -> Tensor:
        """float64 [steps + 1, chains]"""
        return torch.stack(self.energies)


@dataclass(frozen=True)
class Result:
    """What a run found, and what is needed to judge it."""

    problem: Energy = field(repr=False)
    trace: Trace = field(repr=False)
    sampler: str
    kind: Kind
    seed: int | None
    seconds: float
    stopped: str
    """Why the run ended: steps, time or interrupt."""

    @property
    def chains(self) -> int:
        return len(self.trace.states[0])

    @property
    def steps(self) -> int:
        """Steps that every chain took."""
        return len(self.trace.states) - 1

    @property
    def energy(self) -> Tensor:
        """float64 [steps + 1, chains]: the energy of each state, the initial one first."""
        return self.trace.energy

    @property
    def acceptance(self) -> dict[str, float]:
        """Acceptance rate by kind of move, and over all of them."""
        proposed, accepted = self.trace.proposed, self.trace.accepted
        rates = {name: accepted[name] / n for name, n in proposed.items() if n}
        return {**rates, "all": sum(accepted.values()) / max(1, sum(proposed.values()))}

    def best(self, count: int = 1) -> list[Sample]:
        """The ``count`` visited texts of lowest energy, no text twice (white space apart)."""
        order = self.energy.flatten().argsort(stable=True).tolist()
        found: dict[str, Sample] = {}
        tried: set[tuple[int, ...]] = set()
        for at in order:
            if len(found) == count:
                break
            step, chain = divmod(at, self.chains)
            row = self.trace.states[step].select([chain])
            if (tokens := row.rows()[0]) not in tried:
                tried.add(tokens)
                sample = self._sample(row, chain, step)
                found.setdefault(" ".join(sample.text.split()), sample)
        return list(found.values())

    def _sample(self, row: TokenBatch, chain: int, step: int) -> Sample:
        scorer = self.problem.scorer
        if scorer is None:
            raise InputError("this energy has no language model to spell its texts")
        return Sample(
            text=scorer.decode(row)[0].strip(),
            log_prob=float(scorer.log_prob(row)[0]),
            energy=float(self.energy[step, chain]),
            terms={name: float(value[0]) for name, value in self.problem.terms(row).items()},
            chain=chain,
            step=step,
            tokens=row.rows()[0],
        )


def run(
    sampler: Sampler,
    draws: Draws,
    state: State,
    steps: int,
    max_seconds: float | None = None,
    progress: bool = True,
) -> tuple[Trace, str]:
    """Step a sampler on from ``state``; Ctrl-C ends the run early and keeps what was found.

    Returns the trace and why it ended: ``steps``, ``time`` or ``interrupt``. Progress goes to
    stderr, and only where that is a terminal. Under a time limit that the steps would outlast,
    the state's step count follows the clock, so that a schedule gets through in time.
    """
    trace = Trace([state.batch], [state.energy])
    began, last = time.monotonic(), state.step + steps
    bar = tqdm(total=steps, unit="step", disable=None if progress else True, leave=False)
    try:
        while state.step < last:
            before = state.step
            state, info = sampler.step(draws, state)
            trace.record(state, info, sampler.moves)
            if max_seconds is not None:
                share = min(1.0, (time.monotonic() - began) / max_seconds)
                state = replace(state, step=max(state.step, last - steps + int(steps * share)))
            bar.update(state.step - before)
            bar.set_postfix(energy=f"{float(state.energy.min()):.1f}", refresh=False)
    except KeyboardInterrupt:
        return trace, "interrupt"
    finally:
        bar.close()
    return trace, "steps" if len(trace.states) > steps else "time"


def sample(
    energy: Energy,
    sampler: str = "mh",
    *,
    chains: int = 8,
    steps: int = 300,
    seed: int = 0,
    max_length: int = 40,
    max_seconds: float | None = None,
    initial: TokenBatch | None = None,
    progress: bool = True,
    **options: float,
) -> Result:
    """Run a sampler over an energy.

    Parameters
    ----------
    energy : Energy
        For example ``fluency(lm) + keywords(["summer", "beach"]) + length(14)``.
    sampler : str
        ``mh`` samples from exp(−E); ``annealing`` looks for its minimum.
    chains, steps : int
        Chains run side by side, and steps of each.
    seed : int
        The same seed gives the same run on the same machine.
    max_length : int
        Longest text in tokens; the space is bounded there.
    max_seconds : float, optional
        Stop after the step that passes this limit. How far a run gets then depends on the
        machine, so the seed alone does not reproduce it.
    initial : TokenBatch, optional
        Where to start; by default where the energy says.
    **options
        Of the sampler: ``temperature`` (mh); ``hot``, ``cold`` (annealing).

    Raises
    ------
    InputError
        A count is not positive, or energy and sampler do not fit together.
    """
    for name, value in (("chains", chains), ("steps", steps), ("max_length", max_length)):
        if not isinstance(value, int) or value < 1:
            raise InputError(f"{name} must be a whole number of at least 1, got {value}")
    if seed < 0:
        raise InputError(f"the seed must be 0 or more, got {seed}")
    if max_seconds is not None and not max_seconds > 0:
        raise InputError(f"max_seconds must be positive, got {max_seconds}")
    factory = sampler_named(sampler)
    if factory.kind == "weighted":
        raise InputError(f"{sampler} is no chain; draw by sampler_named({sampler!r})(energy).draw")
    known = signature(factory).parameters
    if wrong := [name for name in options if name not in known]:
        raise InputError(
            f"the sampler {sampler} takes no {', '.join(wrong)}; it takes "
            f"{', '.join(name for name in known if name != 'energy')}"
        )
    if "steps" in known:  # of those that follow a schedule
        options.setdefault("steps", steps)
    algorithm = factory(energy, max_length=max_length, **options)
    energy.forget()
    began = time.monotonic()
    draws = SeededDraws(seed)
    state = algorithm.init(draws, chains, initial)
    trace, stopped = run(algorithm, draws, state, steps, max_seconds, progress)
    seconds = time.monotonic() - began
    return Result(energy, trace, sampler, algorithm.kind, seed, seconds, stopped)
