"""Treat any of several end tokens as the end of an answer."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ergotext.lm.protocols import Decoding


class ClosedBy:
    """Rows that end where any of some tokens follows (``protocols.Decoding``).

    The probability of the end token is the sum of theirs, and they have none of their own: the
    law of what stands before the first of them in a text that the model writes.

    Parameters
    ----------
    decoding : Decoding
    closing : sequence of int
        Tokens that end a row; the decoding's own end token is always one of them.
    """

    def __init__(self, decoding: Decoding, closing: Sequence[int]) -> None:
        self._inner = decoding
        self._closing = torch.tensor(sorted({*closing, decoding.end}), dtype=torch.int64)

    @property
    def end(self) -> int:
        return self._inner.end

    @property
    def size(self) -> int:
        return self._inner.size

    @property
    def room(self) -> Tensor:
        return self._inner.room

    def __len__(self) -> int:
        return len(self._inner)

    def logits(self, rows: Tensor, tokens: Tensor) -> Tensor:
        found = self._inner.logits(rows, tokens)
        found = found.masked_fill(torch.isin(tokens, self._closing), -torch.inf)
        ends = (tokens == self.end).nonzero()[:, 0]
        every = self._closing.repeat(len(ends))
        each = self._inner.logits(rows[ends].repeat_interleave(len(self._closing)), every)
        return found.index_copy(0, ends, each.view(len(ends), len(self._closing)).logsumexp(1))

    def log_z(self) -> Tensor:
        return self._inner.log_z()

    def rest_log_prob(self, rows: Tensor, ids: Tensor, offsets: Tensor) -> Tensor:
        ends = (ids == self.end).nonzero()[:, 0]
        inside = torch.isin(ids, self._closing)
        found = self._inner.rest_log_prob(rows, ids, offsets).masked_fill(inside, -torch.inf)
        # Each run is read once more for every token that may end it, where it ends.
        total = found[ends]
        for token in self._closing.tolist():
            other = ids.index_fill(0, ends, token)
            score = self._inner.rest_log_prob(rows, other, offsets)[ends]
            total = torch.logaddexp(total, score)
        return found.index_copy(0, ends, total)

    def advance(self, rows: Tensor, tokens: Tensor) -> ClosedBy:
        return ClosedBy(self._inner.advance(rows, tokens), self._closing.tolist())
