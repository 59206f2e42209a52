"""Convert the state of a run to a checkpoint record and back."""

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
_WIDEST = 1 << 20
"""Tokens of a row that anyone could want; more would fill the memory before it is examined."""


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
                f"{type(state).__name__}.{field.name} is a {type(value).__name__}: a state "
                "consists of tensors, batches and numbers"
            )
    return tensors, numbers


def state_of(start: S, tensors: Mapping[str, Tensor], numbers: Mapping[str, int | float]) -> S:
    """A state of the class of ``start``; ValueError where a field is none of that class."""
    values: dict[str, Any] = {}
    for field in fields(start):
        name = f"state.{field.name}"
        there = getattr(start, field.name)
        if isinstance(there, TokenBatch):
            parts = [tensors[f"{name}.{part}"] for part in ("ids", "length", "locked")]
            if any(part.dtype != torch.int64 for part in parts):
                raise ValueError(f"{field.name} is not of integers")
            values[field.name] = TokenBatch(*parts)
        elif isinstance(there, Tensor):
            values[field.name] = tensors[name]
            if there.numel() and not _alike(there, tensors[name]):
                raise ValueError(f"{field.name} has another shape or type")
        else:
            values[field.name] = numbers[field.name]
            if type(values[field.name]) is not type(there):
                raise ValueError(f"{field.name} is {values[field.name]!r:.40}")
    if len(values["batch"]) != len(start.batch):
        raise ValueError(f"it has {len(values['batch'])} chains, not {len(start.batch)}")
    return replace(start, **values)


def _alike(one: Tensor, other: Tensor) -> bool:
    return one.dtype == other.dtype and one.ndim == other.ndim and one.shape[:1] == other.shape[:1]


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
    if not 0 <= width <= _WIDEST:
        raise ValueError(f"rows of {width:,} tokens")
    arrays = torch.zeros(2, len(length), width, dtype=torch.int64)
    arrays[:, torch.arange(width) < length[:, None]] = torch.stack([ids, locked])
    return TokenBatch(arrays[0], length, arrays[1])
