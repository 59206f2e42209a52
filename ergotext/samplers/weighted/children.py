"""Resampling among next tokens: of all continuations of all rows the best stay, each once.

A sharp target, such as a power of the model, leaves a row few tokens that matter. Copies of it then
take the same one, and the particles are soon one text. So the rows are not copied: all that they
could become are compared, and as many different ones as there are places go on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ergotext.errors import InputError
from ergotext.samplers.draws import Draws
from ergotext.samplers.weighted.choices import Enumerable
from ergotext.samplers.weighted.resampling import ancestors, lifted
from ergotext.samplers.weighted.rollout import Ahead, GrownRows

BLOCK = 64
"""Numbers of which the highest alone is looked at first, where a few are to be found among many."""


@dataclass(frozen=True, eq=False)
class Descent:
    """Which continuation each row becomes."""

    rows: GrownRows
    """The rows to be continued, in their new places and with their new weights."""
    parent: Tensor
    """int64 [N]: where each of them was"""
    token: Tensor
    """int64 [N]: what each is continued by; -1 where no row is open"""
    chosen: int
    """In how many of the pools there were more continuations than places."""


def descend(draws: Draws, rows: GrownRows, ahead: Ahead, pools: Sequence[Tensor]) -> Descent:
    """Continue the open rows of each pool by the tokens that are kept.

    Rows of the same text count as one, of all their weight; what they become is shared out among
    them, so that each is the ancestor of some. A text of next to no weight is compared by a little
    more (``resampling.lifted``).

    Parameters
    ----------
    draws : Draws
    rows : GrownRows
        Looked at: their weights know the mass of what may follow.
    ahead : Ahead
    pools : sequence of int64 [M]
        Places that rows of a pool may take. Those that are not needed stay empty.

    Raises
    ------
    InputError
        The proposal does not list the next tokens.
    """
    if not isinstance(ahead.choice, Enumerable):
        raise InputError(
            'resampling="distinct" compares all next tokens, which this proposal does not list: '
            "use the proposal twisted, masked or finishing, or another resampling"
        )
    parent, token = torch.arange(len(rows.open)), torch.full((len(rows.open),), -1)
    log_weight, open_, chosen = rows.log_weight.clone(), rows.open.clone(), 0
    for places in pools:
        alive = places[rows.open[places]]
        if not len(alive):
            continue
        members = _same_text(rows, alive)
        first = torch.stack([each[0] for each in members])
        share = torch.stack([rows.log_weight[each].logsumexp(0) for each in members])
        scale, lift = share.max(), lifted(share)
        law, tokens = ahead.choice.children(ahead.place[first])
        weight = (share + lift - scale).exp()[:, None] * law
        index, kept = thinned_out(draws, weight, len(places))
        chosen += int((weight > 0).sum() > len(places))
        row, column = index // weight.shape[1], index % weight.shape[1]
        filled, empty = places.split([len(index), len(places) - len(index)])
        parent[filled], token[filled] = _shared_out(members, row.tolist()), tokens[row, column]
        log_weight[filled], open_[filled] = kept.log() + scale - lift[row], True
        log_weight[empty], open_[empty] = -torch.inf, False
    moved = replace(rows.select(parent), log_weight=log_weight, open=open_)
    return Descent(moved, parent, token.masked_fill(~open_, -1), chosen)


def thinned_out(draws: Draws, weight: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """int64 [K] and float64 [K]: at most ``count`` entries of a matrix and their new weights.

    Each entry of weight w comes w/w' times on average, w' being its new weight. Those above a
    threshold κ, such that Σ min(1, w/κ) is ``count``, keep their weight and come once; the others
    come with weight κ or not at all. Among all ways to keep so many without bias this changes the
    weights least (Σ E(w' − w)²).

    The others are drawn row by row in strata, then independently within a row, so one of them may
    come twice.

    Parameters
    ----------
    draws : Draws
    weight : float64 [R, C]
        At least one above 0.
    count : int

    References
    ----------
    Fearnhead and Clifford 2003, "On-line inference for hidden Markov models via particle filters",
    section 3.
    """
    flat = weight.flatten()
    if int((flat > 0).sum()) <= count:
        there = flat.nonzero()[:, 0]
        return there, flat[there]
    top, at = _largest(flat, count)
    below = flat.sum() - (top.cumsum(0) - top)
    above = top * torch.arange(count, 0, -1) > below
    keep = at[: min(int(above.long().cumprod(0).sum()), count - 1)]
    rest = flat.clone()
    rest[keep] = 0.0
    rest = rest.view(weight.shape)
    mass = rest.sum(1)
    left = count - len(keep)
    row = ancestors(draws, mass / mass.sum(), left, "systematic")
    column = draws.categorical(rest[row] / mass[row, None])
    level = (mass.sum() / left).expand(left)
    return torch.cat([keep, row * weight.shape[1] + column]), torch.cat([flat[keep], level])


def _largest(values: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The largest of many numbers, falling, and where they are."""
    whole = len(values) // BLOCK * BLOCK
    highest = values[:whole].view(-1, BLOCK).amax(1)
    if len(highest) < count:
        return values.topk(count)
    # There are so many blocks with a number of this size that none below it is looked for.
    likely = (values >= highest.topk(count).values[-1]).nonzero()[:, 0]
    top, place = values[likely].topk(count)
    return top, likely[place]


def _same_text(rows: GrownRows, alive: Tensor) -> list[Tensor]:
    """The rows of each text: int64 places."""
    found: dict[tuple[int, ...], list[int]] = {}
    for text, place in zip(rows.batch.select(alive).rows(), alive.tolist(), strict=True):
        found.setdefault(text, []).append(place)
    return [torch.tensor(places) for places in found.values()]


def _shared_out(members: Sequence[Tensor], row: Sequence[int]) -> Tensor:
    """int64 [K]: for each continuation of a text one of the rows that have it, in turn."""
    turn, parents = [0] * len(members), []
    for text in row:
        parents.append(int(members[text][turn[text] % len(members[text])]))
        turn[text] += 1
    return torch.tensor(parents)
