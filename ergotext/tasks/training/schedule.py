"""Learning-rate schedules, by steps or by time."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any, Protocol

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler


class Schedule(Protocol):
    """Training length and learning rate."""

    def share(self, step: int, spent: float) -> float:
        """Progress of the run, from 0 to 1, after so many steps and seconds."""

    def rate_at(self, step: int, spent: float) -> float:
        """Learning rate of a step, counted from 1, after so many seconds."""


@dataclass(frozen=True)
class Pace:
    """Warm-up, plateau and decay to zero.

    Parameters
    ----------
    steps : int
        Batches.
    rate : float
        Of the plateau.
    warm_up, cool_down : float
        Shares of the run in which the rate rises and falls, in a straight line.
    seconds : float, optional
        Time after which the run is to be over, if ``steps`` take longer.

    References
    ----------
    Hägele et al. 2024, "Scaling laws and compute-optimal training beyond fixed training durations".
    """

    steps: int
    rate: float = 1e-3
    warm_up: float = 0.02
    cool_down: float = 0.3
    seconds: float | None = None

    def share(self, step: int, spent: float) -> float:
        """Progress of the run, from 0 to 1, after so many steps and seconds."""
        return _progress(step / self.steps, spent, self.seconds)

    def factor(self, share: float) -> float:
        """Factor of the learning rate there, from 0 to 1."""
        rising = share / self.warm_up if share < self.warm_up else 1.0
        falling = (1 - share) / self.cool_down if share > 1 - self.cool_down else 1.0
        return min(rising, falling)

    def rate_at(self, step: int, spent: float) -> float:
        """The learning rate of a step, counted from 1: the first is not zero."""
        return self.rate * max(self.factor(self.share(step, spent)), 1e-3)


@dataclass(frozen=True)
class Cosine:
    """A linear rise in ``warm_up`` steps, times a cosine that falls to a twentieth.

    Parameters
    ----------
    steps : int
        Batches.
    rate : float
        Peak learning rate.
    warm_up : int
        Steps.
    seconds : float, optional
        Time after which the run is to be over, if ``steps`` take longer.
    """

    steps: int
    rate: float
    warm_up: int
    seconds: float | None = None

    def share(self, step: int, spent: float) -> float:
        """Progress of the run, from 0 to 1, after so many steps and seconds."""
        return _progress(step / self.steps, spent, self.seconds)

    def rate_at(self, step: int, spent: float) -> float:
        """The learning rate of a step, counted from 1, after so many seconds."""
        wave = 0.5 * (1 + math.cos(math.pi * self.share(step, spent)))
        return self.rate * min(1, step / self.warm_up) * (0.05 + 0.95 * wave)


def _progress(done: float, spent: float, seconds: float | None) -> float:
    """The share of the steps or of the time that is over, whichever is more."""
    timed = spent / seconds if seconds is not None else 0.0
    return min(1.0, max(done, timed))


class PacedRate(LRScheduler):
    """A schedule as a scheduler of torch; the time spent is part of its state.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
    schedule : Schedule
    """

    def __init__(self, optimizer: Optimizer, schedule: Schedule) -> None:
        self.spent = 0.0
        self._schedule = schedule
        self._since: float | None = None
        super().__init__(optimizer)

    @property
    def over(self) -> bool:
        """Whether the run is to end."""
        return self._schedule.share(self.last_epoch, self.spent) >= 1.0

    def get_lr(self) -> list[float | Any]:
        now = time.monotonic()
        if self._since is not None:
            self.spent += now - self._since
        self._since = now
        rate = self._schedule.rate_at(self.last_epoch + 1, self.spent)  # of the step that comes
        return [rate for _ in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """Where it is; the schedule is that of the run that continues."""
        return {"last_epoch": self.last_epoch, "spent": self.spent, "_last_lr": self._last_lr}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.last_epoch = int(state_dict["last_epoch"])
        self.spent = float(state_dict["spent"])
        self._last_lr = list(state_dict["_last_lr"])
