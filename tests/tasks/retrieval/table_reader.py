"""A model of questions that is a table: log p of a token given the one before it, in float64."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from ergotext.lm.tokenizers.characters import CharacterTokenizer


@dataclass(frozen=True, eq=False)
class TableDecoding:
    """Rows that know their law, float64 [V, V], and their last token (``protocols.Decoding``)."""

    law: Tensor
    last: Tensor
    end: int

    @property
    def size(self) -> int:
        return self.law.shape[-1]

    @property
    def room(self) -> Tensor:
        return torch.full(self.last.shape, 1 << 20)

    def __len__(self) -> int:
        return len(self.last)

    def logits(self, rows: Tensor, tokens: Tensor) -> Tensor:
        return self.law[rows, self.last[rows], tokens]

    def log_z(self) -> Tensor:
        return torch.zeros(len(self), dtype=torch.float64)

    def rest_log_prob(self, rows: Tensor, ids: Tensor, offsets: Tensor) -> Tensor:
        before = torch.cat([torch.zeros(1, dtype=torch.int64), ids[:-1]])
        before[offsets[:-1]] = self.last[rows]
        return self.law[rows.repeat_interleave(offsets.diff()), before, ids]

    def advance(self, rows: Tensor, tokens: Tensor) -> TableDecoding:
        return TableDecoding(self.law[rows], tokens, self.end)


class TableReader:
    """A law for each question, told by its first character (``tasks.questions.QuestionReader``)."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.keys = CharacterTokenizer.of(texts)

    @cache  # noqa: B019 - as long as the test
    def law(self, first: int) -> Tensor:
        generator = torch.Generator().manual_seed(first)
        size = self.keys.size
        logits = 0.7 * torch.randn(size, size, generator=generator, dtype=torch.float64)
        logits[:, 3:259] -= 9.0  # bytes are unlikely
        return logits.log_softmax(-1)

    def encode(self, question: str, room: int) -> list[int]:
        return self.keys.encode(question)

    def read(self, questions: Sequence[Sequence[int]]) -> TableDecoding:
        laws = torch.stack([self.law(ids[0]) for ids in questions])
        return TableDecoding(laws, torch.full((len(questions),), 2), self.keys.alphabet.end)

    def log_prob(self, question: str, key: str) -> float:
        """One key, step by step."""
        law, last, total = self.law(self.encode(question, 0)[0]), 2, 0.0
        for token in [*self.keys.encode(key), self.keys.alphabet.end]:
            total += float(law[last, token])
            last = token
        return total
