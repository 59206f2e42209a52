"""Edit moves on token sequences, each with the exact log-probability of going and coming back.

A move is a path: kind of move, place, token. Its reverse is the one path that undoes it, and
detailed balance is kept path by path. Units are what moves as a whole: a free token or a keyword.

========  =====================  ==================================  =====================
move      place                  token                               reverse
========  =====================  ==================================  =====================
insert    gap, by surprisal      slot law at the gap                 delete that token
delete    token, by surprisal    –                                   insert it there
replace   token, by surprisal    slot law, the old token left out    replace it back
swap      unit, and another      –                                   swap the same places
========  =====================  ==================================  =====================
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from ergotext.lm.batch import TokenBatch
from ergotext.lm.protocols import NextTokenScorer
from ergotext.samplers.draws import Draws
from ergotext.samplers.slot import Slot

MOVES = ("insert", "delete", "replace", "swap", "stay")
INSERT, DELETE, REPLACE, SWAP, STAY = range(5)


@dataclass(frozen=True, eq=False)
class Proposal:
    """Where a step would go: one proposed row a chain, with the path's log-probabilities."""

    batch: TokenBatch
    move: Tensor
    """int64 [B], index into MOVES"""
    log_q_to: Tensor
    """float64 [B]: log q(path from the state to the proposal)"""
    log_q_back: Tensor
    """float64 [B]: log q(reverse path); -inf where there is none"""


@dataclass(frozen=True, eq=False)
class Layout:
    """What can be edited where in each row."""

    batch: TokenBatch
    free: Tensor = field(init=False)
    """bool [B, L + 1]: free tokens"""
    unit: Tensor = field(init=False)
    """bool [B, L + 1]: first tokens of units"""
    gap: Tensor = field(init=False)
    """bool [B, L + 1]: places before which a token may go in (the row's end is one)"""

    def __post_init__(self) -> None:
        batch = self.batch.padded(self.batch.width + 1)
        inside, marks = batch.inside, batch.locked
        before = torch.nn.functional.pad(marks, (1, 0))[:, :-1]
        unit = inside & ((marks == 0) | (marks != before))
        end = torch.arange(batch.width) == batch.length[:, None]
        object.__setattr__(self, "free", inside & (marks == 0))
        object.__setattr__(self, "unit", unit)
        object.__setattr__(self, "gap", unit | end)


