"""Edits of token sequences as ``Moves``, with exact forward and backward log-probabilities.

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
from ergotext.samplers.chains.edits import (
    DELETE,
    INSERT,
    MOVES,
    REPLACE,
    STAY,
    SWAP,
    Layout,
    growth,
    rearranged,
    same_unit,
    source_columns,
)
from ergotext.samplers.chains.proposal import Proposal
from ergotext.samplers.chains.token_proposal import Slot
from ergotext.samplers.draws import Draws


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

    @property
    def names(self) -> tuple[str, ...]:
        """insert, delete, replace, swap and stay."""
        return MOVES

    def propose(
        self, draws: Draws, batch: TokenBatch, scorer: NextTokenScorer, temperature: Tensor
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

        source = source_columns(batch, here, move, place, partner)
        proposed = rearranged(batch, source, token, growth(move))
        there = Layout(proposed)

        back = torch.where(move == INSERT, DELETE, torch.where(move == DELETE, INSERT, move))
        place_there = torch.where(move == SWAP, same_unit(here, there, place), place)
        partner_there = torch.where(move == SWAP, same_unit(here, there, partner), partner)
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
        temperature: Tensor,
    ) -> Tensor:
        """float64 [B, V]: the slot law of every row that needs one, to go or to come back."""
        rows = (move <= REPLACE).nonzero()[:, 0]
        law = torch.zeros(len(batch), len(scorer.allowed), dtype=torch.float64)
        if len(rows):
            start = place[rows]
            stop = start + (move[rows] != INSERT)
            law[rows] = self.slot.law(scorer, batch.select(rows), start, stop, temperature[rows])
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


def _at(law: Tensor, index: Tensor) -> Tensor:
    """float64 [B]: log-probability of ``index`` under each row; -inf beyond its columns."""
    inside = index < law.shape[1]
    value = law.gather(1, index.clamp(max=law.shape[1] - 1)[:, None])[:, 0]
    return torch.where(inside, value, 0.0).log()
