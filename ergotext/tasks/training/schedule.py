"""Learning-rate schedule: warm-up, plateau and decay to zero, by steps or by time."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler


@dataclass(frozen=True)
class Pace:
    """Training length and learning rate.

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
        timed = spent / self.seconds if self.seconds is not None else 0.0
        return min(1.0, max(step / self.steps, timed))

    def factor(self, share: float) -> float:
        """Factor of the learning rate there, from 0 to 1."""
        rising = share / self.warm_up if share < self.warm_up else 1.0
        falling = (1 - share) / self.cool_down if share > 1 - self.cool_down else 1.0
        return min(rising, falling)


class PacedRate(LRScheduler):
    """``Pace`` as a scheduler of torch; the time spent is part of its state.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
    pace : Pace
    """

    def __init__(self, optimizer: Optimizer, pace: Pace) -> None:
        self.spent = 0.0
        self._pace = pace
        self._since: float | None = None
        super().__init__(optimizer)

    @property
    def over(self) -> bool:
        """Whether the run is to end."""
        return self._pace.share(self.last_epoch, self.spent) >= 1.0

    def get_lr(self) -> list[float | Any]:
        now = time.monotonic()
        if self._since is not None:
            self.spent += now - self._since
        self._since = now
        # The step that comes: the first one is not at rate zero.
        factor = self._pace.factor(self._pace.share(self.last_epoch + 1, self.spent))
        return [group["initial_lr"] * max(factor, 1e-3) for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """Where it is; the pace is that of the run that continues."""
        return {"last_epoch": self.last_epoch, "spent": self.spent, "_last_lr": self._last_lr}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.last_epoch = int(state_dict["last_epoch"])
        self.spent = float(state_dict["spent"])
        self._last_lr = list(state_dict["_last_lr"])
