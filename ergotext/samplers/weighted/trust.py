"""Diagnostics of importance weights, and warnings in plain words."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ergotext.samplers.weighted.pareto import k_hat, trusted

WORTH = 10
"""Effective draws below which neither an average nor its error is known well."""
FEWEST = 50
"""Draws below which an error is not known, however alike those that were met are."""


@dataclass(frozen=True)
class Judged:
    """Diagnostics of N weights.

    Parameters
    ----------
    k_hat : float
        Of the weights (``pareto.k_hat``).
    ess : float
        (Σw)² / Σw².
    tries : int
        N, those of weight zero included.
    """

    k_hat: float
    ess: float
    tries: int

    @classmethod
    def of(cls, log_weight: Tensor) -> Judged:
        """float64 [N] in nats, -inf where zero; at least one is not."""
        met = log_weight[log_weight > -math.inf]
        ess = float(1 / met.softmax(0).square().sum())
        return cls(k_hat(met.numpy(), len(log_weight)), ess, len(log_weight))

    @property
    def heavy(self) -> bool:
        """Whether a few draws may carry all the weight."""
        return self.k_hat > trusted(self.tries)

    @property
    def tells_error(self) -> bool:
        """Whether the variance of the weights is known well enough for a standard error."""
        return not self.heavy and self.tries >= FEWEST and self.ess >= WORTH

    def shown(self) -> str:
        """k-hat beside what it may be."""
        if math.isinf(self.k_hat):
            return "k-hat is unknown"
        return f"k-hat is {self.k_hat:.2f} > {trusted(self.tries):.2f}"


def by_root(log_weight: Tensor, root: Tensor, tries: int) -> Tensor:
    """float64 [N]: log of the share of the weight that descends from each of N first particles.

    Copies of one particle are no independent draws, and ties among them hide a heavy tail, or look
    like one. Without resampling these are the weights themselves, up to a constant.

    Parameters
    ----------
    log_weight : float64 [K]
        In nats; at least one above -inf.
    root : int64 [K]
        In 0 … N − 1.
    tries : int
        N.
    """
    share = torch.zeros(tries, dtype=torch.float64)
    return share.index_add(0, root, log_weight.softmax(0)).log()


def final_complaint(judged: Judged) -> str | None:
    """Warning about the final weights."""
    if not judged.heavy:
        return None
    return (
        f"{judged.shown()}: {judged.tries} draws are worth {judged.ess:.1f}, and a few may carry "
        "all the weight; draw more, or use a proposal closer to the target"
    )


def few_complaint(judged: Judged) -> str:
    """Warning about weights too few to estimate their error."""
    return (
        f"{judged.tries} draws are worth {judged.ess:.1f}, too few to know the error of log Z, "
        f"which needs {FEWEST} draws worth {WORTH} or more: log Z may be far outside its stated "
        "error; draw more"
    )
