"""The search budget of a text."""

from __future__ import annotations

from dataclasses import dataclass

from ergotext.errors import InputError
from ergotext.samplers.options import check_whole

CHAINS, STEPS, PARTICLES, REWORDED = 8, 300, 48, 64
"""Of chains, their steps, and of particles: of those that paraphrase there are more, as copies of
one go on alike."""
FINALS = 8
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
        Of smc (48; 64 that paraphrase).
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
    record : bool
        Keep what happens at each step, for a report (``et.sample``).

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
    record: bool = False

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
