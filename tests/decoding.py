"""Any next-token scorer as a search knows it: rows that grow behind their prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ergotext.errors import InputError
from ergotext.lm.batch import TokenBatch
from ergotext.lm.protocols import NextTokenScorer

UNBOUNDED = 1 << 30
"""Length where a model sets none."""


@dataclass(frozen=True, eq=False)
class CausalDecoding:
    """Rows behind prompts, each scored as a whole (``protocols.Decoding``).

    Parameters
    ----------
    scorer : NextTokenScorer
    end : int
        The scorer's end token.
    batch : TokenBatch
        The rows, prompts included.
    longest : int
        Most tokens of a row that the scorer takes, the prompt counted and the end token not.
    """

    scorer: NextTokenScorer
    end: int
    batch: TokenBatch
    longest: int = UNBOUNDED

    @classmethod
    def of(
        cls,
        scorer: NextTokenScorer,
        end: int,
        prompts: Sequence[Sequence[int]],
        longest: int = UNBOUNDED,
    ) -> CausalDecoding:
        """One row for each prompt (token ids), nothing written yet."""
        return cls(scorer, end, TokenBatch.of(prompts), longest)

    @property
    def size(self) -> int:
        return len(self.scorer.allowed)

    @property
    def room(self) -> Tensor:
        return self.longest - self.batch.length + 1

    def __len__(self) -> int:
        return len(self.batch)

    def logits(self, rows: Tensor, tokens: Tensor) -> Tensor:
        return self._law[rows, tokens]

    def log_z(self) -> Tensor:
        return torch.zeros(len(self), dtype=torch.float64)

    def rest_log_prob(self, rows: Tensor, ids: Tensor, offsets: Tensor) -> Tensor:
        """As ``Decoding`` has it; a run may hold the end token as its last token only."""
        prompts = [self._rows[row] for row in rows.tolist()]
        runs = [run.tolist() for run in ids.tensor_split(offsets[1:-1])] if len(rows) else []
        closed = [bool(run) and run[-1] == self.end for run in runs]
        inner = [run[:-1] if c else run for run, c in zip(runs, closed, strict=True)]
        if any(self.end in run for run in inner):
            raise InputError(f"End token {self.end} stands inside a run of tokens to be scored.")
        batch = TokenBatch.of([(*p, *run) for p, run in zip(prompts, inner, strict=True)])
        scores = self.scorer.token_log_prob(batch)
        parts = [
            score[len(p) : len(p) + len(run)]
            for score, p, run in zip(scores, prompts, runs, strict=True)
        ]
        return torch.cat([torch.zeros(0, dtype=torch.float64), *parts])

    def advance(self, rows: Tensor, tokens: Tensor) -> CausalDecoding:
        written = zip(rows.tolist(), tokens.tolist(), strict=True)
        batch = TokenBatch.of([(*self._rows[row], token) for row, token in written])
        return CausalDecoding(self.scorer, self.end, batch, self.longest)

    @cached_property
    def _rows(self) -> list[tuple[int, ...]]:
        return self.batch.rows()

    @cached_property
    def _law(self) -> Tensor:
        return self.scorer.next_log_prob(self.batch, self.batch.length)
