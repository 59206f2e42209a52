"""Spans of free tokens: their positions and candidates.

The candidates of a span depend on what stands left of it alone. So they are the same whichever of
them stands there, which is what redrawing a span from them rests on.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ergotext.lm.batch import TokenBatch
from ergotext.lm.protocols import NextTokenScorer


def place_law(batch: TokenBatch, width: int = 1) -> Tensor:
    """float64 [B, L + 1]: uniform on the positions with ``width`` free tokens in a row.

    Column L stands for nowhere, for certain where there is no such place.
    """
    free = batch.inside & (batch.locked == 0)
    if batch.width < width:
        runs = torch.zeros_like(free)
    else:
        runs = free.unfold(1, width, 1).all(-1) if len(batch) else free
        runs = torch.nn.functional.pad(runs, (0, batch.width - runs.shape[1]))
    nowhere = ~runs.any(-1, keepdim=True)
    law = torch.cat([runs, nowhere], dim=1).double()
    return law / law.sum(-1, keepdim=True)


def written(batch: TokenBatch, place: Tensor, tokens: Tensor) -> TokenBatch:
    """The rows with ``tokens`` (int64 [B, w]) written over those at ``place`` (int64 [B])."""
    columns = place[:, None] + torch.arange(tokens.shape[1])
    return replace(batch, ids=batch.ids.scatter(1, columns, tokens))


def candidates(
    scorer: NextTokenScorer, batch: TokenBatch, place: Tensor, width: int, count: int
) -> tuple[Tensor, Tensor]:
    """The most likely spans after the left context of each position, found token by token.

    Parameters
    ----------
    scorer : NextTokenScorer
    batch : TokenBatch of B rows
    place : int64 [B]
    width : int
        Tokens of a span.
    count : int
        Beginnings that are kept at every token; no fewer than all sequences gives all of them.

    Returns
    -------
    int64 [B, K, width]
        K ≤ ``count`` spans of allowed tokens; no two of a row are equal.
    bool [B, K]
        Which of them are there: with probability 0 a span is none.
    """
    forbidden = ~scorer.allowed
    few = int(scorer.allowed.sum())
    rows = len(batch)
    left = TokenBatch(batch.ids, place, torch.zeros_like(batch.ids)).padded(batch.width + width)
    spans = torch.zeros(rows, 1, 0, dtype=torch.int64)
    score = torch.zeros(rows, 1, dtype=torch.float64)
    for _ in range(width):
        kept = spans.shape[1]
        at = torch.arange(rows).repeat_interleave(kept)
        begun = _continued(left.select(at), spans.flatten(0, 1))
        log_next = scorer.next_log_prob(begun, begun.length).masked_fill(forbidden, -torch.inf)
        total = (score[:, :, None] + log_next.view(rows, kept, -1)).flatten(1)
        score, chosen = total.topk(min(count, kept * few), dim=-1)
        behind = (chosen // len(forbidden))[:, :, None].expand(-1, -1, spans.shape[2])
        token = (chosen % len(forbidden))[:, :, None]
        spans = torch.cat([spans.gather(1, behind), token], dim=-1)
    return spans, score > -torch.inf


def _continued(batch: TokenBatch, tokens: Tensor) -> TokenBatch:
    """The rows with ``tokens`` (int64 [B, w]) after them."""
    columns = batch.length[:, None] + torch.arange(tokens.shape[1])
    return replace(
        batch,
        ids=batch.ids.scatter(1, columns, tokens),
        length=batch.length + tokens.shape[1],
    )
