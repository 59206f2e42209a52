"""Simulated annealing: the Metropolis-Hastings kernel under a falling temperature."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
from torch import Tensor

from ergotext.errors import InputError
from ergotext.lm.batch import TokenBatch
from ergotext.lm.protocols import Energy
from ergotext.samplers.base import Info, Need, State
from ergotext.samplers.catalog import Kind
from ergotext.samplers.chains.metropolis import MetropolisHastings
from ergotext.samplers.chains.proposal import Moves
from ergotext.samplers.chains.schedules import SCHEDULES, lam_rate
from ergotext.samplers.draws import Draws

Schedule = Literal["linear", "geometric", "logarithmic", "adaptive"]
WINDOW, CROSSING = 20, 10
"""The adaptive schedule, in shares of a run: 1/20 of its steps is the memory of the acceptance
rate, 1/10 takes the temperature from one end of its range to the other."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Adaptive(State):
    """A state whose chains have temperatures of their own."""

    temperature: Tensor
    """float64 [B]"""
    rate: Tensor
    """float64 [B]: share of proposals that were accepted lately"""
    restarts: int = 0
    """How many there were"""
    seen: int = -1
    """The step before; under a time limit the schedule leaves steps out, and waits at its end"""


class SimulatedAnnealing:
    """Looks for the minimum of an energy; its states are no samples from exp(−E).

    The temperature falls from ``hot`` to ``cold`` over ``steps`` steps and stays there. The
    adaptive schedule moves each chain's temperature between the two so that as many proposals are
    accepted as Lam and Delosme's rate says.

    Parameters
    ----------
    energy : Energy
    max_length : int
    steps : int
        Length of the whole run.
    hot, cold : float
        Temperatures of the first and the last step.
    moves : Moves, optional
    schedule : "linear", "geometric", "logarithmic" or "adaptive"
    restarts : int
        How often the schedule starts again, hot, from where the chains stand; the steps are shared
        out evenly.

    Raises
    ------
    InputError
        Temperatures do not fall or are not positive, an unknown schedule, or more restarts than
        steps.

    References
    ----------
    Kirkpatrick, Gelatt and Vecchi 1983, "Optimization by simulated annealing".
    """

    kind: ClassVar[Kind] = "optimiser"
    needs: ClassVar[frozenset[Need]] = frozenset({"next-token"})

    def __init__(
        self,
        energy: Energy,
        max_length: int = 40,
        steps: int = 300,
        hot: float = 1.2,
        cold: float = 0.3,
        moves: Moves | None = None,
        schedule: Schedule = "geometric",
        restarts: int = 0,
    ) -> None:
        if not 0 < cold <= hot < float("inf"):
            raise InputError(f"temperatures must decrease and be positive, got {hot} to {cold}")
        if schedule not in (*SCHEDULES, "adaptive"):
            raise InputError(
                f"no schedule {schedule!r}; choose one of {', '.join(SCHEDULES)}, adaptive"
            )
        if not 0 <= restarts < max(1, steps):
            raise InputError(f"{restarts} restarts do not fit {steps} steps")
        self.kernel = MetropolisHastings(energy, max_length, moves=moves)
        self.moves = self.kernel.moves
        self.steps, self.hot, self.cold = steps, hot, cold
        self.schedule, self.restarts = schedule, restarts
        self.run = steps // (restarts + 1)
        """Steps from one restart to the next"""

    def _restarts(self, step: int) -> int:
        """How many restarts there are up to a step."""
        return min(step // max(1, self.run), self.restarts)

    def temperature(self, step: int) -> float:
        """The temperature of a step, counted from 0, where the schedule is not adaptive."""
        at = step - self.run * self._restarts(step)
        return SCHEDULES[self.schedule](at, self.run, self.hot, self.cold)

    def init(self, draws: Draws, chains: int, initial: TokenBatch | None = None) -> State:
        state = self.kernel.init(draws, chains, initial)
        if self.schedule != "adaptive":
            return state
        hot = torch.full((chains,), self.hot, dtype=torch.float64)
        return Adaptive(
            batch=state.batch, energy=state.energy, temperature=hot, rate=torch.ones_like(hot)
        )

    def step(self, draws: Draws, state: State) -> tuple[State, Info]:
        if not isinstance(state, Adaptive):
            return self.kernel.step(draws, state, self.temperature(state.step))
        restarts, gone = self._restarts(state.step), state.step - state.seen
        at = state.step - self.run * restarts
        if restarts > state.restarts:
            state = replace(state, temperature=torch.full_like(state.temperature, self.hot))
        if gone != 1 and state.step >= self.steps - 1:  # no time to wait for the acceptance rate
            state = replace(state, temperature=torch.full_like(state.temperature, self.cold))
        after, info = self.kernel.step(draws, state, state.temperature)
        gone = max(1, gone)
        memory = max(1, max(2, self.run / WINDOW) / gone)
        rate = state.rate + (info.accepted.double() - state.rate) / memory
        wanted = lam_rate(at / max(1, self.run))
        factor = (self.cold / self.hot) ** (CROSSING * gone / max(1, self.run))
        moved = state.temperature * torch.where(rate > wanted, factor, 1 / factor)
        moved = moved.clamp(self.cold, self.hot)
        return Adaptive(
            batch=after.batch,
            energy=after.energy,
            step=after.step,
            temperature=moved,
            rate=rate,
            restarts=restarts,
            seen=state.step,
        ), info
