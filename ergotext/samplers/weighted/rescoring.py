"""Weights of one model for particles that another one proposed.

Let p̂ be what a step used for p: any positive numbers that depend on nothing but what was drawn
before, be they those of a faster copy of the model, be they other for each row and batch. Along
each path the weights then are those of p̂, and times Π p(x_t|x_<t) / p̂_t(x_t) they are those of p:

1. a step draws v ~ q with weight p̂(v)/q(v) whatever q is, so E[weight · p(v)/p̂(v) · 1[v]] = p(v);
2. resampling by p̂'s weights w gives a particle of corrected weight w·r on average (w/Σw · M) copies
   of weight (Σw/M) · r, which is w·r again.

So every average stays unbiased for the model's own target, and p̂ costs spread alone.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ergotext.errors import InputError
from ergotext.lm.batch import TokenBatch
from ergotext.lm.protocols import NextTokenScorer, Reducible
from ergotext.samplers.draws import Draws
from ergotext.samplers.target import Target
from ergotext.samplers.weighted.resampling import OfRows, ancestors
from ergotext.samplers.weighted.rollout import GrownRows
from ergotext.support.numerics import log_mean_exp


def proposer_of(scorer: NextTokenScorer, precision: str) -> NextTokenScorer:
    """The model that proposes: the same in another precision (``protocols.Reducible``).

    Raises
    ------
    InputError
        It has no such precision.
    """
    if isinstance(scorer, Reducible):
        return scorer.in_precision(precision)
    if precision not in ("auto", "float32"):
        raise InputError(
            f"this model has no precision {precision!r:.60} to propose in; drop proposal_dtype"
        )
    return scorer


def rescored(target: Target, rows: GrownRows) -> GrownRows:
    """Closed rows with the log p and the weights of the target's own model.

    Parameters
    ----------
    target : Target
    rows : GrownRows
        ``log_prob`` is Σ log p̂ of the tokens, the end token included, as they were used.
    """
    met = (rows.log_weight > -torch.inf).nonzero()[:, 0]
    each = rows.batch.select(met).rows()
    place = {row: n for n, row in enumerate(dict.fromkeys(each))}
    found = target.scorer.log_prob(TokenBatch.of(list(place)))
    own = found[[place[row] for row in each]]
    log_weight, log_prob = rows.log_weight.clone(), rows.log_prob.clone()
    log_weight[met] += target.power * (own - log_prob[met])
    log_prob[met] = own
    return replace(rows, log_weight=log_weight, log_prob=log_prob)


def thinned(
    draws: Draws, rows: GrownRows, island: Tensor, texts: int, scheme: OfRows
) -> tuple[GrownRows, Tensor]:
    """Closed rows of few texts on each island, with the same averages; and where each comes from.

    Half of the texts are the likeliest a token, as far as is known, and keep their weights. Of the
    others so many rows are drawn by their weights as make up the number, and share the weight of
    all; so for every text x the average weight on x is what it was. The rest gets weight zero.

    Parameters
    ----------
    draws : Draws
    rows : GrownRows
    island : int64 [N]
    texts : int
        Different texts of each island, at most; at least 2.
    scheme : "multinomial", "stratified" or "systematic"
        How the others are drawn.

    Returns
    -------
    rows : GrownRows
    chosen : int64 [N]
        The row that stands in each place now.
    """
    chosen, log_weight = torch.arange(len(island)), rows.log_weight.clone()
    written = rows.batch.rows()
    merit = rows.log_prob / (rows.batch.length + 1)
    for places in chosen.clone().split(torch.bincount(island).tolist()):
        met = places[rows.log_weight[places] > -torch.inf]
        best = dict.fromkeys(written[k] for k in met[merit[met].argsort(descending=True)].tolist())
        if len(best) <= texts:
            continue
        kept = set(list(best)[: texts // 2])
        others = torch.tensor([k for k in met.tolist() if written[k] not in kept])
        drawn, left = others[: texts - len(kept)], others[texts - len(kept) :]
        of_others = rows.log_weight[others]
        law = of_others.softmax(0)
        chosen[drawn] = others[ancestors(draws, law, len(drawn), scheme)]
        log_weight[drawn] = log_mean_exp(of_others, count=len(drawn))
        log_weight[left] = -torch.inf
    # The weights are those of the places, and all else is of the row that stands there.
    return replace(rows.select(chosen), log_weight=log_weight), chosen
