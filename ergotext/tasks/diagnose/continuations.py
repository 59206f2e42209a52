"""Continue prompts by different ways of decoding, all of one length."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ergotext.lm.protocols import Decoding
from ergotext.samplers.draws import Draws
from ergotext.tasks.diagnose.laws import Law, next_logits

KEPT = 256
"""Likeliest next tokens that are noted in each context."""


@dataclass(frozen=True, eq=False)
class Continuations:
    """What was written behind B prompts.

    Parameters
    ----------
    tokens : int64 [B, L]
    likely : int64 [B, L, K]
        The likeliest tokens at each place, the end token left out.
    probability : float64 [B, L, K]
        Theirs under the model.
    ends : float64 [B, L]
        That of the end token.
    """

    tokens: Tensor
    likely: Tensor
    probability: Tensor
    ends: Tensor


def continued(
    draws: Draws,
    decoding: Decoding,
    prompts: list[list[int]],
    law: Law,
    length: int,
    penalty: float = 1.0,
) -> Continuations:
    """Write ``length`` tokens behind each prompt by a law given that no text ends.

    ``penalty`` above 1 makes tokens of prompt and text less likely before the law cuts anything
    off: a logit above 0 is divided by it, one below is multiplied (Keskar et al. 2019).
    """
    used = torch.zeros(len(prompts), decoding.size, dtype=torch.bool)
    for row, prompt in enumerate(prompts):
        used[row, prompt] = True
    everyone, parts = torch.arange(len(prompts)), []
    for step in range(length):
        logits = next_logits(decoding)
        own = logits.softmax(-1)
        ends = own[:, decoding.end].clone()
        own[:, decoding.end] = 0.0
        kept = own.topk(min(KEPT, decoding.size), -1)
        if penalty != 1.0:
            less = torch.where(logits > 0, logits / penalty, logits * penalty)
            logits = torch.where(used, less, logits)
        score = logits.log_softmax(-1)
        score[:, decoding.end] = -math.inf
        token = draws.categorical(law(score.log_softmax(-1)).exp())
        parts.append((token, kept.indices, kept.values, ends))
        used[everyone, token] = True
        if step + 1 < length:
            decoding = decoding.advance(everyone, token)
    return Continuations(*(torch.stack(part, 1) for part in zip(*parts, strict=True)))
