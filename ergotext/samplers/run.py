"""Run loop of all chains: progress, trace, pauses and stopping."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from ergotext.lm.batch import TokenBatch
from ergotext.lm.protocols import NextTokenScorer
from ergotext.samplers.base import Info, Sampler, State
from ergotext.samplers.draws import Draws
from ergotext.samplers.progress import Bar, Progress

AT_END = 0.1
"""Share of a time limit in which a schedule is at its end."""


@dataclass
class Trace:
    """Every state of every chain, in order; a rejection repeats the old state."""

    states: list[TokenBatch]
    energies: list[Tensor]
    proposed: Counter[str] = field(default_factory=Counter)
    accepted: Counter[str] = field(default_factory=Counter)
    infos: dict[int, Info] | None = None
    """What happened at each step, by its number from 1; None where it is not recorded."""
    moves: tuple[str, ...] = ()
    """The names of the moves that they count by."""

    def record(self, state: State, info: Info, moves: Sequence[str]) -> None:
        self.states.append(state.batch)
        self.energies.append(state.energy)
        if self.infos is not None:
            self.infos[len(self.energies) - 1] = info
            self.moves = tuple(moves)
        for move, yes in zip(info.move.tolist(), info.accepted.tolist(), strict=True):
            if moves[move] != "stay":
                self.proposed[moves[move]] += 1
                self.accepted[moves[move]] += yes

    @property
    def energy(self) -> Tensor:
        """float64 [steps + 1, chains]"""
        return torch.stack(self.energies)


@dataclass
class Run:
    """State of a run."""

    state: State
    trace: Trace
    seconds: float = 0.0
    """spent on it"""

    @classmethod
    def start(cls, state: State) -> Run:
        return cls(state, Trace([state.batch], [state.energy]))

    @property
    def steps(self) -> int:
        """Steps that every chain took."""
        return len(self.trace.energies) - 1


@dataclass(frozen=True)
class Pauses:
    """Callback between steps: at regular intervals, and at the end of the run.

    Parameters
    ----------
    every : int
        Steps.
    act : callable
        Is given the run. A word that it returns says why the run ends there.
    """

    every: int
    act: Callable[[Run], str | None]


def run(
    sampler: Sampler,
    draws: Draws,
    state: State,
    steps: int,
    max_seconds: float | None = None,
    progress: Progress = True,
) -> tuple[Trace, str]:
    """Step a sampler on from ``state``: its trace, and why it ended (``proceed``)."""
    begun = Run.start(state)
    why = proceed(begun, sampler, draws, steps, max_seconds, progress)
    return begun.trace, why


def proceed(
    run: Run,
    sampler: Sampler,
    draws: Draws,
    steps: int,
    max_seconds: float | None = None,
    progress: Progress = True,
    pauses: Pauses | None = None,
    scorer: NextTokenScorer | None = None,
) -> str:
    """Continue a run until it has ``steps`` steps; Ctrl-C ends it early with the results so far.

    Returns why it ended: ``steps``, ``time``, ``interrupt``, or what a pause said. Progress goes to
    stderr, and only where that is a terminal, or to a function. Under a time limit that the steps
    would outlast, the state's step count follows the clock, so that the last step in time is the
    last of a schedule.

    Parameters
    ----------
    run : Run
        Is carried on; what it has of steps and seconds counts.
    sampler : Sampler
    draws : Draws
    steps : int
    max_seconds : float, optional
    progress : bool
    pauses : Pauses, optional
        An interrupt has none: what they keep must be on the way of a run that was not interrupted.
    scorer : NextTokenScorer, optional
        Decodes the best text so far for the progress line.
    """
    clock = _ProgressClock(steps, max_seconds, run.seconds)
    bar = Bar(scorer, steps, "step", progress, run.steps)
    said: str | None = None
    run.state = replace(run.state, step=clock.step(run))
    try:
        while run.state.step < steps and said is None:
            before = run.state.step
            _step(run, sampler, draws, clock)
            whole = torch.zeros(len(run.state.energy), dtype=torch.bool)
            bar.show(run.state.step - before, run.state.batch, -run.state.energy, whole)
            if pauses is not None and run.steps % pauses.every == 0 and run.state.step < steps:
                said = pauses.act(run)
        if pauses is not None and said is None:
            pauses.act(run)
    except KeyboardInterrupt:
        del run.trace.states[len(run.trace.energies) :]  # it may have come between the two
        return "interrupt"
    finally:
        bar.close()
    return said or ("steps" if run.steps >= steps else "time")


def _step(run: Run, sampler: Sampler, draws: Draws, clock: _ProgressClock) -> None:
    """One step on the record, with its time; the state's step count is the clock's."""
    after, info = sampler.step(draws, run.state)
    run.trace.record(after, info, sampler.moves)
    now = clock.seconds()
    clock.last, run.seconds = now - run.seconds, now
    run.state = replace(after, step=clock.step(run))


@dataclass
class _ProgressClock:
    """How far a run should be in its steps, by count and by time.

    By time, the last of ``steps`` stands where the limit is near: for the last ``AT_END`` of the
    time, and for a step that would end there if it takes as long as the one before it.
    """

    steps: int
    max_seconds: float | None
    before: float
    """seconds spent already"""
    began: float = field(default_factory=lambda: time.monotonic())
    last: float = 0.0
    """seconds that the last step took"""

    def seconds(self) -> float:
        return self.before + time.monotonic() - self.began

    def step(self, run: Run) -> int:
        if self.max_seconds is None:
            return run.steps
        if run.seconds >= self.max_seconds:
            return self.steps
        share = (run.seconds + self.last) / (self.max_seconds * (1 - AT_END))
        return max(run.steps, int((self.steps - 1) * min(1.0, share)))
