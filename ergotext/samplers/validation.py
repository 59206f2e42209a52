"""Wrap an energy to validate its values at every call."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor

from ergotext.lm.batch import TokenBatch
from ergotext.lm.protocols import Energy
from ergotext.samplers.target import EnergyError


class _Checked:
    """An energy like the one within, whose values are examined."""

    def __init__(self, energy: Energy) -> None:
        self.within = energy

    def __getattr__(self, name: str) -> Any:
        return getattr(self.within, name)

    def __call__(self, batch: TokenBatch) -> Tensor:
        value, count = self.within(batch), len(batch)
        if not isinstance(value, Tensor) or value.shape != (count,) or value.dtype != torch.float64:
            what = (
                f"{value.dtype} {list(value.shape)}"
                if isinstance(value, Tensor)
                else f"{value!r:.60}"
            )
            raise EnergyError(
                f"the energy must be float64 [{count}], one number per row, got {what}"
            )
        if bool((bad := value.isnan() | (value == -torch.inf)).any()):
            raise EnergyError(
                f"the energy of the tokens {batch.select(bad).rows()[0]} is NaN or −inf; it must "
                f"be finite, or +inf where a text is forbidden"
            )
        return value


def checked(energy: Energy) -> Energy:
    """The same energy, with an ``EnergyError`` where it gives what is no energy.

    No comparison with NaN accepts, and none complains: chains would stand still and say nothing.
    """
    return cast(Energy, _Checked(bare(energy)))


def bare(energy: Energy) -> Energy:
    """The energy without validation."""
    return energy.within if isinstance(energy, _Checked) else energy
