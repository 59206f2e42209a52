"""Grow rows from left to right with a proposal, tracking their weights."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ergotext.errors import InputError
from ergotext.lm.batch import TokenBatch
from ergotext.samplers.draws import Draws
from ergotext.samplers.feasible import FeasibleAutomaton
from ergotext.samplers.target import Target
from ergotext.samplers.weighted.proposals import Step, TokenProposal
from ergotext.support.arrays import Ints


@dataclass(frozen=True, eq=False)
class GrownRows:
    """The rows written so far; all unfinished rows have the same length."""

    batch: TokenBatch
    state: Ints
    """[B]: of the automaton"""
    log_weight: Tensor
    """float64 [B], nats: -inf for a dead row"""
    open: Tensor
    """bool [B]: neither dead nor closed by an end token"""
    owed: Tensor
    """float64 [B], nats: what the next step of an open row takes off its weight"""
    doubted: bool = False
    """whether any step so far has doubted a token (``next_token.Step``)"""

    @classmethod
    def start(cls, target: Target, count: int) -> GrownRows:
        """``count`` empty rows of weight 1.

        Raises
        ------
        InputError
            ``count`` is below one.
        """
        if count < 1:
            raise InputError(f"the number of sequences must be at least 1, got {count}")
        return cls(
            TokenBatch.of([()] * count),
            target.automaton.start(count),
            torch.zeros(count, dtype=torch.float64),
            torch.ones(count, dtype=torch.bool),
            torch.zeros(count, dtype=torch.float64),
        )

    def select(self, index: Tensor) -> GrownRows:
        return GrownRows(
            self.batch.select(index),
            self.state[index.numpy()],
            self.log_weight[index],
            self.open[index],
            self.owed[index],
            self.doubted,
        )


def grow(draws: Draws, target: Target, proposal: TokenProposal, rows: GrownRows) -> GrownRows:
    """Append one token to every unfinished row and update its weight.

    A row that is closed is multiplied by exp(−soft), a row as long as it may be is closed with the
    probability of its end token as weight.
    """
    at = rows.open.nonzero()[:, 0]
    prefix, states = rows.batch.select(at), rows.state[at.numpy()]
    log_prob = target.scorer.next_log_prob(prefix, prefix.length)
    left = target.max_length - prefix.longest
    if left:
        step = proposal(draws, log_prob, FeasibleAutomaton(target.automaton, left - 1), states)
    else:
        step = _closing(target, log_prob, states)
    alive = step.log_weight > -torch.inf
    ended = alive & (step.token == target.automaton.end)
    log_weight = rows.log_weight.clone()
    going = alive & ~ended
    owed, new = rows.owed.clone(), torch.zeros_like(step.log_weight)
    if step.owed is not None:
        new = step.owed
    log_weight[at] += step.log_weight - owed[at] - new.where(ended, 0.0)
    log_weight[at[ended]] += target.log_soft(prefix.select(ended))
    owed[at] = new.where(going, 0.0)
    open_, state = rows.open.clone(), rows.state.copy()
    open_[at] = going
    state[at.numpy()] = step.state
    batch = _written(rows.batch, at[going], step.token[going])
    return GrownRows(batch, state, log_weight, open_, owed, rows.doubted or step.doubted)


def grown(draws: Draws, target: Target, proposal: TokenProposal, count: int) -> GrownRows:
    """Rows written to their ends: independent draws with their weights."""
    rows = GrownRows.start(target, count)
    while bool(rows.open.any()):
        rows = grow(draws, target, proposal, rows)
    return rows


def _closing(target: Target, log_prob: Tensor, states: Ints) -> Step:
    """The end token, forced and weighed."""
    end = target.automaton.end
    token = torch.full((len(states),), end)
    after = target.automaton.advance(states, token.numpy())
    dead = torch.from_numpy(after < 0)
    return Step(token, after, log_prob[:, end].masked_fill(dead, -torch.inf))


def _written(batch: TokenBatch, at: Tensor, token: Tensor) -> TokenBatch:
    """The batch with one token after each of the rows ``at``."""
    wide = batch.padded(batch.longest + 1)
    ids, length = wide.ids.clone(), batch.length.clone()
    ids[at, length[at]] = token
    length[at] += 1
    return replace(wide, ids=ids, length=length)
