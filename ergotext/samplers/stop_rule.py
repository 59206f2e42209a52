"""When chains stop: after their steps, at a time limit, or once they agree."""

from __future__ import annotations

from dataclasses import dataclass

from ergotext.errors import InputError
from ergotext.samplers.diagnostics import ess_bulk
from ergotext.samplers.diagnostics import r_hat as r_hat_of
from ergotext.samplers.run import Run

WORTH = 10
"""Effective draws a chain without which R-hat is not trusted to end a run (Gelman et al. 2013,
"Bayesian Data Analysis", section 11.5: 5 for each half chain)."""


@dataclass(frozen=True)
class StopRule:
    """Stopping rule of chains."""

    steps: int
    max_seconds: float | None
    r_hat: float | None
    chains: int

    def __post_init__(self) -> None:
        if self.max_seconds is not None and not self.max_seconds > 0:
            raise InputError(f"max_seconds must be positive, got {self.max_seconds}")
        if self.r_hat is not None and not (self.r_hat > 1 and self.chains > 1):
            raise InputError(
                f"stopping by R-hat needs r_hat above 1 and at least 2 chains, got {self.r_hat} "
                f"and {self.chains}"
            )

    def over(self, run: Run) -> bool:
        """Whether the steps or the time are used up."""
        late = self.max_seconds is not None and run.seconds >= self.max_seconds
        return late or run.steps >= self.steps

    def reached(self, run: Run) -> str | None:
        """``r_hat`` if the chains agree, and are worth enough for that to mean something."""
        if self.r_hat is None:
            return None
        energy = run.trace.energy[(run.steps + 1) // 2 :].numpy()
        agree = r_hat_of(energy) <= self.r_hat and ess_bulk(energy) >= WORTH * self.chains
        return "r_hat" if agree else None
