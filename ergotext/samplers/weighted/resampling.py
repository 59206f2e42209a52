"""Resampling schemes of SMC, unbiased in the number of offspring.

All three are written as finite laws, so that every outcome of them can be enumerated.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Literal, get_args

import torch
from torch import Tensor

from ergotext.errors import InputError
from ergotext.samplers.draws import Draws

AT_ONCE = 1 << 20
"""Probabilities laid out side by side: 8 MB of them."""
LEAST = 1e-8
"""Share of the weight by which a living row is resampled at least, however little it weighs.

Rounding would never take a row of less than 1e-16, and its mass would be missing from all averages.
"""

OfRows = Literal["multinomial", "stratified", "systematic"]
Scheme = Literal["distinct"] | OfRows
"""How rows are copied, or ``distinct``: different continuations are kept instead (``children``)."""
SCHEMES: tuple[str, ...] = ("distinct", *get_args(OfRows))


def lifted(log_weight: Tensor) -> Tensor:
    """float64 [M], nats: how much more rows count in resampling than they weigh; mostly 0.

    What is copied of such a row weighs less by as much, so all averages stay what they were.

    Parameters
    ----------
    log_weight : float64 [M]
        Nats; -inf for a dead row, which stays dead.
    """
    lift = (log_weight.logsumexp(0) + math.log(LEAST) - log_weight).clamp(min=0)
    return lift.where(log_weight > -torch.inf, 0.0)


def ancestors(draws: Draws, weight: Tensor, count: int, scheme: OfRows) -> Tensor:
    """int64 [count]: which particles to continue from; particle i on average ``count · W_i`` times.

    A particle of weight zero is never chosen.

    Parameters
    ----------
    draws : Draws
    weight : float64 [N]
        Normalised, W.
    count : int
    scheme : "multinomial", "stratified" or "systematic"
        Independent choices; one uniform point in each of ``count`` equal strata of [0, 1); or one
        point shared by all strata.

    Raises
    ------
    InputError
        Another scheme is asked for.

    References
    ----------
    Douc, Cappé and Moulines 2005, "Comparison of resampling schemes for particle filtering".
    """
    if scheme not in get_args(OfRows):
        raise InputError(f"no resampling scheme {scheme!r}; choose one of {get_args(OfRows)}")
    if scheme == "multinomial":
        return _in_blocks(draws, lambda strata: weight.expand(len(strata), -1), count, len(weight))
    cumulative = weight.cumsum(0)
    # In units of strata; a particle of weight zero keeps an interval of length zero.
    cumulative = count * (cumulative / cumulative[-1])
    if scheme == "stratified":
        law = partial(_stratum_law, cumulative)
        return _in_blocks(draws, law, count, len(weight))
    return _systematic(draws, cumulative, count)


def _in_blocks(draws: Draws, law: Callable[[Tensor], Tensor], count: int, width: int) -> Tensor:
    """int64 [count]: a draw of each stratum's law, of so many at once as memory should hold."""
    blocks = torch.arange(count).split(max(1, AT_ONCE // width))
    return torch.cat([draws.categorical(law(strata)) for strata in blocks])


def _stratum_law(cumulative: Tensor, strata: Tensor) -> Tensor:
    """float64 [n, N]: the share of each stratum that lies in each particle's interval."""
    below = torch.cat([cumulative.new_zeros(1), cumulative[:-1]])
    stratum = strata.double()[:, None]
    share = torch.minimum(cumulative, stratum + 1) - torch.maximum(below, stratum)
    share = share.clamp(min=0.0)
    return share / share.sum(1, keepdim=True)


def _systematic(draws: Draws, cumulative: Tensor, count: int) -> Tensor:
    """The outcome changes only where the shared point passes a fractional part: draw between."""
    ends = torch.tensor([0.0, 1.0], dtype=torch.float64)
    edges = torch.cat([ends, cumulative.frac()]).unique()
    width = edges.diff()
    between = int(draws.categorical((width / width.sum())[None])[0])
    point = (edges[between] + edges[between + 1]) / 2
    chosen = torch.searchsorted(cumulative, torch.arange(count) + point, right=True)
    # A point may round up to the end; the last particle that has a weight is then meant.
    return chosen.clamp(max=int((cumulative < cumulative[-1]).sum()))
