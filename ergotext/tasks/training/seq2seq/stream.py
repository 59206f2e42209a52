"""Batches of examples of similar length, addressable by number for exact resumption."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from ergotext.tasks.training.examples import Example, Stream
from ergotext.tasks.training.seq2seq.scoring import Batch

BLOCK = 8
"""Batches that are drawn together and separated by length."""


class Feed:
    """Batches of a stream by their numbers.

    Parameters
    ----------
    stream : Stream
    size : int
        Examples in a batch.
    make : function of examples and the number of the batch
        Additional data for the loss.
    """

    def __init__(
        self, stream: Stream, size: int, make: Callable[[list[Example], int], Batch]
    ) -> None:
        self.stream, self.size = stream, size
        self._make = make
        self._block = lru_cache(maxsize=2)(self._parted)

    def __getitem__(self, number: int) -> Batch:
        return self._make(self.examples(number), number)

    def examples(self, number: int) -> list[Example]:
        """The examples of a batch."""
        block, place = divmod(number, BLOCK)
        return self._block(block)[place]

    def _parted(self, block: int) -> list[list[Example]]:
        examples = self.stream.block(block, self.size * BLOCK)
        examples.sort(key=lambda one: len(one.question) + len(one.key))
        order = np.random.default_rng([self.stream.seed, block, 1]).permutation(BLOCK)
        return [examples[at * self.size : (at + 1) * self.size] for at in order.tolist()]
