"""The particles of a run with resampling: ancestors, and islands for the error of log Z."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch
from scipy.special import stdtrit
from torch import Tensor

from ergotext.samplers.weighted.rollout import GrownRows
from ergotext.samplers.weighted.samples import WeightedSamples
from ergotext.samplers.weighted.trust import by_root
from ergotext.support.numerics import log_mean_exp

FEWEST_ISLANDS = 4
"""Islands from which the error of log Z is told; of fewer its spread is too uncertain."""
FEW_ANCESTORS = 5
"""Ancestors below which a run is said to have lost its variety."""
SPREAD_APART = 1.0
"""Relative standard error of Z from which islands disagree too much for an error in nats."""


@dataclass(frozen=True, eq=False, repr=False)
class Particles(WeightedSamples):
    """Weighted sequences of which some are copies of one beginning.

    Parameters
    ----------
    island_log_z : float64 [G]
        log of each island's estimate of Z, -inf where all of its particles died.
    island : int64 [K]
        That of each sequence.
    resampled : int
        How often particles of an island were resampled.
    proposed_in : str, optional
        The precision of the copy of the model that proposed them; None if it was the model itself.
    """

    island_log_z: Tensor = field(default_factory=lambda: torch.zeros(1), kw_only=True)
    island: Tensor = field(default_factory=lambda: torch.zeros(0), kw_only=True)
    resampled: int = field(default=0, kw_only=True)
    proposed_in: str | None = field(default=None, kw_only=True)

    @classmethod
    def grown(
        cls, rows: GrownRows, root: Tensor, island: Tensor, islands: int, resampled: int
    ) -> Particles:
        """Rows written to their ends."""
        met = rows.log_weight != -torch.inf
        count = torch.bincount(island, minlength=islands).tolist()
        each = [
            float(log_mean_exp(rows.log_weight[met & (island == n)], count=count[n]))
            if bool((met & (island == n)).any())
            else -math.inf
            for n in range(islands)
        ]
        return cls(
            rows.batch.select(met),
            rows.log_weight[met],
            len(island),
            root[met],
            doubted=rows.doubted,
            island_log_z=torch.tensor(each, dtype=torch.float64),
            island=island[met],
            resampled=resampled,
        )

    def reweighed(self, log_factor: Tensor) -> Particles:
        """The same sequences with weights multiplied by a factor each: those of another target.

        Parameters
        ----------
        log_factor : float64 [K]
            In nats: log of that target over this one. Sequences of factor −inf are left out.

        Raises
        ------
        ZeroWeightError
            The other target forbids all of them.
        """
        log_weight = self.log_weight + log_factor
        places = torch.arange(self.tries) * self.islands // self.tries
        each = [
            float(log_weight[self.island == n].logsumexp(0)) - math.log(int((places == n).sum()))
            for n in range(self.islands)
        ]
        met = log_weight != -torch.inf
        return replace(
            self,
            batch=self.batch.select(met),
            log_weight=log_weight[met],
            root=self.root[met],
            island=self.island[met],
            island_log_z=torch.tensor(each, dtype=torch.float64),
        )

    @property
    def in_lower_precision(self) -> bool:
        """Whether another copy of the model proposed them, so that they were scored anew."""
        return self.proposed_in is not None

    @property
    def islands(self) -> int:
        return len(self.island_log_z)

    @cached_property
    def ancestors(self) -> float:
        """Effective number of first particles that the weight descends from.

        1 / Σ V² of the shares V of the first particles: without resampling the effective sample
        size.
        """
        share = by_root(self.log_weight, self.root, self.tries).exp()
        return float(1 / share.square().sum())

    @property
    def coalesced(self) -> bool:
        """Whether all sequences descend from a single particle."""
        alone = bool((self.root == self.root[0]).all())
        return alone and (len(self) > 1 or self.resampled > 0)

    @property
    def k_hat(self) -> float:
        """Pareto k-hat of the weights; unknown (+inf) after a resampling, which hides the tail."""
        return math.inf if self.resampled else super().k_hat

    @property
    def log_z_stderr(self) -> float:
        """Standard error of ``log_z`` in nats, +inf if unknown.

        Of islands: the standard error of the mean of their estimates over that mean, widened by the
        t-distribution of so few, so that two errors hold as often as two of a normal law. Of a
        single island: that of the genealogy (``WeightedSamples``).
        """
        if self.islands < 2:
            return super().log_z_stderr
        share = (self.island_log_z - self.island_log_z.max()).exp()
        relative = float(share.std() / (share.mean() * math.sqrt(self.islands)))
        return relative * float(stdtrit(self.islands - 1, 0.97725)) / 2

    @property
    def error_known(self) -> bool:
        """Whether ``log_z_stderr`` is reliable: enough islands that agree, and no doubted token."""
        if self.islands < FEWEST_ISLANDS:
            return super().error_known
        return self.log_z_stderr < SPREAD_APART and not self.doubted

    def complaints(self) -> list[str]:
        if self.islands < 2 and not self.resampled:
            return super().complaints()
        said = []
        dead = int((self.island_log_z == -math.inf).sum())
        if self.islands >= FEWEST_ISLANDS and self.log_z_stderr >= SPREAD_APART:
            apart = f", {dead} of which found nothing" if dead else ""
            said.append(
                f"the {self.islands} islands disagree on log Z{apart}, so its error is unknown; "
                "use more particles"
            )
        if self.resampled and self.ancestors < FEW_ANCESTORS:
            said.append(
                f"{self.tries} particles descend from {self.ancestors:.1f} effective ancestors, so "
                "texts begin alike; use more particles"
            )
        if self.doubted:
            said.append(
                "near max_length only the endings that were found can be drawn, so other texts "
                "are underrepresented and the error of log Z is unknown; allow more tokens, or "
                "use the proposal masked"
            )
        if not said and not self.error_known:
            said.append("the error of log Z is unknown; use more particles, or islands")
        return said
