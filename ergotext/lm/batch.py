"""TokenBatch: a padded batch of token sequences, the common currency of the engine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ergotext.errors import InputError
from ergotext.support.reprs import called, safe
from ergotext.support.words import counted


@dataclass(frozen=True, eq=False)
class TokenBatch:
    """Token sequences of differing lengths, padded on the right.

    Parameters
    ----------
    ids : int64 [B, L]
        Token ids of the generated text alone: no start token, context or end token.
    length : int64 [B]
        Number of tokens in each row.
    locked : int64 [B, L]
        0 where a token is free; k > 0 where it belongs to the k-th keyword, which moves only
        as a whole.

    Notes
    -----
    Positions at or beyond ``length`` hold 0 in both arrays, so two batches with the same rows
    are equal element by element whatever was done to get there.
    """

    ids: Tensor
    length: Tensor
    locked: Tensor

    @safe
    def __repr__(self) -> str:
        least, most = (int(of(self.length)) for of in (torch.amin, torch.amax))
        span = f"{least}–{most} tokens" if least < most else counted(most, "token")
        return called("TokenBatch", counted(len(self.ids), "row"), f"of {span}")

    def __post_init__(self) -> None:
        if self.ids.ndim != 2 or self.ids.shape != self.locked.shape:
            raise ValueError(
                f"ids and locked must be [B, L] alike, got {tuple(self.ids.shape)} "
                f"and {tuple(self.locked.shape)}"
            )
        if self.length.shape != self.ids.shape[:1]:
            raise ValueError(f"length must be [B={len(self.ids)}], got {tuple(self.length.shape)}")
        if len(self.length) and not 0 <= int(self.length.min()) <= self.longest <= self.width:
            raise ValueError(f"lengths {self.length.tolist()} do not fit a width of {self.width}")
        padding = ~self.inside
        object.__setattr__(self, "ids", self.ids.masked_fill(padding, 0))
        object.__setattr__(self, "locked", self.locked.masked_fill(padding, 0))

    @classmethod
    def of(
        cls, rows: Sequence[Sequence[int]], locked: Sequence[Sequence[int]] | None = None
    ) -> TokenBatch:
        """A batch of plain lists of token ids (and, if given, their lock marks)."""
        given: Any = rows
        if isinstance(given, str) or any(isinstance(row, str) for row in given):
            raise InputError(
                f"a batch consists of rows of token ids, but {rows!r:.60} contains texts: encode "
                "them (lm.vocabulary.encode), or use ergotext.score(lm, texts)"
            )
        width = max((len(row) for row in rows), default=0)
        marks = locked if locked is not None else [[0] * len(row) for row in rows]
        return cls(
            _padded(rows, width),
            torch.tensor([len(row) for row in rows], dtype=torch.int64),
            _padded(marks, width),
        )

    def __len__(self) -> int:
        return len(self.length)

    @property
    def width(self) -> int:
        return self.ids.shape[1]

    @property
    def longest(self) -> int:
        return int(self.length.max()) if len(self.length) else 0

    @property
    def inside(self) -> Tensor:
        """bool [B, L]: True for tokens, False for padding."""
        return torch.arange(self.width) < self.length[:, None]

    def rows(self) -> list[tuple[int, ...]]:
        """Each row as a tuple of its token ids, padding dropped."""
        lengths = self.length.tolist()
        return [tuple(row[:n]) for row, n in zip(self.ids.tolist(), lengths, strict=True)]

    def padded(self, width: int) -> TokenBatch:
        """The same rows in arrays of exactly ``width`` columns (at least the longest row)."""
        more = width - self.width
        if more <= 0:
            return TokenBatch(self.ids[:, :width], self.length, self.locked[:, :width])
        pad = torch.nn.functional.pad
        return TokenBatch(pad(self.ids, (0, more)), self.length, pad(self.locked, (0, more)))

    def select(self, index: Tensor | Sequence[int]) -> TokenBatch:
        """The rows that ``index`` (int64 or bool [*]) names, in its order."""
        at = torch.as_tensor(index)
        at = at.long() if at.dtype != torch.bool else at
        return TokenBatch(self.ids[at], self.length[at], self.locked[at])

    def where(self, mask: Tensor, other: TokenBatch) -> TokenBatch:
        """Rows of this batch where ``mask`` (bool [B]) holds, of ``other`` elsewhere."""
        width = max(self.longest, other.longest)
        a, b = self.padded(width), other.padded(width)
        return TokenBatch(
            torch.where(mask[:, None], a.ids, b.ids),
            torch.where(mask, a.length, b.length),
            torch.where(mask[:, None], a.locked, b.locked),
        )


def _padded(rows: Sequence[Sequence[int]], width: int) -> Tensor:
    if not width:
        return torch.zeros(len(rows), 0, dtype=torch.int64)
    return torch.tensor([[*row, *[0] * (width - len(row))] for row in rows], dtype=torch.int64)


def checked(batch: object, size: int | None = None) -> TokenBatch:
    """The batch itself.

    Raises
    ------
    InputError
        It is none, but a list of texts, say; or it has ids that a model of ``size`` tokens has not.
    """
    if not isinstance(batch, TokenBatch):
        raise InputError(
            f"{batch!r:.60} is not a TokenBatch: to score texts, use ergotext.score(lm, texts); "
            "for rows of token ids, TokenBatch.of(rows)"
        )
    if size is not None and batch.ids.numel():
        low, high = int(batch.ids.min()), int(batch.ids.max())
        if low < 0 or high >= size:
            raise InputError(
                f"a row has token {low if low < 0 else high}, but the model's tokens are 0 to "
                f"{size - 1}: use the model's own tokenizer"
            )
    return batch


def microbatches(sizes: Sequence[int], token_budget: int) -> Iterator[list[int]]:
    """Group rows, in order, so that each group holds at most ``token_budget`` tokens.

    A row larger than the budget forms a group of its own.
    """
    group: list[int] = []
    for row, size in enumerate(sizes):
        if group and sum(sizes[r] for r in group) + size > token_budget:
            yield group
            group = []
        group.append(row)
    if group:
        yield group
