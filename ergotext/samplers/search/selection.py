"""Beam selection: the best rows of each input, including sequences finished early."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ergotext.support.arrays import Floats, Ints


def best_of_each(inputs: Ints, rank: Floats, count: int, total: int) -> NDArray[np.bool_]:
    """bool [n]: the ``count`` highest ranks of each of ``total`` inputs; never one of -inf."""
    best = np.zeros(len(rank), dtype=bool)
    if not len(rank):
        return best
    by = np.argsort(inputs, kind="stable")
    sizes = np.bincount(inputs, minlength=total)
    if sizes.max() <= count:
        return rank > -np.inf
    place = np.arange(len(by)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    table = torch.full((total, int(sizes.max())), -torch.inf, dtype=torch.float64)
    where = np.zeros(table.shape, dtype=np.int64)
    table[inputs[by], place] = torch.from_numpy(rank[by])
    where[inputs[by], place] = by
    chosen = table.topk(count, dim=1)
    picked = np.take_along_axis(where, chosen.indices.numpy(), axis=1)
    best[picked[chosen.values.numpy() > -np.inf]] = True
    return best


@dataclass(frozen=True)
class Tails:
    """Sequences already scored to their ends, and their ranks token by token.

    ``flat[at[i] : stop[i]]`` are the ranks of sequence i after the tokens still to come, its end
    token left out: a finished sequence holds no place.
    """

    input: Ints
    flat: Floats
    at: Ints
    stop: Ints

    @classmethod
    def none(cls) -> Tails:
        empty = np.empty(0, dtype=np.int64)
        return cls(empty, np.empty(0), empty, empty)

    @classmethod
    def of(cls, inputs: Ints, ranks: Floats, offsets: Ints) -> Tails:
        """Build from the ranks after each token of the rests, end tokens included."""
        return cls(inputs, ranks, offsets[:-1] - 1, offsets[1:] - 1)

    @property
    def rank(self) -> Floats:
        """float64 [n]: the rank of each after its current token."""
        return self.flat[self.at]

    def only(self, chosen: NDArray[np.bool_]) -> Tails:
        return Tails(self.input[chosen], self.flat, self.at[chosen], self.stop[chosen])

    def advanced(self, threshold: Floats | None) -> Tails:
        """Advance by one token; those that end, or fall to ``threshold`` [Q], are dropped."""
        later = Tails(self.input, self.flat, self.at + 1, self.stop)
        later = later.only(later.at < later.stop)
        if threshold is not None:
            later = later.only(later.rank > threshold[later.input])
        return later

    def joined(self, other: Tails) -> Tails:
        flat = np.concatenate([self.flat, other.flat])
        ahead = len(self.flat)
        return Tails(
            np.concatenate([self.input, other.input]),
            flat,
            np.concatenate([self.at, other.at + ahead]),
            np.concatenate([self.stop, other.stop + ahead]),
        )
