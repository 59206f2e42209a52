"""Weighted draws as the result of a run, and what is needed to judge them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from torch import Tensor

from ergotext.lm.protocols import Energy, InputError
from ergotext.samplers.base import Kind
from ergotext.samplers.draws import SeededDraws
from ergotext.samplers.texts import Sample, described, distinct
from ergotext.samplers.weighted import TRUSTED, WeightedSamples
from ergotext.samplers.without_replacement import WithoutReplacement


@dataclass(frozen=True)
class WeightedResult:
    """Weighted draws."""

    problem: Energy = field(repr=False)
    samples: WeightedSamples = field(repr=False)
    sampler: str
    seed: int
    seconds: float
    settings: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """What ``sample`` was asked for, defaults filled in."""
    kind: Kind = "weighted"

    @property
    def ess(self) -> float:
        """Effective sample size."""
        return self.samples.ess

    @property
    def k_hat(self) -> float:
        """Pareto k-hat; above 0.7 averages cannot be trusted."""
        return self.samples.k_hat

    @property
    def log_z(self) -> float:
        """log Σ exp(−E(x)), estimated, in nats."""
        return self.samples.log_z

    @property
    def log_z_stderr(self) -> float:
        return self.samples.log_z_stderr

    @cached_property
    def energy(self) -> Tensor:
        """float64 [K]: of each draw."""
        return self.problem(self.samples.batch)

    @property
    def warnings(self) -> list[str]:
        """What speaks against the result, in plain words."""
        said = []
        if self.k_hat > TRUSTED:
            shown = (
                "cannot be told" if math.isinf(self.k_hat) else f"is {self.k_hat:.2f} > {TRUSTED}"
            )
            said.append(
                f"k-hat {shown}: {self.samples.tries} draws are worth {self.ess:.1f}, and a few "
                f"may carry all the weight; draw more, or propose closer to the target"
            )
        if len(self.samples.root.unique()) == 1 < len(self.samples):
            said.append(
                "all draws descend from one particle, so the error of log Z is unknown; take more "
                "particles or resample less"
            )
        return said

    def all(self) -> list[Sample]:
        """Every draw of positive weight."""
        return [self._sample(k) for k in range(len(self.samples))]

    def best(self, count: int = 1) -> list[Sample]:
        """The ``count`` drawn texts of lowest energy, no text twice (white space apart)."""
        order = self.energy.argsort(stable=True).tolist()
        return distinct(((k, self.samples.batch.select([k])) for k in order), self._sample, count)

    def draws(self, count: int) -> list[Sample]:
        """``count`` texts of equal weight, drawn by the weights; the seed's own."""
        if count < 1:
            raise InputError(f"at least one text must be asked for, got {count}")
        chosen = SeededDraws(self.seed + 1).categorical(self.samples.weights.expand(count, -1))
        return [self._sample(k) for k in chosen.tolist()]

    def text(self) -> str:
        """One line on how it came about."""
        samples = self.samples
        if isinstance(samples, WithoutReplacement) and samples.exact:
            trust = f"all of the {len(samples)} sequences, log Z {self.log_z:.2f}, exact"
        else:
            tail = "" if math.isnan(self.k_hat) else f", k-hat {self.k_hat:.2f}"
            trust = f"ESS {self.ess:.1f}{tail}, log Z {self.log_z:.2f} ± {self.log_z_stderr:.2f}"
        return (
            f"{self.sampler}, {samples.tries} draws, {trust}, {self.seconds:.1f} s, "
            f"seed {self.seed}"
        )

    def _sample(self, at: int) -> Sample:
        known = described(self.problem, self.samples.batch.select([at]), float(self.energy[at]))
        return replace(known, log_weight=float(self.samples.log_weight[at]))
