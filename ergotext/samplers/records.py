"""A run as tensors, numbers and names, and back again: what a record of a checkpoint holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, TypeVar

import torch
from torch import Tensor

from ergotext.lm.batch import TokenBatch
from ergotext.samplers.base import State
from ergotext.samplers.run import Trace

S = TypeVar("S", bound=State)


def of_state(state: State) -> tuple[dict[str, Tensor], dict[str, int | float]]:
    """The fields of a state: tensors by name, and numbers."""
    tensors: dict[str, Tensor] = {}
    numbers: dict[str, int | float] = {}
    for field in fields(state):
        value = getattr(state, field.name)
        if isinstance(value, TokenBatch):
            for part in ("ids", "length", "locked"):
                tensors[f"state.{field.name}.{part}"] = getattr(value, part)
        elif isinstance(value, Tensor):
            tensors[f"state.{field.name}"] = value
        elif isinstance(value, int | float):
            numbers[field.name] = value
        else:
            raise TypeError(
                f"{type(state).__name__}.{field.name} is a {type(value).__name__}: a state holds "
                f"tensors, batches and numbers"
            )
    return tensors, numbers


def state_of(start: S, tensors: Mapping[str, Tensor], numbers: Mapping[str, int | float]) -> S:
    """A state of the class of ``start``."""
    values: dict[str, Any] = {}
    for field in fields(start):
        name = f"state.{field.name}"
        if isinstance(getattr(start, field.name), TokenBatch):
            parts = (tensors[f"{name}.{part}"] for part in ("ids", "length", "locked"))
            values[field.name] = TokenBatch(*parts)
        else:
            values[field.name] = tensors[name] if name in tensors else numbers[field.name]
    return replace(start, **values)


def of_trace(trace: Trace, first: int) -> dict[str, Tensor]:
    """The states from ``first`` on, their rows end to end, in half the bytes.

    No token id needs more than 32 bits.
    """
    batches = trace.states[first:]
    return {
        "trace.width": torch.tensor([batch.width for batch in batches]),
        "trace.length": torch.stack([batch.length for batch in batches]).int(),
        "trace.ids": torch.cat([batch.ids[batch.inside] for batch in batches]).int(),
        "trace.locked": torch.cat([batch.locked[batch.inside] for batch in batches]).int(),
        "trace.energy": torch.stack(trace.energies[first:]),
    }


def trace_of(pieces: Sequence[Mapping[str, Tensor]]) -> Trace:
    """The trace of which these are pieces; nothing was counted in it yet."""
    trace = Trace([], [])
    for tensors in pieces:
        lengths = tensors["trace.length"].long()
        sizes = lengths.sum(1).tolist()
        parts = zip(
            lengths,
            tensors["trace.ids"].long().split(sizes),
            tensors["trace.locked"].long().split(sizes),
            tensors["trace.width"].tolist(),
            strict=True,
        )
        trace.states += [_batch(length, ids, locked, width) for length, ids, locked, width in parts]
        trace.energies += list(tensors["trace.energy"])
    return trace


def _batch(length: Tensor, ids: Tensor, locked: Tensor, width: int) -> TokenBatch:
    arrays = torch.zeros(2, len(length), width, dtype=torch.int64)
    arrays[:, torch.arange(width) < length[:, None]] = torch.stack([ids, locked])
    return TokenBatch(arrays[0], length, arrays[1])
