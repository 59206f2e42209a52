"""The best finished sequences of each input."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ergotext.samplers.search.selection import best_of_each
from ergotext.support.arrays import Floats, Ints


@dataclass(frozen=True)
class _Batch:
    """Sequences finished together: what was written of each, and the rest that was jumped."""

    written: Ints
    rest: Ints
    offsets: Ints

    def tokens(self, place: int) -> tuple[int, ...]:
        rest = self.rest[self.offsets[place] : self.offsets[place + 1]]
        return (*self.written[place].tolist(), *rest[:-1].tolist())


class Finished:
    """The ``k`` best sequences of each of ``count`` inputs."""

    def __init__(self, count: int, k: int) -> None:
        self.k = k
        self.threshold = np.full(count, -np.inf)
        """float64 [count]: the rank of the k-th best; -inf as long as there are fewer"""
        self.over = np.zeros(count, dtype=bool)
        """bool [count]: whether finished sequences were let go"""
        self._batches: list[_Batch] = []
        self._input = np.empty(0, dtype=np.int64)
        self._log_prob = np.empty(0)
        self._rank = np.empty(0)
        self._place = np.empty((0, 2), dtype=np.int64)

    def add(
        self, inputs: Ints, log_prob: Floats, rank: Floats, written: Ints, rest: Ints, offsets: Ints
    ) -> None:
        """Add sequences; ``rest`` (with end tokens) and ``offsets`` follow ``written``."""
        if not len(inputs):
            return
        number = np.full(len(inputs), len(self._batches))
        self._batches.append(_Batch(written, rest, offsets))
        input_ = np.concatenate([self._input, inputs])
        rank_ = np.concatenate([self._rank, rank])
        kept = best_of_each(input_, rank_, self.k, len(self.threshold))
        possible = rank_ > -np.inf
        self.over[input_[possible & ~kept]] = True
        self._input, self._rank = input_[kept], rank_[kept]
        self._log_prob = np.concatenate([self._log_prob, log_prob])[kept]
        place = np.column_stack([number, np.arange(len(inputs))])
        self._place = np.concatenate([self._place, place])[kept]
        full = np.bincount(self._input, minlength=len(self.threshold)) >= self.k
        lowest = np.full(len(self.threshold), np.inf)
        np.minimum.at(lowest, self._input, self._rank)
        self.threshold = np.where(full, lowest, -np.inf)

    def best(self) -> Iterator[tuple[list[tuple[tuple[int, ...], float, float]], float]]:
        """For each input (tokens, log_prob, rank), best first, and the rank of the k-th."""
        for number, threshold in enumerate(self.threshold):
            mine = np.flatnonzero(self._input == number)
            found = [
                (self._batches[batch].tokens(place), float(log_prob), float(rank))
                for (batch, place), log_prob, rank in zip(
                    self._place[mine].tolist(), self._log_prob[mine], self._rank[mine], strict=True
                )
            ]
            yield sorted(found, key=lambda h: (-h[2], h[0])), float(threshold)
