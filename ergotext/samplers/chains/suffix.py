"""Rewrite suffixes from left to right, with their exact proposal probability.

q is the model at each token, times the twist that is given and renormalised; without one, the model
masked by the target's automaton. After ``max_length`` tokens the end is certain.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from ergotext.lm.automaton_base import check_known
from ergotext.lm.batch import TokenBatch
from ergotext.lm.protocols import Twist
from ergotext.samplers.chains.proposal import Proposal
from ergotext.samplers.draws import Draws
from ergotext.samplers.feasible import fits
from ergotext.samplers.target import Target
from ergotext.samplers.twists import psi_of, weighed
from ergotext.support.arrays import Ints

Locks = Callable[[TokenBatch], Tensor]
REWRITE = 0


def rewritten(
    draws: Draws, target: Target, batch: TokenBatch, cut: Tensor, twist: Twist | None = None
) -> tuple[TokenBatch, Tensor]:
    """Rows that keep their first ``cut`` (int64 [B]) tokens, and log q of the rest of each.

    float64 [B]: −inf for a row that came to a dead end; it is no proposal.

    Parameters
    ----------
    draws : Draws
    target : Target
    batch : TokenBatch
    cut : int64 [B]
    twist : Twist, optional
        Of the target's automaton.
    """
    room = target.max_length + 1
    rows = TokenBatch(batch.ids, cut, batch.locked).padded(room)
    state = _read(target, batch, cut)
    log_q = torch.zeros(len(batch), dtype=torch.float64)
    open_ = torch.ones(len(batch), dtype=torch.bool)
    while bool(open_.any()):
        law = _law(target, rows, state, open_, twist)
        dead = open_ & (law.sum(1) == 0)
        log_q[dead] = -torch.inf
        open_ = open_ & ~dead
        law[~open_, 0] = 1.0
        token = draws.categorical(law)
        log_q += law.gather(1, token[:, None])[:, 0].log()
        open_ = open_ & (token != target.automaton.end)
        state = np.where(open_.numpy(), target.automaton.advance(state, token.numpy()), state)
        ids = rows.ids.scatter(1, rows.length[:, None], token[:, None])
        rows = replace(rows, ids=ids, length=rows.length + open_)
    return rows.padded(rows.longest), log_q


def log_q_of(target: Target, batch: TokenBatch, cut: Tensor, twist: Twist | None = None) -> Tensor:
    """float64 [B]: log q of the tokens after the first ``cut`` (int64 [B]) of each row."""
    wide = batch.padded(batch.width + 1)
    state = _read(target, batch, cut)
    log_q = torch.zeros(len(batch), dtype=torch.float64)
    for step in range(int((batch.length - cut).max()) + 1):
        at = cut + step
        open_ = at <= batch.length
        at = torch.minimum(at, batch.length)
        law = _law(target, replace(wide, length=at), state, open_, twist)
        token = wide.ids.gather(1, at[:, None])[:, 0]
        token = torch.where(at == batch.length, target.automaton.end, token)
        log_q += torch.where(open_, law.gather(1, token[:, None])[:, 0].log(), 0.0)
        going = (open_ & (at < batch.length)).numpy()
        state = np.where(going, target.automaton.advance(state, token.numpy()), state)
    return log_q


def _law(
    target: Target, rows: TokenBatch, state: Ints, open_: Tensor, twist: Twist | None
) -> Tensor:
    """float64 [B, V]: what the next token of each open row is drawn from; zeros at a dead end."""
    at = open_.nonzero()[:, 0]
    prefix, states = rows.select(at), state[at.numpy()]
    log_prob = target.power * target.scorer.next_log_prob(prefix, prefix.length)
    if twist is None:
        weight = _masked(target, states, prefix.length, log_prob)
    else:
        weight = _twisted(target, twist, states, prefix.length, log_prob)
    total = weight.sum(1)
    law = torch.zeros(len(rows), log_prob.shape[1], dtype=torch.float64)
    law[at] = weight / total.where(total > 0, 1.0)[:, None]
    return law


def _masked(target: Target, states: Ints, length: Tensor, log_prob: Tensor) -> Tensor:
    """float64 [B, V]: p over a factor, of what the automaton allows after rows of these lengths."""
    row, token, after = map(np.array, target.automaton.candidates(states))
    room = (target.max_length - 1 - length).numpy()[row]
    kept = fits(target.automaton, after, room) | (token == target.automaton.end)
    row, token = row[kept], token[kept]
    check_known(token, log_prob.shape[1])
    allowed = torch.zeros(log_prob.shape, dtype=torch.bool)
    allowed[row, token] = True
    allowed &= _end(target, log_prob) | ~(length >= target.max_length)[:, None]
    return weighed(log_prob, allowed.double())[0]


def _twisted(
    target: Target, twist: Twist, states: Ints, length: Tensor, log_prob: Tensor
) -> Tensor:
    """float64 [B, V]: pψ over a factor, after rows of these lengths."""
    psi = torch.zeros_like(log_prob)
    for written in length.unique().tolist():
        at = (length == written).nonzero()[:, 0]
        left = target.max_length - 1 - written
        if left >= 0:
            psi[at] = psi_of(twist, states[at.numpy()], left, log_prob.shape[1])
        else:
            ends = np.full(len(at), target.automaton.end)
            whole = target.automaton.advance(states[at.numpy()], ends) >= 0
            psi[at] = _end(target, log_prob).double() * torch.from_numpy(whole)[:, None]
    return weighed(log_prob, psi)[0]


def _end(target: Target, log_prob: Tensor) -> Tensor:
    """bool [V]: the end token alone."""
    return torch.arange(log_prob.shape[1]) == target.automaton.end


def _read(target: Target, batch: TokenBatch, cut: Tensor) -> Ints:
    """[B]: the automaton's states after the first ``cut`` tokens."""
    state = target.automaton.start(len(batch))
    for column in range(int(cut.max()) if len(cut) else 0):
        after = target.automaton.advance(state, batch.ids[:, column].numpy())
        state = np.where((cut > column).numpy(), after, state)
    return state


def proposal(
    draws: Draws,
    target: Target,
    batch: TokenBatch,
    cut: Tensor,
    locked: Locks,
    twist: Twist | None = None,
) -> Proposal:
    """Rewrite the tokens after the cut; no proposal where a keyword is lost or gained.

    Gained: a row may hold a word in a spelling that is not marked. Were it free to go from there to
    the marked one, from which it cannot come back, the target would not be kept.
    """
    rows, log_to = rewritten(draws, target, batch, cut, twist)
    rows = rows.where(log_to > -torch.inf, batch)
    rows = TokenBatch(rows.ids, rows.length, locked(rows))
    most = max(int(b.locked.max()) if b.locked.numel() else 0 for b in (batch, rows))
    held = torch.ones(len(batch), dtype=torch.bool)
    for k in range(1, most + 1):
        held &= (rows.locked == k).any(1) == (batch.locked == k).any(1)
    log_back = log_q_of(target, batch, cut, twist)
    log_back = log_back.masked_fill(~held | (log_to == -torch.inf), -torch.inf)
    move = torch.full((len(batch),), REWRITE)
    return Proposal(rows, move, log_to.masked_fill(log_to == -torch.inf, 0.0), log_back)
