"""How much probability a decoder leaves on texts that have not ended, token by token."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ergotext.lm.protocols import Decoding
from ergotext.samplers.draws import Draws
from ergotext.tasks.diagnose.laws import Law, next_log_prob


@dataclass(frozen=True, eq=False)
class Survival:
    """What was seen along sampled texts, one a row.

    Parameters
    ----------
    unended : float64 [B, L]
        Π over the first 1, 2, …, L tokens of 1 − p(end | the tokens before): a row's estimate of
        the mass that has not ended.
    never : float64 [B, L]
        1 as long as the end token was never among the tokens that the decoder chooses from, else 0:
        the part of that mass which had no chance to end.
    """

    unended: Tensor
    never: Tensor


def survive(draws: Draws, decoding: Decoding, law: Law, length: int) -> Survival:
    """Write ``length`` tokens behind each row by a law given that no text ends.

    A row is drawn from the law q of the next token given that it is not the end token, so
    E_q[Π_t (1 − p(end | x_<t))] = Σ_x Π_t p(x_t | x_<t) over all x without an end: the mass that
    has not ended, unbiased at every length and with less variance than the share of sampled texts
    that happen not to have ended (its conditional expectation given the other tokens).
    """
    count = len(decoding)
    alive, log_weight = torch.arange(count), torch.zeros(count, dtype=torch.float64)
    never = torch.ones(count, dtype=torch.float64)
    found = Survival(*(torch.zeros(count, length, dtype=torch.float64) for _ in range(2)))
    for step in range(length):
        log_prob = law(next_log_prob(decoding))
        unoffered = log_prob[:, decoding.end] == -math.inf
        never[alive] *= unoffered
        log_prob[:, decoding.end] = -math.inf
        # All of the mass stays where none can end, whatever the rounding of the sum.
        log_stay = log_prob.logsumexp(-1).masked_fill(unoffered, 0.0)
        log_weight[alive] += log_stay
        found.unended[:, step] = log_weight.exp().clamp(max=1.0)
        found.never[:, step] = never
        going = log_stay > -math.inf
        alive = alive[going]
        if step + 1 == length or not len(alive):
            break
        token = draws.categorical(log_prob[going].softmax(-1))
        decoding = decoding.advance(going.nonzero()[:, 0], token)
    return found
