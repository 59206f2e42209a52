"""Slot proposal: a token given its left and right context."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ergotext.lm.batch import TokenBatch
from ergotext.lm.protocols import NextTokenScorer

IMPOSSIBLE = -1e200
"""Nats of an allowed token that the model gives no chance: still above those not allowed, so that
the list has none of these, and the law of a place where nothing has a chance is uniform."""


@dataclass(frozen=True)
class Slot:
    """q(v | left, right): a short list informed by its sides, mixed with a full-support floor.

    The list holds the ``top`` likeliest tokens after the left side, weighed by their own
    probability and that of the ``horizon`` tokens to their right; with a horizon of 0, the
    default, nothing right of the slot is read. The floor is the plain next-token law and a little
    of the uniform one, so every token can be proposed and every move undone. Nothing here looks at
    the token that stands in the slot: the law is the same seen from both ends of a move, which is
    what its use in an acceptance ratio rests on.

    Parameters
    ----------
    top : int
        Length of the list.
    horizon : int
        Tokens of right context that weigh in.
    prior, uniform : float
        Shares of the next-token law and of the uniform law in the mixture.
    """

    top: int = 64
    horizon: int = 0
    prior: float = 0.1
    uniform: float = 0.01

    def law(
        self,
        scorer: NextTokenScorer,
        batch: TokenBatch,
        start: Tensor,
        stop: Tensor,
        temperature: float | Tensor = 1.0,
    ) -> Tensor:
        """float64 [B, V]: q(token | row[:start], row[stop:]) for each row.

        At a temperature T (one for all rows, or float64 [B]) the list follows the T-th root of its
        weights, as the target does.
        """
        allowed = scorer.allowed
        log_next = scorer.next_log_prob(batch, start).clamp(min=IMPOSSIBLE)
        log_next = log_next.masked_fill(~allowed, -torch.inf)
        tokens = log_next.topk(min(self.top, int(allowed.sum())), dim=-1).indices
        score = scorer.candidate_log_prob(batch, start, stop, tokens, self.horizon)
        score = score.clamp(min=IMPOSSIBLE)
        t = torch.as_tensor(temperature, dtype=torch.float64).expand(len(batch))
        listed = (score / t[:, None]).softmax(-1)
        law = log_next.softmax(-1) * self.prior
        law += allowed.double() * (self.uniform / int(allowed.sum()))
        return law.scatter_add_(1, tokens, (1.0 - self.prior - self.uniform) * listed)
