"""Validate the values that an energy returns."""

from __future__ import annotations

import torch
from torch import Tensor

from ergotext.errors import InputError
from ergotext.lm.batch import TokenBatch


def weighed(name: str, value: Tensor, count: int, weight: float) -> Tensor:
    """The weighted value of a term, or InputError if it is no energy."""
    value = numbers(name, value)
    if value.shape != (count,):
        raise InputError(
            f"the energy {name!r} returned shape {tuple(value.shape)}, expected ({count},)"
        )
    if torch.isnan(value).any() or (value == -torch.inf).any():
        raise InputError(f"the energy {name!r} returned NaN or -inf; it must be finite or +inf")
    if weight < 0 and (value == torch.inf).any():
        raise InputError(
            f"the energy {name!r} returned +inf, which a negative weight of {weight} would turn "
            "into -inf"
        )
    return weight * value


def numbers(name: str, value: object) -> Tensor:
    """float64: what a term returned, or InputError if that is not numbers."""
    try:
        return torch.as_tensor(value, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            f"the energy {name!r} returned {value!r:.60}, expected one number per text, a float64 "
            "tensor [B]"
        ) from error


def zero(batch: TokenBatch) -> Tensor:
    """float64 [B]: nothing."""
    return torch.zeros(len(batch), dtype=torch.float64)
