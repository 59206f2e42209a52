"""Weighted samples of an unnormalised target, with their diagnostics."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar, Protocol, Self

import torch
from torch import Tensor

from ergotext.errors import ErgotextError, InputError
from ergotext.lm.batch import TokenBatch
from ergotext.samplers.base import Need
from ergotext.samplers.catalog import Kind
from ergotext.samplers.draws import Draws
from ergotext.samplers.weighted.averages import Average, spread, values_of, weighted_quantile
from ergotext.samplers.weighted.resampling import ancestors
from ergotext.samplers.weighted.trust import (
    WORTH,
    Judged,
    by_root,
    few_complaint,
    final_complaint,
)
from ergotext.support.numerics import log_mean_exp
from ergotext.support.reprs import called, safe
from ergotext.support.warned import warn
from ergotext.support.words import counted


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
    wanted : int, optional
        Draws that were asked for, where Ctrl-C ended the run with fewer.
    doubted : bool
        Whether tokens were drawn more rarely for want of a known ending (``proposals.finishing``).

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
    wanted: int | None = field(default=None, kw_only=True)
    doubted: bool = field(default=False, kw_only=True)

    @safe
    def __repr__(self) -> str:
        of = f"{counted(len(self), 'sequence')} of {counted(self.tries, 'draw')}"
        return called(type(self).__name__, of, f"log Z {self.log_z:.2f}")

    def __post_init__(self) -> None:
        if not len(self.log_weight):
            raise ZeroWeightError(
                f"all {self.tries} draws have weight zero: none satisfied the constraint within "
                "max_length; draw more, allow more tokens, use the proposal masked, check that any "
                "text is accepted at all, or use chains (mh, annealing), which can start from a "
                "text with the keywords"
            )
        if not bool(torch.isfinite(self.log_weight).all()):
            raise WeightError(
                "a log-weight is NaN or infinite: the model or the energy returned a non-finite "
                "number; check what they return for the drawn sequences"
            )

    @classmethod
    def of(
        cls,
        batch: TokenBatch,
        log_weight: Tensor,
        root: Tensor | None = None,
        *,
        wanted: int | None = None,
        doubted: bool = False,
    ) -> WeightedSamples:
        """N draws, of which those of weight zero (-inf) are counted and left out."""
        met = log_weight != -torch.inf
        root = torch.arange(len(batch)) if root is None else root
        return cls(
            batch.select(met),
            log_weight[met],
            len(batch),
            root[met],
            wanted=wanted,
            doubted=doubted,
        )

    def __len__(self) -> int:
        return len(self.batch)

    @property
    def exact(self) -> bool:
        """Whether these are all sequences, so that ``log_z`` is exact."""
        return False

    @property
    def weights(self) -> Tensor:
        """float64 [K]: normalised, W_k = w_k / Σ w."""
        return self.log_weight.softmax(0)

    @property
    def ess(self) -> float:
        """Effective sample size 1 / Σ W²: how many draws of equal weight would be as good.

        It speaks of the last weights alone: equal draws of one ancestor each count (see ``root``).
        """
        return float(1 / self.weights.square().sum())

    @cached_property
    def k_hat(self) -> float:
        """Pareto k-hat (``pareto.k_hat``) of the weights.

        Of what descends from each first particle: copies are no draws of their own.

        Above ``pareto.trusted(tries)``, 0.7 for 2,000 draws and more, do not trust them.
        """
        return self._judged.k_hat

    @property
    def log_z(self) -> float:
        """log of the target's total mass Z = Σ p̃(x), in nats; Z itself is unbiased."""
        return float(log_mean_exp(self.log_weight, count=self.tries))

    @property
    def coalesced(self) -> bool:
        """Whether all draws descend from a single particle."""
        return bool((self.root == self.root[0]).all()) and len(self) > 1

    @property
    def log_z_stderr(self) -> float:
        """Standard error of ``log_z`` in nats, by the delta method; +inf if unknown.

        It is no more than a formula where not ``error_known``.

        The relative variance of Z is estimated from the shares V_r of the roots,
        (N Σ V_r² − 1) / (N − 1): the sample variance of the weights where all roots differ, and
        after resampling the estimate of Chan and Lai. That is never above 1, and 1 where all
        descend from one root: the genealogy has coalesced and tells nothing of the error, which is
        +inf then, as for a single draw. What no draw met cannot be in it.

        References
        ----------
        Chan and Lai 2013, "A general theory of particle filters in hidden Markov models",
        equation 2.11; Lee and Whiteley 2018, "Variance estimation in the particle filter".
        """
        if self.tries < 2 or self.coalesced:
            return math.inf
        share = by_root(self.log_weight, self.root, self.tries).exp()
        relative = (self.tries * float(share.square().sum()) - 1) / (self.tries - 1)
        return math.sqrt(max(0.0, relative))

    @cached_property
    def _judged(self) -> Judged:
        """How the last weights stand, by first particle."""
        return Judged.of(by_root(self.log_weight, self.root, self.tries))

    def resample(self, draws: Draws, n: int) -> TokenBatch:
        """``n`` sequences of equal weight, drawn independently in proportion to the weights."""
        if n < 1:
            raise InputError(f"n must be at least 1, got {n}")
        return self.batch.select(ancestors(draws, self.weights, n, "multinomial"))

    @property
    def error_known(self) -> bool:
        """Whether ``log_z_stderr`` is reliable: two errors cover log Z in nine runs of ten.

        That takes ``trust.FEWEST`` draws and ``trust.WORTH`` effective ones, no heavy tail, and no
        doubted token. Of fewer draws some kinds of text are often not met at all, and those that
        are met look alike: then the error looks smallest where it is greatest.
        """
        return self._judged.tells_error and not self.coalesced and not self.doubted

    def mean(self, values: Sequence[float] | Tensor) -> Average:
        """The target's mean of a quantity, with its standard error.

        Parameters
        ----------
        values : K finite numbers
            One for each draw, in the order of ``batch``.

        Raises
        ------
        InputError
            These are other than one finite number a draw.
        """
        found = values_of(values, len(self))
        mean = float(self.weights @ found)
        known = self.error_known and self.ess >= WORTH
        return Average(mean, self._spread(self.weights * (found - mean)) if known else math.inf)

    def quantile(self, values: Sequence[float] | Tensor, share: float) -> float:
        """The lowest value that this share of the weight does not exceed (``mean`` has the rest).

        Raises
        ------
        InputError
            Not one finite number a draw, or a share outside [0, 1].
        """
        return weighted_quantile(self.weights, values_of(values, len(self)), share)

    def _spread(self, part: Tensor) -> float:
        """Standard error of a mean, from what each draw adds to it."""
        return spread(part, self.root)

    def complaints(self) -> list[str]:
        """Warnings in plain words."""
        said = [final_complaint(self._judged)]
        if self.coalesced:
            said.append(
                "all draws descend from one particle, so the error of log Z is unknown; use more "
                "particles or resample less"
            )
        if self.doubted:
            said.append(
                "near max_length only the endings that were found can be drawn, so other texts "
                "are underrepresented and the error of log Z is unknown; allow more tokens, or "
                "use the proposal masked"
            )
        if not (any(said) or self.error_known):
            said.append(few_complaint(self._judged))
        if self.wanted is not None:
            said.append(
                f"interrupted after {self.tries} draws in complete batches, which gave {len(self)} "
                f"of the {self.wanted} requested"
            )
        return [one for one in said if one is not None]

    def warned(self) -> Self:
        """The same, after emitting a warning if the weights are unreliable."""
        if said := self.complaints():
            warn("; ".join(said), HeavyWeightsWarning)
        return self


class WeightedSampler(Protocol):
    """An algorithm with weighted draws, constructed like a ``Sampler``."""

    kind: ClassVar[Kind]
    needs: ClassVar[frozenset[Need]]

    def draw(self, draws: Draws, n: int) -> WeightedSamples:
        """``n`` draws, or those of ``n`` particles."""
