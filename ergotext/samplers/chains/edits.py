"""Deterministic edits of token rows: editable positions and edited rows."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from ergotext.lm.batch import TokenBatch

MOVES = ("insert", "delete", "replace", "swap", "stay")
INSERT, DELETE, REPLACE, SWAP, STAY = range(5)


@dataclass(frozen=True, eq=False)
class Layout:
    """Editable positions of each row."""

    batch: TokenBatch
    free: Tensor = field(init=False)
    """bool [B, L + 1]: free tokens"""
    unit: Tensor = field(init=False)
    """bool [B, L + 1]: first tokens of units"""
    gap: Tensor = field(init=False)
    """bool [B, L + 1]: places before which a token may go in (the row's end is one)"""

    def __post_init__(self) -> None:
        batch = self.batch.padded(self.batch.width + 1)
        inside, marks = batch.inside, batch.locked
        before = torch.nn.functional.pad(marks, (1, 0))[:, :-1]
        unit = inside & ((marks == 0) | (marks != before))
        end = torch.arange(batch.width) == batch.length[:, None]
        object.__setattr__(self, "free", inside & (marks == 0))
        object.__setattr__(self, "unit", unit)
        object.__setattr__(self, "gap", unit | end)


def same_unit(here: Layout, there: Layout, place: Tensor) -> Tensor:
    """int64 [B]: where the unit of the same rank begins in the proposal.

    A swap of units of unequal length shifts what lies between them; ranks stay.
    """
    rank = here.unit.long().cumsum(-1).gather(1, place[:, None])
    return ((there.unit.long().cumsum(-1) == rank) & there.unit).long().argmax(-1)


def growth(move: Tensor) -> Tensor:
    """int64 [B]: by how many tokens the row grows."""
    return (move == INSERT).long() - (move == DELETE).long()


def source_columns(
    batch: TokenBatch, layout: Layout, move: Tensor, place: Tensor, partner: Tensor
) -> Tensor:
    """int64 [B, L + 1]: for each column of the proposal the column it comes from; -1: new token."""
    columns = layout.free.shape[1]
    j = torch.arange(columns).expand(len(batch), -1)
    at = place[:, None]
    kind = move[:, None]
    insert = torch.where(j < at, j, torch.where(j == at, -1, j - 1))
    delete = torch.where(j < at, j, (j + 1).clamp(max=columns - 1))
    replace = torch.where(j == at, -1, j)
    swap = _swapped(layout, place, partner)
    source = torch.where(kind == INSERT, insert, j)
    source = torch.where(kind == DELETE, delete, source)
    source = torch.where(kind == REPLACE, replace, source)
    return torch.where(kind == SWAP, swap, source)


def _swapped(layout: Layout, place: Tensor, partner: Tensor) -> Tensor:
    """int64 [B, L + 1]: source columns with the units at ``place`` and ``partner`` exchanged."""
    columns = layout.unit.shape[1]
    j = torch.arange(columns).expand(len(place), -1)
    first, second = torch.minimum(place, partner)[:, None], torch.maximum(place, partner)[:, None]
    boundary = torch.where(layout.gap, j, columns)
    first_end = torch.where(j > first, boundary, columns).amin(-1, keepdim=True)
    second_end = torch.where(j > second, boundary, columns).amin(-1, keepdim=True)
    one, two = first_end - first, second_end - second
    middle_start, middle_end = first + two, second + two - one
    moved = torch.where(j < middle_start, j - first + second, j - two + one)
    moved = torch.where(j >= middle_end, j - middle_end + first, moved)
    return torch.where((j >= first) & (j < second_end), moved, j)


def rearranged(batch: TokenBatch, source: Tensor, token: Tensor, growth: Tensor) -> TokenBatch:
    """The proposal: columns fetched from where ``source`` says, new tokens free."""
    wide = batch.padded(source.shape[1])
    new = source < 0
    fetch = source.clamp(min=0)
    ids = torch.where(new, token[:, None], wide.ids.gather(1, fetch))
    locked = wide.locked.gather(1, fetch).masked_fill(new, 0)
    proposed = TokenBatch(ids, batch.length + growth, locked)
    return proposed.padded(proposed.longest)