@dataclass(frozen=True)
class EditMoves:
    """Insert, delete, replace and swap, chosen at random among those possible in the state.

    Parameters
    ----------
    max_length : int
        Longest row, in tokens; the space is bounded there.
    weights : four floats
        Relative weights of insert, delete, replace and swap.
    slot : Slot
        The law of inserted and replacing tokens.
    """

    max_length: int
    weights: tuple[float, float, float, float] = (3.0, 2.0, 4.0, 1.0)
    slot: Slot = field(default_factory=Slot)

    def propose(
        self, draws: Draws, batch: TokenBatch, scorer: NextTokenScorer, temperature: float = 1.0
    ) -> Proposal:
        """Draw one path a row. Draws, in order: move, place, partner (of a swap), token."""
        here = Layout(batch)
        chance = self._move_probability(here)
        move = draws.categorical(chance)
        place_law = _place_law(here, move, scorer.token_log_prob(batch))
        place = draws.categorical(place_law)
        partner_law = _partner_law(here, move, place)
        partner = draws.categorical(partner_law)
        slot = self._slot_law(scorer, batch, move, place, temperature)
        old = batch.padded(batch.width + 1).ids.gather(1, place[:, None])[:, 0]
        token_law = _token_law(slot, move, old)
        token = draws.categorical(token_law)

        source = _source(batch, here, move, place, partner)
        proposed = _rearranged(batch, source, token, _growth(move))
        there = Layout(proposed)

        back = torch.where(move == INSERT, DELETE, torch.where(move == DELETE, INSERT, move))
        place_there = torch.where(move == SWAP, _same_unit(here, there, place), place)
        partner_there = torch.where(move == SWAP, _same_unit(here, there, partner), partner)
        place_back = _place_law(there, back, scorer.token_log_prob(proposed))
        partner_back = _partner_law(there, back, place_there)
        log_to = [_at(chance, move), _at(place_law, place), _at(partner_law, partner)]
        log_back = [
            _at(self._move_probability(there), back),
            _at(place_back, place_there),
            _at(partner_back, partner_there),
        ]
        log_to.append(_at(token_law, token))
        log_back.append(_log_back_token(slot, move, old, token))
        return Proposal(proposed, move, sum_logs(log_to), sum_logs(log_back))

    def _move_probability(self, layout: Layout) -> Tensor:
        """float64 [B, 5]: the weights of the possible moves, normalised; stay if none is."""
        weights = torch.tensor([*self.weights, 0.0], dtype=torch.float64)
        any_free = layout.free.any(-1)
        possible = torch.stack(
            [
                layout.batch.length < self.max_length,
                any_free,
                any_free,
                layout.unit.sum(-1) > 1,
                torch.zeros_like(any_free),
            ],
            dim=1,
        )
        weighed = weights * possible
        weighed[:, STAY] = (weighed.sum(-1) == 0).double()
        return weighed / weighed.sum(-1, keepdim=True)

    def _slot_law(
        self,
        scorer: NextTokenScorer,
        batch: TokenBatch,
        move: Tensor,
        place: Tensor,
        temperature: float,
    ) -> Tensor:
        """float64 [B, V]: the slot law of every row that needs one, to go or to come back."""
        rows = (move <= REPLACE).nonzero()[:, 0]
        law = torch.zeros(len(batch), len(scorer.allowed), dtype=torch.float64)
        if len(rows):
            start = place[rows]
            stop = start + (move[rows] != INSERT)
            law[rows] = self.slot.law(scorer, batch.select(rows), start, stop, temperature)
        return law


def sum_logs(parts: list[Tensor]) -> Tensor:
    """float64 [B]: log-probabilities of the parts of a path add up."""
    return torch.stack(parts).sum(0)


def _place_law(layout: Layout, move: Tensor, token_log_prob: Tensor) -> Tensor:
    """float64 [B, L + 1]: where the move acts; place 0 for certain where there is no place.

    Edits go where the text reads badly. A gap weighs one plus the surprisal (nats) of what follows
    it; a token, one plus its own surprisal and that of what follows it. Swaps choose uniformly.
    """
    surprisal = torch.nn.functional.pad(-token_log_prob, (0, 1)).clamp(max=1e9)
    gap = layout.gap * (1.0 + surprisal[:, :-1])
    token = layout.free * (1.0 + surprisal[:, :-1] + surprisal[:, 1:])
    law = torch.where((move == INSERT)[:, None], gap, token)
    law = torch.where((move == SWAP)[:, None], layout.unit.double(), law)
    law[move == STAY] = 0.0
    law[:, 0] += (law.sum(-1) == 0).double()
    return law / law.sum(-1, keepdim=True)


def _partner_law(layout: Layout, move: Tensor, place: Tensor) -> Tensor:
    """float64 [B, L + 1]: another unit, likelier the nearer (1 / units apart); only for a swap.

    A swap leaves the number of units as it was, and the law knows their order alone, so it is the
    same on the way back.
    """
    order = layout.unit.long().cumsum(-1)
    mine = order.gather(1, place[:, None])
    apart = (order - mine).abs()
    other = layout.unit & (apart > 0) & (move == SWAP)[:, None]
    law = torch.where(other, 1.0 / apart.clamp(min=1).double(), 0.0)
    law[:, 0] += (law.sum(-1) == 0).double()
    return law / law.sum(-1, keepdim=True)


def _token_law(slot: Tensor, move: Tensor, old: Tensor) -> Tensor:
    """float64 [B, V]: what the new token is drawn from; token 0 for certain if there is none.

    A replacement leaves the old token out: proposing what stands there already would be a wasted
    step, and the others are then accepted more often (Liu 1996, "Peskun's theorem and a modified
    discrete-state Gibbs sampler").
    """
    law = slot.clone()
    law[(move != INSERT) & (move != REPLACE)] = 0.0
    replace = move == REPLACE
    law[replace, old[replace]] = 0.0
    total = law.sum(-1, keepdim=True)
    law[:, 0] += (total[:, 0] == 0).double()
    return law / total.where(total > 0, 1.0)


