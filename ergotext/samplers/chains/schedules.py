"""Temperature schedules of annealing: fixed, or adapted to the acceptance rate."""

from __future__ import annotations

import math
from collections.abc import Callable


def linear(step: int, steps: int, hot: float, cold: float) -> float:
    """Equal differences from ``hot`` to ``cold``."""
    return hot + (cold - hot) * _share(step, steps)


def geometric(step: int, steps: int, hot: float, cold: float) -> float:
    """Equal ratios (Kirkpatrick, Gelatt and Vecchi 1983)."""
    return float(hot * (cold / hot) ** _share(step, steps))


def logarithmic(step: int, steps: int, hot: float, cold: float) -> float:
    """hot / (1 + a log(1 + step)), a such that it ends at ``cold`` (Geman and Geman 1984)."""
    if steps < 2:
        return hot
    fall = (hot / cold - 1) / math.log(steps)
    return hot / (1 + fall * math.log1p(min(step, steps - 1)))


SCHEDULES: dict[str, Callable[[int, int, float, float], float]] = {
    "linear": linear,
    "geometric": geometric,
    "logarithmic": logarithmic,
}


def lam_rate(share: float) -> float:
    """The share of proposals that ought to be accepted after this share of the steps.

    First it falls to 0.44, stays there for half of the run, and then falls to nothing.

    References
    ----------
    Lam and Delosme 1988, "Performance of a new annealing schedule"; Boyan 1998, "Learning
    evaluation functions for global optimization", appendix B.1, for these constants.
    """
    if share < 0.15:
        return float(0.44 + 0.56 * 560 ** (-share / 0.15))
    return 0.44 if share < 0.65 else float(0.44 * 440 ** (-(share - 0.65) / 0.35))


def _share(step: int, steps: int) -> float:
    return min(1.0, step / max(1, steps - 1))
