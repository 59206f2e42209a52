"""Grow rows from left to right with a proposal, tracking their weights."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ergotext.errors import InputError
from ergotext.lm.batch import TokenBatch
from ergotext.samplers.draws import Draws
from ergotext.samplers.feasible import FeasibleAutomaton
from ergotext.samplers.target import Target
from ergotext.samplers.weighted.choices import Choice, Step
from ergotext.samplers.weighted.proposals import TokenProposal, choice_of
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
    log_prob: Tensor
    """float64 [B], nats: log p of the tokens of an open row"""
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
        zero = torch.zeros(count, dtype=torch.float64)
        return cls(
            TokenBatch.of([()] * count),
            target.automaton.start(count),
            zero,
            torch.ones(count, dtype=torch.bool),
            zero,
            zero,
        )

    def select(self, index: Tensor) -> GrownRows:
        return GrownRows(
            self.batch.select(index),
            self.state[index.numpy()],
            self.log_weight[index],
            self.open[index],
            self.owed[index],
            self.log_prob[index],
            self.doubted,
        )


@dataclass(frozen=True, eq=False)
class Ahead:
    """What is known of the next token of the open rows before it is drawn."""

    place: Tensor
    """int64 [B]: of each row among the open ones; -1 for others"""
    log_prob: Tensor
    """float64 [n, V]: log p of the next token of each open row"""
    choice: Choice


def look(target: Target, proposal: TokenProposal, rows: GrownRows) -> tuple[GrownRows, Ahead]:
    """The rows, weighed for what the proposal knows before the draw, and their choices.

    Rows that cannot continue die.
    """
    at = rows.open.nonzero()[:, 0]
    prefix, states = rows.batch.select(at), rows.state[at.numpy()]
    written = prefix.longest
    log_prob = target.scorer.next_log_prob(prefix, prefix.length)
    power, before = target.exponent(written), target.exponent(written - 1)
    left = target.max_length - written
    chance = log_prob if power == 1 else power * log_prob
    choice: Choice
    if left:
        automaton = FeasibleAutomaton(target.automaton, left - 1)
        choice = choice_of(proposal, chance, automaton, states, left - 1)
    else:
        choice = _closing(target, chance, states)
    log_weight, place = rows.log_weight.clone(), torch.full((len(rows.open),), -1)
    log_weight[at] += choice.log_mass - rows.owed[at] + (power - before) * rows.log_prob[at]
    place[at] = torch.arange(len(at))
    open_ = rows.open & (log_weight > -torch.inf)
    return replace(rows, log_weight=log_weight, open=open_), Ahead(place, log_prob, choice)


def extend(
    draws: Draws,
    target: Target,
    rows: GrownRows,
    ahead: Ahead,
    row: Tensor,
    given: Tensor | None = None,
) -> GrownRows:
    """Draw the next token of every open row.

    A row that is closed is multiplied by exp(−soft), and gets the power of its target.

    Parameters
    ----------
    row : int64 [B]
        Which row of those looked at each is: others than its own after resampling.
    given : int64 [B], optional
        Tokens that rows must take; -1 for those that draw.
    """
    at = rows.open.nonzero()[:, 0]
    if not len(at):
        return rows
    place = ahead.place[row[at]]
    chosen = () if given is None else (given[at],)
    step = ahead.choice.draw(draws, place, *chosen)
    prefix = rows.batch.select(at)
    written = prefix.longest
    log_prob = rows.log_prob.clone()
    log_prob[at] += ahead.log_prob[place, step.token]
    alive = step.log_weight > -torch.inf
    ended = alive & (step.token == target.automaton.end)
    going = alive & ~ended
    owed, new = torch.zeros_like(rows.owed), torch.zeros_like(step.log_weight)
    if step.owed is not None:
        new = step.owed
    log_weight = rows.log_weight.clone()
    log_weight[at] += step.log_weight - new.where(ended, 0.0)
    late = target.power - target.exponent(written)
    log_weight[at[ended]] += target.log_soft(prefix.select(ended)) + late * log_prob[at[ended]]
    owed[at] = new.where(going, 0.0)
    open_, state = rows.open.clone(), rows.state.copy()
    open_[at] = going
    state[at.numpy()] = step.state
    batch = _written(rows.batch, at[going], step.token[going])
    doubted = rows.doubted or step.doubted
    return GrownRows(batch, state, log_weight, open_, owed, log_prob, doubted)


def grow(draws: Draws, target: Target, proposal: TokenProposal, rows: GrownRows) -> GrownRows:
    """Append one token to every unfinished row and update its weight.

    A row as long as it may be is closed with the probability of its end token as weight.
    """
    rows, ahead = look(target, proposal, rows)
    return extend(draws, target, rows, ahead, torch.arange(len(rows.open)))


def grown(draws: Draws, target: Target, proposal: TokenProposal, count: int) -> GrownRows:
    """Rows written to their ends: independent draws with their weights."""
    rows = GrownRows.start(target, count)
    while bool(rows.open.any()):
        rows = grow(draws, target, proposal, rows)
    return rows


@dataclass(frozen=True, eq=False)
class _Closing:
    """The end token, forced and weighed."""

    end: int
    log_mass: Tensor
    state: Ints

    def children(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        token = torch.full((len(rows), 1), self.end)
        return torch.ones_like(token, dtype=torch.float64), token

    def draw(self, draws: Draws, rows: Tensor, given: Tensor | None = None) -> Step:  # noqa: ARG002 - nothing is left to draw
        token = torch.full((len(rows),), self.end)
        return Step(token, self.state[rows.numpy()], torch.zeros(len(rows), dtype=torch.float64))


def _closing(target: Target, log_prob: Tensor, states: Ints) -> Choice:
    end = target.automaton.end
    after = target.automaton.advance(states, np.full(len(states), end))
    dead = torch.from_numpy(after < 0)
    return _Closing(end, log_prob[:, end].masked_fill(dead, -torch.inf), after)


def _written(batch: TokenBatch, at: Tensor, token: Tensor) -> TokenBatch:
    """The batch with one token after each of the rows ``at``."""
    wide = batch.padded(batch.longest + 1)
    ids, length = wide.ids.clone(), batch.length.clone()
    ids[at, length[at]] = token
    length[at] += 1
    return replace(wide, ids=ids, length=length)
