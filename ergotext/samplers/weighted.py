"""Weighted samples of an unnormalised target, and what is needed to trust them."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ergotext.lm.batch import TokenBatch
from ergotext.lm.protocols import ErgotextError, InputError
from ergotext.samplers.draws import Draws
from ergotext.samplers.pareto import k_hat
from ergotext.samplers.resampling import ancestors

TRUSTED = 0.7
"""The highest k-hat at which weighted averages can be trusted (Vehtari et al. 2024)."""


class ZeroWeightError(ErgotextError, RuntimeError):
    """Every draw has weight zero: nothing of the target was met."""


class WeightError(ErgotextError, RuntimeError):
    """A weight is no number."""


class HeavyWeightsWarning(UserWarning):
    """A few draws carry most of the weight; averages over them cannot be trusted."""


@dataclass(frozen=True, eq=False)
class WeightedSamples:
    """Sequences with weights: (1/N) Σ_k w_k 1[x_k = x] is on average p̃(x), for every x.

    Parameters
    ----------
    batch : TokenBatch
        The K sequences of positive weight.
    log_weight : float64 [K]
        log w_k, in nats; not normalised.
    tries : int
        N ≥ K: the number of draws, those of weight zero included.
    root : int64 [K]
        From which of the N first particles each descends; draws with one root are not
        independent. Without resampling each has its own.

    Raises
    ------
    ZeroWeightError
        No draw has a positive weight.
    WeightError
        A log-weight is NaN or +inf.
    """

    batch: TokenBatch
    log_weight: Tensor
    tries: int
    root: Tensor

    def __post_init__(self) -> None:
        if not len(self.log_weight):
            raise ZeroWeightError(
                f"all {self.tries} draws have weight zero: none met the constraint; draw more, "
                f"propose from the masked model, or see whether anything is accepted at all"
            )
        if not bool(torch.isfinite(self.log_weight).all()):
            raise WeightError(
                "a log-weight is NaN or infinite: the model or the energy gave no finite number; "
                "look at what they return for the sequences drawn"
            )

    @classmethod
    def of(
        cls, batch: TokenBatch, log_weight: Tensor, root: Tensor | None = None
    ) -> WeightedSamples:
        """N draws, of which those of weight zero (-inf) are counted and left out."""
        met = log_weight != -torch.inf
        root = torch.arange(len(batch)) if root is None else root
        return cls(batch.select(met), log_weight[met], len(batch), root[met])

    def __len__(self) -> int:
        return len(self.batch)

    @property
    def weights(self) -> Tensor:
        """float64 [K]: normalised, W_k = w_k / Σ w."""
        return self.log_weight.softmax(0)

    @property
    def ess(self) -> float:
        """Effective sample size 1 / Σ W²: how many draws of equal weight would be as good.

        It speaks of the weights alone: equal draws of one ancestor each count (see ``root``).
        """
        return float(1 / self.weights.square().sum())

    @cached_property
    def k_hat(self) -> float:
        """Pareto k-hat of the weights (``pareto.k_hat``); above 0.7 do not trust them."""
        return k_hat(self.log_weight.numpy(), self.tries)

    @property
    def log_z(self) -> float:
        """log of the target's total mass Z = Σ p̃(x), in nats; Z itself is unbiased."""
        return float(self.log_weight.logsumexp(0)) - math.log(self.tries)

    @property
    def log_z_stderr(self) -> float:
        """Standard error of ``log_z`` in nats, by the delta method; +inf for a single draw.

        The relative variance of Z is estimated from the shares V_r of the roots,
        (N Σ V_r² − 1) / (N − 1): the sample variance of the weights where all roots differ, and
        after resampling the estimate of Chan and Lai. One root alone gives 1: the genealogy has
        coalesced and tells nothing of the error; take more particles or resample less.

        References
        ----------
        Chan and Lai 2013, "A general theory of particle filters in hidden Markov models",
        equation 2.11; Lee and Whiteley 2018, "Variance estimation in the particle filter".
        """
        if self.tries < 2:
            return math.inf
        share = torch.zeros(self.tries, dtype=torch.float64).index_add(0, self.root, self.weights)
        relative = (self.tries * float(share.square().sum()) - 1) / (self.tries - 1)
        return math.sqrt(max(0.0, relative))

    def resample(self, draws: Draws, n: int) -> TokenBatch:
        """``n`` sequences of equal weight, drawn independently in proportion to the weights."""
        if n < 1:
            raise InputError(f"at least one sequence must be asked for, got {n}")
        return self.batch.select(ancestors(draws, self.weights, n, "multinomial"))

    def warned(self) -> WeightedSamples:
        """The same, with a warning if k-hat is above 0.7."""
        if self.k_hat > TRUSTED:
            shown = "cannot be told" if math.isinf(self.k_hat) else f"is {self.k_hat:.2f} > 0.7"
            warnings.warn(
                f"k-hat {shown}: {self.tries} draws are worth {self.ess:.1f}, and a few may carry "
                f"all the weight; draw more, or propose closer to the target",
                HeavyWeightsWarning,
                stacklevel=3,
            )
        return self
