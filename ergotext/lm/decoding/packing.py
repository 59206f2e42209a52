"""Pack rows and branches of different lengths into one forward pass."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ergotext.lm.batch import microbatches

PACK = 64
"""Tokens that share one sequence. Attention grows with its square, padding with the number of
sequences in a pass."""


@dataclass(frozen=True, eq=False)
class Packed:
    """N sequences of at most T new tokens, each after an opening and at most P prefix tokens."""

    ids: Tensor
    """int64 [N, T]"""
    position: Tensor
    """int64 [N, T]: the place of each token in its own row, opening counted"""
    seen: Tensor
    """bool [N, T, opening + P + T]: what a token attends to"""
    real: Tensor
    """bool [N, T]: False on padding"""
    rows: list[list[int]]
    """whose prefixes stand in each sequence, in order"""


def pack(fed: list[Tensor], prefix: list[int], opening: int) -> Packed:
    """Lay out branches of tokens after the first ``prefix[r]`` tokens of each row r.

    ``fed[r]`` is int64 [K, m]: K branches of m tokens. A token sees the opening, its row's prefix
    and what is before it in its own branch. Tokens keep their order: row by row, branch by branch.
    """
    pieces = [(row, part) for row, branches in enumerate(fed) for part in _split(branches)]
    groups = list(microbatches([part.numel() for _, part in pieces], PACK))
    widest = max(sum(pieces[p][1].numel() for p in group) for group in groups)
    longest = max(sum(prefix[pieces[p][0]] for p in group) for group in groups)
    ids = torch.zeros(len(groups), widest, dtype=torch.int64)
    position, real = torch.zeros_like(ids), torch.zeros_like(ids, dtype=torch.bool)
    seen = torch.zeros(len(groups), widest, opening + longest + widest, dtype=torch.bool)
    seen[:, :, :opening] = True  # padding too: attention to nothing at all is not a number
    for n, group in enumerate(groups):
        rows, parts = zip(*(pieces[p] for p in group), strict=True)
        before = torch.tensor([prefix[row] for row in rows])
        sizes = torch.tensor([part.numel() for part in parts])
        piece = torch.arange(len(parts)).repeat_interleave(sizes)
        place = torch.cat([torch.arange(part.numel()) for part in parts])
        depth = torch.tensor([part.shape[1] for part in parts])[piece]
        branch, step = place // depth, place % depth
        owner = torch.arange(len(parts)).repeat_interleave(before)
        new, old = slice(opening + longest, opening + longest + len(piece)), len(owner)
        seen[n, : len(piece), opening : opening + old] = piece[:, None] == owner
        seen[n, : len(piece), new] = (
            (piece[:, None] == piece) & (branch[:, None] == branch) & (step[:, None] >= step)
        )
        ids[n, : len(piece)] = torch.cat([part.reshape(-1) for part in parts])
        position[n, : len(piece)] = opening + before[piece] + step
        real[n, : len(piece)] = True
    return Packed(ids, position, seen, real, [[pieces[p][0] for p in group] for group in groups])


def _split(branches: Tensor) -> Iterator[Tensor]:
    """The branches of a row in parts that fit into one sequence, or one branch at a time."""
    if branches.numel():
        yield from branches.split(max(1, PACK // branches.shape[1]))