def _log_back_token(slot: Tensor, move: Tensor, old: Tensor, token: Tensor) -> Tensor:
    """float64 [B]: log-probability that the way back draws the old token; 0 where it draws none."""
    others = slot.clone()
    others[torch.arange(len(slot)), token] = 0.0
    weight = slot.gather(1, old[:, None])[:, 0]
    replaced = weight / others.sum(-1)
    back = torch.where(move == DELETE, weight, torch.where(move == REPLACE, replaced, 1.0))
    return back.log()


def _same_unit(here: Layout, there: Layout, place: Tensor) -> Tensor:
    """int64 [B]: where the unit of the same rank begins in the proposal.

    A swap of units of unequal length shifts what lies between them; ranks stay.
    """
    rank = here.unit.long().cumsum(-1).gather(1, place[:, None])
    return ((there.unit.long().cumsum(-1) == rank) & there.unit).long().argmax(-1)


def _growth(move: Tensor) -> Tensor:
    """int64 [B]: by how many tokens the row grows."""
    return (move == INSERT).long() - (move == DELETE).long()


def _source(
    batch: TokenBatch, layout: Layout, move: Tensor, place: Tensor, partner: Tensor
) -> Tensor:
    """int64 [B, L + 1]: for each column of the proposal the column it comes from; -1: new token."""
    columns = layout.free.shape[1]
    j = torch.arange(columns).expand(len(batch), -1)
    at = place[:, None]
    kind = move[:, None]
    insert = torch.where(j < at, j, torch.where(j == at, -1, j - 1))
    delete = torch.where(j < at, j, (j + 1).clamp(max=columns - 1))
    replace = torch.where(j == at, -1, j)
    swap = _swapped(layout, place, partner)
    source = torch.where(kind == INSERT, insert, j)
    source = torch.where(kind == DELETE, delete, source)
    source = torch.where(kind == REPLACE, replace, source)
    return torch.where(kind == SWAP, swap, source)


def _swapped(layout: Layout, place: Tensor, partner: Tensor) -> Tensor:
    """int64 [B, L + 1]: source columns with the units at ``place`` and ``partner`` exchanged."""
    columns = layout.unit.shape[1]
    j = torch.arange(columns).expand(len(place), -1)
    first, second = torch.minimum(place, partner)[:, None], torch.maximum(place, partner)[:, None]
    boundary = torch.where(layout.gap, j, columns)
    first_end = torch.where(j > first, boundary, columns).amin(-1, keepdim=True)
    second_end = torch.where(j > second, boundary, columns).amin(-1, keepdim=True)
    one, two = first_end - first, second_end - second
    middle_start, middle_end = first + two, second + two - one
    moved = torch.where(j < middle_start, j - first + second, j - two + one)
    moved = torch.where(j >= middle_end, j - middle_end + first, moved)
    return torch.where((j >= first) & (j < second_end), moved, j)


def _rearranged(batch: TokenBatch, source: Tensor, token: Tensor, growth: Tensor) -> TokenBatch:
    """The proposal: columns fetched from where ``source`` says, new tokens free."""
    wide = batch.padded(source.shape[1])
    new = source < 0
    fetch = source.clamp(min=0)
    ids = torch.where(new, token[:, None], wide.ids.gather(1, fetch))
    locked = wide.locked.gather(1, fetch).masked_fill(new, 0)
    proposed = TokenBatch(ids, batch.length + growth, locked)
    return proposed.padded(proposed.longest)


def _at(law: Tensor, index: Tensor) -> Tensor:
    """float64 [B]: log-probability of ``index`` under each row; -inf beyond its columns."""
    inside = index < law.shape[1]
    value = law.gather(1, index.clamp(max=law.shape[1] - 1)[:, None])[:, 0]
    return torch.where(inside, value, 0.0).log()
