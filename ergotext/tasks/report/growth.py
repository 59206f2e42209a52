"""How particles grew: counts after each token, and how many of them shared a beginning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ergotext.lm.protocols import NextTokenScorer
from ergotext.samplers.progress import Growth, best_of


@dataclass(frozen=True)
class GrowthCounts:
    """Particles after a token.

    Parameters
    ----------
    open, ended, dead : int
        Being written, finished, and given up.
    beginnings : int
        Different texts among those that are not dead.
    worth : float
        Effective sample size of their weights.
    parents : int
        Particles of the token before that were gone on from.
    """

    open: int
    ended: int
    dead: int
    beginnings: int
    worth: float
    parents: int

    @property
    def resampled(self) -> bool:
        """Whether particles were copied, and others left."""
        return self.parents < self.open + self.ended + self.dead


def counts(grown: Growth) -> GrowthCounts:
    """Those of one token."""
    alive = grown.log_weight > -torch.inf
    ended = int((alive & ~grown.open).sum())
    rows = [row for row, on in zip(grown.batch.rows(), alive.tolist(), strict=True) if on]
    weights = grown.log_weight[alive].softmax(0)
    return GrowthCounts(
        open=int(grown.open.sum()),
        ended=ended,
        dead=int((~alive).sum()),
        beginnings=len(set(rows)),
        worth=float(1 / weights.square().sum()) if len(weights) else 0.0,
        parents=len(grown.parent.unique()),
    )


def ancestors_left(growth: Sequence[Growth]) -> list[int]:
    """How many of the first particles the living descend from, after each token."""
    root: Tensor | None = None
    left = []
    for grown in growth:
        root = grown.parent if root is None else root[grown.parent]
        left.append(len(root[grown.log_weight > -torch.inf].unique()))
    return left


def sharing(growth: Sequence[Growth], tokens: Sequence[int]) -> list[int]:
    """How many particles were written like a text, after each of its tokens.

    The dead are none of them: they died before they had as many.
    """
    found = []
    for written, grown in enumerate(growth[: len(tokens)], 1):
        start = tuple(tokens[:written])
        found.append(sum(row[:written] == start for row in grown.batch.rows()))
    return found


def best_texts(growth: Sequence[Growth], scorer: NextTokenScorer) -> list[str]:
    """The best text after each token; "…" ends one that is not whole."""
    found = []
    for grown in growth:
        best = best_of(grown.merit, grown.open)
        if best is None:
            found.append("")
            continue
        text = scorer.decode(grown.batch.select([best]))[0].strip()
        found.append(text + "…" * bool(grown.open[best]))
    return found
