"""The loop around a chain: how a schedule follows the clock, and what an interrupt leaves."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import pytest
import torch

from ergotext.lm.batch import TokenBatch
from ergotext.samplers import Result, SimulatedAnnealing, Trace, run, sample, sampling
from ergotext.samplers.base import Info, State
from ergotext.samplers.draws import SeededDraws
from ergotext.samplers.run import Run
from ergotext.testing.toy import flat_energy, toy_energy
from tests.faulty import load_with_fault

HOT, COLD = 1.5, 0.2
SCHEDULES = ["linear", "geometric", "logarithmic", "adaptive"]


class Kernel:
    """Accepts whatever the generator says, and goes nowhere."""

    def init(self, draws, chains: int, initial=None) -> State:
        return State(TokenBatch.of([(1,)] * chains), torch.zeros(chains, dtype=torch.float64))

    def step(self, draws, state: State, temperature) -> tuple[State, Info]:
        accepted = draws.bernoulli(torch.full((3,), 0.4, dtype=torch.float64))
        zero = torch.zeros(3, dtype=torch.float64)
        info = Info(zero.long(), state.batch, zero, zero, accepted, zero + temperature)
        return State(state.batch, state.energy, state.step + 1), info


class Clock:
    """Time that passes by steps only."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


def temperatures(
    module: ModuleType,
    seconds: list[float] | float,
    limit: float | None,
    steps: int,
    monkeypatch: pytest.MonkeyPatch,
    **options,
) -> list[float]:
    """The highest of each step of a run whose steps take so many seconds."""
    clock, found = Clock(), []
    monkeypatch.setattr(module, "time", clock)
    annealing = SimulatedAnnealing(flat_energy(), 6, steps=steps, hot=HOT, cold=COLD, **options)
    annealing.kernel = cast(Any, Kernel())

    class Slow:
        moves = ("insert",)

        def step(self, draws, state):
            clock.now += seconds if isinstance(seconds, float) else seconds[len(found)]
            after, info = annealing.step(draws, state)
            found.append(float(info.temperature.max()))
            return after, info

    draws = SeededDraws(0)
    begun = module.Run.start(annealing.init(draws, 3))
    module.proceed(begun, Slow(), draws, steps, limit, progress=False)
    return found


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("seconds", [0.01, 0.35, 1.0, 3.0, 4.9])
def test_at_a_time_limit_the_schedule_is_at_its_end(schedule, seconds: float, monkeypatch) -> None:
    found = temperatures(run, seconds, 10.0, 3000, monkeypatch, schedule=schedule)
    # It ends with the step that passes the limit.
    assert 10 <= len(found) * seconds < 10 + 1.01 * seconds
    assert found[0] == HOT and found[-1] == pytest.approx(COLD)
    assert found[len(found) // 2] > COLD or len(found) < 8


def test_a_limit_too_far_away_changes_nothing(monkeypatch) -> None:
    for schedule in SCHEDULES:
        free = temperatures(run, 0.1, None, 50, monkeypatch, schedule=schedule)
        assert temperatures(run, 0.1, 60.0, 50, monkeypatch, schedule=schedule) == free
        assert len(free) == 50


def test_a_schedule_that_lags_by_a_step_is_noticed(monkeypatch) -> None:
    for fault in (("+ self.last", ""), ("(1 - AT_END)", "1.5")):
        faulty = load_with_fault("samplers.run", fault)
        found = temperatures(faulty, 6.0, 10.0, 3000, monkeypatch, schedule="geometric")
        assert found[-1] > 1.2 * COLD
    found = temperatures(run, [1.0, 1.0, 9.0], 10.0, 3000, monkeypatch, schedule="geometric")
    assert found[-1] < found[0]  # a step that takes ten times as long cannot be foreseen


@pytest.mark.parametrize("restarts", [0, 2])
def test_restarts_are_reached_in_time(restarts: int, monkeypatch) -> None:
    for schedule in ("geometric", "adaptive"):
        found = temperatures(
            run, 0.02, 10.0, 3000, monkeypatch, schedule=schedule, restarts=restarts
        )
        part = int(len(found) * (1 - run.AT_END) / 3)  # of the time before the end
        hot = [max(found[at : at + part]) > 0.9 * HOT for at in (0, part, 2 * part)]
        assert found[-1] == pytest.approx(COLD)
        assert hot[0] and (all(hot) or not restarts)


def test_a_resumed_schedule_goes_on_by_its_clock(tmp_path: Path) -> None:
    """What is promised: seconds count over all parts, and the end of the limit is cold."""
    same = {
        "sampler": "annealing", "chains": 2, "every": 5, "steps": 10**6, "progress": False,
        "checkpoint": tmp_path / "run", "schedule": "adaptive",
    }  # fmt: skip
    first = sample(flat_energy(), max_seconds=0.4, **same)
    longer = sample(flat_energy(), max_seconds=0.8, resume=True, **same)
    assert isinstance(first, Result) and isinstance(longer, Result)
    assert longer.steps > first.steps > 0 and longer.stopped == first.stopped == "time"
    # An adaptive schedule comes near the cold end, and how near is a matter of steps a second.
    assert float(longer.state.temperature.max()) == pytest.approx(0.3, rel=0.01)


@pytest.mark.parametrize("sampler", ["annealing", "mh"])
def test_a_run_that_never_left_its_start_says_so(sampler: str, monkeypatch) -> None:
    late = sample(flat_energy(), sampler, max_seconds=1e-9, progress=False)
    assert isinstance(late, Result)
    assert late.unmoved and "no time for a step" in late.unmoved[0]
    moved = sample(flat_energy(), sampler, steps=30, progress=False)
    assert isinstance(moved, Result) and not moved.unmoved
    monkeypatch.setattr(Trace, "record", lambda trace, state, info, moves: Trace_record(
        trace, state, SimpleNamespace(move=info.move, accepted=torch.zeros_like(info.accepted)),
        moves))  # fmt: skip
    stuck = sample(flat_energy(), "annealing", steps=30, progress=False)
    assert stuck.warnings == stuck.unmoved and "every proposal was rejected" in stuck.unmoved[0]


Trace_record = Trace.record


class Torn(list):
    """Energies at which an interrupt comes, behind the state that was recorded already."""

    def append(self, value) -> None:
        if len(self) == 7:
            raise KeyboardInterrupt
        super().append(value)


def interrupted(module: ModuleType) -> Run:
    """A run in whose record the interrupt comes between a state and its energy."""
    annealing = SimulatedAnnealing(toy_energy(["a"]), 6, steps=30)
    begun = module.Run.start(annealing.init(SeededDraws(0), 3))
    begun.trace.energies = Torn(begun.trace.energies)
    why = module.proceed(begun, annealing, SeededDraws(0), 30, progress=False)
    assert why == "interrupt" and isinstance(begun.state, State)
    return begun


def whole(begun: Run) -> bool:
    """Whether every state has its energy."""
    values = [toy_energy(["a"])(state) for state in begun.trace.states]
    return torch.equal(torch.stack(values), begun.trace.energy) if len(values) == 7 else False


def test_an_interrupt_between_a_state_and_its_energy_leaves_whole_steps() -> None:
    assert whole(interrupted(run))
    fault = ("del run.trace.states[len(run.trace.energies) :]", "pass")
    assert not whole(interrupted(load_with_fault("samplers.run", fault)))


def test_what_an_interrupted_run_found_can_be_asked_for(monkeypatch) -> None:
    start = Run.start

    def torn(state):
        begun = start(state)
        begun.trace.energies = Torn(begun.trace.energies)
        return begun

    monkeypatch.setattr(sampling, "Run", SimpleNamespace(start=torn))
    result = sample(toy_energy(["a"]), "mh", chains=3, steps=30, progress=False)
    assert isinstance(result, Result) and result.stopped == "interrupt" and result.steps == 6
    assert result.feature(lambda texts: [float(len(text)) for text in texts]).shape == (7, 3)
    assert len(result.draws(4)) == 4 and result.diagnose().mean
