"""The law of the next token, and what decoders cut it down to."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ergotext.errors import ModelError
from ergotext.lm.protocols import Decoding

Law = Callable[[Tensor], Tensor]
"""From log p of the next token, float64 [B, V], to its log-probability under a decoder: −inf
outside the set that the decoder chooses from."""
FIRST = 1024
"""Tokens among which the nucleus is looked for before all are sorted."""


def next_logits(decoding: Decoding) -> Tensor:
    """float64 [B, V]: log p of the next token up to a constant of the row."""
    rows, tokens = torch.arange(len(decoding)), torch.arange(decoding.size)
    pairs = rows.repeat_interleave(len(tokens)), tokens.repeat(len(rows))
    logits = decoding.logits(*pairs).view(len(rows), len(tokens))
    if bool(logits.isnan().any()):
        raise ModelError("the model gives NaN for the next token: load it in float32")
    return logits


def next_log_prob(decoding: Decoding) -> Tensor:
    """float64 [B, V]: log p of the next token."""
    return next_logits(decoding).log_softmax(-1)


def whole(log_prob: Tensor) -> Tensor:
    """The model's own law."""
    return log_prob


def top_k(k: int) -> Law:
    """The law given that the next token is one of the ``k`` likeliest; greedy decoding for 1."""

    def law(log_prob: Tensor) -> Tensor:
        kept = log_prob.topk(min(k, log_prob.shape[-1]), -1)
        return _scattered(kept.values.log_softmax(-1), kept.indices, log_prob)

    return law


def nucleus(p: float) -> Law:
    """The law on the fewest tokens that have mass ``p`` together (Holtzman et al. 2020)."""

    def law(log_prob: Tensor) -> Tensor:
        size = log_prob.shape[-1]
        kept = log_prob.topk(min(FIRST, size), -1)
        if bool((kept.values.exp().sum(-1) < p).any()):
            kept = log_prob.topk(size, -1)
        before = kept.values.exp().cumsum(-1) - kept.values.exp()
        values = kept.values.masked_fill(before >= p, -math.inf)
        return _scattered(values.log_softmax(-1), kept.indices, log_prob)

    return law


def _scattered(values: Tensor, indices: Tensor, like: Tensor) -> Tensor:
    return torch.full_like(like, -math.inf).scatter(-1, indices, values)
