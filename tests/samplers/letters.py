"""A random GPT-2 over three letters: the law of every text of at most six, enumerated."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor
from transformers import GPT2Config, GPT2LMHeadModel

from ergotext.lm.batch import TokenBatch
from ergotext.lm.causal import CausalLM
from ergotext.lm.custom import Custom
from ergotext.lm.energy import Sum
from tests.toy import ToyFluency, ToyScorer

LETTERS = 3
LONGEST = 6


class Letters(ToyScorer):
    """The next-token law of a random GPT-2, tabulated: tokens 1, 2, 3 are letters, 0 the end."""

    def __init__(self, seed: int = 0) -> None:
        torch.manual_seed(seed)
        config = GPT2Config(
            vocab_size=LETTERS + 1, n_positions=16, n_embd=16, n_layer=2, n_head=2,
            initializer_range=0.6, bos_token_id=0, eos_token_id=0,
        )  # fmt: skip
        model = GPT2LMHeadModel(config).double().eval()
        self.allowed = torch.tensor([False, True, True, True])
        self._law = {}
        for n in range(LONGEST + 1):
            rows = list(itertools.product((1, 2, 3), repeat=n))
            with torch.inference_mode():
                logits = model(torch.tensor([(0, *row) for row in rows])).logits[:, -1]
            self._law |= dict(zip(rows, logits.log_softmax(1), strict=True))

    def next_log_prob(self, batch: TokenBatch, position: Tensor) -> Tensor:
        cut = zip(batch.rows(), position.tolist(), strict=True)
        return torch.stack([self._law[row[:at]] for row, at in cut])

    def log_prob(self, batch: TokenBatch) -> Tensor:
        return torch.tensor(
            [
                sum(float(self._law[row[:n]][token]) for n, token in enumerate((*row, 0)))
                for row in batch.rows()
            ],
            dtype=torch.float64,
        )
