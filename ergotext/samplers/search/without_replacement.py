"""Weighted samples drawn without replacement, by inclusion probability."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ergotext.lm.batch import TokenBatch
from ergotext.samplers.weighted.pareto import k_hat, trusted
from ergotext.samplers.weighted.samples import WeightedSamples
from ergotext.samplers.weighted.trust import Judged
from ergotext.support.numerics import gumbel_log_survival, log1mexp


@dataclass(frozen=True, eq=False, repr=False)
class WithoutReplacement(WeightedSamples):
    """Distinct sequences, in the order of the draw; Σ_k w_k 1[x_k = x] / N is p̃(x) on average.

    x is among them where its Gumbel-perturbed log q(x) is above the threshold κ, the highest of
    those left out, and weighs N · p̃(x)/q_κ(x) with q_κ(x) = 1 − exp(−exp(log q(x) − κ)). These
    weights are not those of independent draws: each is 0 or near p̃(x) · N, and where nothing was
    left out all are certain.

    Parameters
    ----------
    log_inclusion : float64 [K]
        log q_κ, in nats.
    threshold : float
        κ; -inf where nothing was left out.

    References
    ----------
    Kool, van Hoof and Welling 2019, "Stochastic beams and where to find them", equation 9;
    Duffield, Lund and Thorup 2007, "Priority sampling for estimation of arbitrary subset sums".
    """

    log_inclusion: Tensor
    threshold: float

    @classmethod
    def weighted(
        cls, batch: TokenBatch, log_target: Tensor, log_q: Tensor, threshold: float, places: int
    ) -> WithoutReplacement:
        """N = ``places`` draws of q, of which those outside the target (-inf) are left out."""
        chance = log_inclusion(log_q, torch.tensor(threshold, dtype=torch.float64))
        met = log_target != -torch.inf
        log_weight = log_target - chance + math.log(places)
        root = torch.arange(len(batch))
        return cls(batch.select(met), log_weight[met], places, root[met], chance[met], threshold)

    @property
    def exact(self) -> bool:
        """Whether these are all sequences, so that ``log_z`` is exact."""
        return self.threshold == -math.inf

    @property
    def ess(self) -> float:
        """1 / Σ W² (1 − q_κ): independent draws of the target that would be as good.

        W² is what each sequence adds to the relative variance of an average when it is included by
        chance, and (1 − q_κ) how far that is so. +inf where nothing was left to chance.
        """
        open_ = (self.weights.square() * -torch.expm1(self.log_inclusion)).sum()
        return float(1 / open_)

    @cached_property
    def k_hat(self) -> float:
        """Pareto k-hat of the weights, each by the share (1 − q_κ) that was left to chance.

        Given κ inclusions are independent, so that the error of Z is a sum of such terms and its
        tail is theirs. -inf where nothing was left out.
        """
        if self.exact:
            return -math.inf
        return k_hat(self._by_chance().numpy(), self.tries)

    def _by_chance(self) -> Tensor:
        """float64 [K]: log of the weights' shares that were left to chance; finite."""
        lowest = torch.finfo(torch.float64).min / 4
        return self.log_weight + log1mexp(self.log_inclusion).clamp(min=lowest)

    @property
    def error_known(self) -> bool:
        """True if no sequence is missing, or if the weights show what is missing."""
        return self.exact or self.k_hat <= trusted(self.tries)

    def _spread(self, part: Tensor) -> float:
        """Of what was left to chance: given κ inclusions are independent."""
        return math.sqrt(float((part.square() * -torch.expm1(self.log_inclusion)).sum()))

    def complaints(self) -> list[str]:
        """Warnings in plain words."""
        if self.exact or self.k_hat <= trusted(self.tries):
            return []
        told = Judged(self.k_hat, self.ess, self.tries).shown()
        return [
            f"{told}: {self.tries} sequences were drawn without replacement, and those left out "
            f"may weigh more than those met, so that log Z may lie far outside its stated error; "
            f"draw more, up to all there are"
        ]

    @property
    def log_z_stderr(self) -> float:
        """Standard error of ``log_z`` in nats, by the delta method; 0 where ``exact``.

        Σ (p̃/q_κ)² (1 − q_κ) over the draws is the variance of Z on average, for two places or more:
        given κ no two sequences' inclusions hang together. +inf for a single place.
        """
        if self.exact:
            return 0.0
        return math.inf if self.tries < 2 else self.ess**-0.5


def log_inclusion(log_q: Tensor, threshold: Tensor) -> Tensor:
    """log(1 − exp(−exp(log q − κ))): the chance of a Gumbel around log q to be above κ, in nats."""
    return gumbel_log_survival(threshold - log_q)
