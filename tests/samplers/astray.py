"""A toy model whose copy in lower precision is far off, and off in another way in each batch."""

from __future__ import annotations

import torch
from torch import Tensor

from ergotext.lm.batch import TokenBatch
from ergotext.testing.toy import TOKENS, ToyScorer

NOISES = 97


class Astray(ToyScorer):
    """log p̂: log p and noise by the row and by all rows that are asked about with it.

    It adds up to nothing in particular.
    """

    precision = "int8"

    def __init__(self, seed: int, size: float) -> None:
        super().__init__(seed)
        generator = torch.Generator().manual_seed(seed)
        self.noise = size * torch.randn(NOISES, TOKENS, generator=generator, dtype=torch.float64)

    def next_log_prob(self, batch: TokenBatch, position: Tensor) -> Tensor:
        rows = batch.rows()
        together = sum(sum(row) for row in rows) + len(rows)
        at = [hash((row, together)) % NOISES for row in rows]
        return super().next_log_prob(batch, position) + self.noise[at]


class Reducible(ToyScorer):
    """The toy model with such a copy (``protocols.Reducible``)."""

    precision = "float32"

    def __init__(self, seed: int = 0, size: float = 1.0) -> None:
        super().__init__(seed)
        self.astray = Astray(seed, size)

    def in_precision(self, name: str) -> ToyScorer:
        return self if name in ("auto", "float32") else self.astray
