"""Result of a weighted run, with its diagnostics."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, overload

import torch
from torch import Tensor

from ergotext.errors import InputError
from ergotext.lm.protocols import Energy
from ergotext.samplers.catalog import Kind
from ergotext.samplers.draws import SeededDraws
from ergotext.samplers.progress import Growth
from ergotext.samplers.tables import heaviest, texts_of, weight_table
from ergotext.samplers.texts import Feature, Sample, described, distinct, featured
from ergotext.samplers.weighted.averages import Average
from ergotext.samplers.weighted.particles import Particles
from ergotext.samplers.weighted.resampling import ancestors
from ergotext.samplers.weighted.samples import WeightedSamples
from ergotext.support.arrays import Floats
from ergotext.support.extras import frame
from ergotext.support.reprs import Listing, safe


@dataclass(frozen=True, repr=False)
class WeightedResult:
    """Weighted draws.

    ``len(result)`` is their number, ``result[k]`` one of them, and ``for one in result`` gives all.
    """

    problem: Energy = field(repr=False)
    samples: WeightedSamples = field(repr=False)
    sampler: str
    seed: int
    seconds: float
    settings: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """What ``sample`` was asked for, defaults filled in."""
    kind: Kind = "weighted"
    growth: Sequence[Growth] = field(default=(), repr=False)
    """All particles of ``smc`` after each token, where ``sample`` was told to record them."""

    @safe
    def __repr__(self) -> str:
        return self._table().text()

    @safe
    def _repr_html_(self) -> str:
        return self._table().html()

    def _table(self) -> Listing:
        at, head = heaviest(self.samples.weights), f"WeightedResult: {self.text()}"
        batch, weights = self.samples.batch.select(at), self.samples.weights[at].tolist()
        known = vars(self).get("energy")  # where it was asked for: a look runs no model
        energies = None if known is None else known[at]
        return weight_table(head, self.problem, batch.rows(), weights, energies)

    def __len__(self) -> int:
        return len(self.samples)

    def __iter__(self) -> Iterator[Sample]:
        return map(self._sample, range(len(self)))

    @overload
    def __getitem__(self, at: int) -> Sample: ...
    @overload
    def __getitem__(self, at: slice) -> list[Sample]: ...
    def __getitem__(self, at: int | slice) -> Sample | list[Sample]:
        if isinstance(at, slice):
            return [self[k] for k in range(len(self))[at]]
        return self._sample(range(len(self))[at])

    def to_pandas(self) -> Any:
        """A ``pandas.DataFrame`` with a row for each draw: text, energy, weight, log_weight.

        Energies are computed; weights sum to 1, and log_weight is not normalised, in nats.

        Raises
        ------
        InputError
            pandas is not installed.
        """
        return frame(
            {
                "text": texts_of(self.problem, self.samples.batch.rows()),
                "energy": self.energy.numpy(),
                "weight": self.samples.weights.numpy(),
                "log_weight": self.samples.log_weight.numpy(),
            }
        )

    @property
    def ess(self) -> float:
        """Effective sample size."""
        return self.samples.ess

    @property
    def k_hat(self) -> float:
        """Pareto k-hat, the worst of the run; ``warnings`` says where it is too high."""
        return self.samples.k_hat

    @property
    def log_z(self) -> float:
        """log Σ exp(−E(x)), estimated, in nats."""
        return self.samples.log_z

    @property
    def log_z_stderr(self) -> float:
        """Its standard error in nats; +inf if unknown (``error_known``)."""
        return self.samples.log_z_stderr if self.samples.error_known else math.inf

    @cached_property
    def energy(self) -> Tensor:
        """float64 [K]: of each draw."""
        return self.problem(self.samples.batch)

    def feature(self, of: Feature) -> Floats:
        """float64 [K]: a number for the text of every draw of positive weight.

        Raises
        ------
        InputError
            The function gives other than one finite number a text.
        """
        return featured(self.problem, self.samples.batch.rows(), of)

    def mean(self, of: Feature | None = None) -> Average:
        """The weighted mean of the energy, or of a feature, and its standard error.

        The error is +inf where it is unknown.
        """
        return self.samples.mean(self._values(of))

    def quantile(self, share: float, of: Feature | None = None) -> float:
        """The lowest energy, or feature, that this share of the weight does not exceed."""
        return self.samples.quantile(self._values(of), share)

    def _values(self, of: Feature | None) -> Tensor:
        return self.energy if of is None else torch.from_numpy(self.feature(of))

    @property
    def warnings(self) -> list[str]:
        """Warnings about the result, in plain words."""
        return self.samples.complaints()

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
            raise InputError(f"count must be at least 1, got {count}")
        weights = self.samples.weights
        chosen = ancestors(SeededDraws(self.seed + 1), weights, count, "multinomial")
        return [self._sample(k) for k in chosen.tolist()]

    def text(self) -> str:
        """One line on the run."""
        samples = self.samples
        if samples.exact:
            trust = f"all of the {len(samples)} sequences, log Z {self.log_z:.2f}, exact"
        else:
            # Without replacement draws may be worth more than their number, by any factor.
            worth = f"{samples.ess:.1f}" if samples.ess <= samples.tries else f"> {samples.tries}"
            tail = {math.inf: "unknown", -math.inf: "no tail"}.get(self.k_hat, f"{self.k_hat:.2f}")
            error = "unknown" if math.isinf(self.log_z_stderr) else f"{self.log_z_stderr:.2g}"
            shown = f"ESS {worth}, k-hat {tail}"
            if isinstance(samples, Particles) and samples.resampled:
                shown = f"{samples.ancestors:.1f} effective ancestors"
                if samples.islands > 1:
                    shown += f", {samples.islands} islands"
            if isinstance(samples, Particles) and samples.in_lower_precision:
                shown += f", proposed in {samples.proposed_in}"
            trust = f"{shown}, log Z {self.log_z:.2f} ± {error}"
        return (
            f"{self.sampler}, {samples.tries} draws, {trust}, {self.seconds:.1f} s, "
            f"seed {self.seed}"
        )

    def _sample(self, at: int) -> Sample:
        known = described(self.problem, self.samples.batch.select([at]), float(self.energy[at]))
        return replace(known, log_weight=float(self.samples.log_weight[at]))
