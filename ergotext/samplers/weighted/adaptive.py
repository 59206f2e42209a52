"""A proposal that asks the automaton about few tokens, the likeliest, and lists where it must."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ergotext.errors import InputError
from ergotext.lm.protocols import Automaton
from ergotext.samplers.draws import Draws
from ergotext.samplers.options import check_whole
from ergotext.samplers.weighted.choices import Choice, Listed, Step, drawn, pinned
from ergotext.support.arrays import Ints

FIRST, GROWTH = 32, 4
"""Tokens asked about at first, and how many times as many where these do not do."""
ROUNDING = 1e-12
"""What is left of 1 beside the tokens asked about is known no better than this."""


@dataclass(frozen=True)
class AdaptiveRejection:
    """Ask the automaton about the likeliest tokens only, and weigh for what that leaves open.

    Of the tokens asked about, those that are allowed have the mass h. The others have the mass s;
    one of them, y, is drawn by p and asked about as well. Then

        h + s · 1[y is allowed]

    is an estimate of p(A) without bias, and v is drawn from its parts: an allowed token by its p,
    and y by s. Tokens are asked about until s is at most ``doubt`` · h, so that no weight is off by
    more than that share. Where s stays above, as where what is allowed is unlikely, the automaton
    lists what it allows, and p(A) is known. All this is settled before anything is drawn, so that
    rows can be resampled by h.

    Rejection as it was published draws tokens until one is allowed, and a few more to estimate
    p(A). With one more its estimate is mostly near p(v) and rarely near 1: where p(A) is small it
    spreads by a factor of about √(1/p(A)), where this one keeps within 1 + ``doubt``.

    Parameters
    ----------
    patience : int
        Tokens of each row that are asked about before all are listed; 0 is ``masked``.
    doubt : float
        Most of s / h.

    Raises
    ------
    InputError
        ``patience`` is negative, or ``doubt`` is negative or not finite.

    References
    ----------
    Lipkin et al. 2025, "Fast controlled generation from language models with adaptive weighted
    rejection sampling", arXiv 2504.05410, for weights from few questions.
    """

    patience: int = 512
    doubt: float = 0.1

    def __post_init__(self) -> None:
        check_whole(0, patience=self.patience)
        if not 0 <= self.doubt < math.inf:
            raise InputError(f"doubt must be 0 or more and finite, got {self.doubt}")

    def look(self, log_prob: Tensor, automaton: Automaton, states: Ints, left: int) -> Choice:  # noqa: ARG002 - the automaton knows what is left
        scale = log_prob.logsumexp(1)
        mass = (log_prob - scale[:, None]).exp_()
        ways, unsure = self._asked(mass, automaton, states)
        token, allowed = torch.from_numpy(ways[:, :, 0]), torch.from_numpy(ways[:, :, 1] >= 0)
        score = log_prob.gather(1, token).masked_fill(~allowed, -torch.inf)
        mass.scatter_(1, token, 0.0)
        if len(rows := np.flatnonzero(unsure)):
            listed = Listed.of(log_prob[rows], automaton, states[rows], None)
            ways, score = _replaced(ways, score, rows, listed)
            mass[rows] = 0.0  # nothing is left to ask
        return _Asked(ways, score, mass, scale, automaton, states)

    def __call__(self, draws: Draws, log_prob: Tensor, automaton: Automaton, states: Ints) -> Step:
        return drawn(draws, self.look(log_prob, automaton, states, 0))

    def _asked(
        self, mass: Tensor, automaton: Automaton, states: Ints
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """[B, C, 2], the tokens asked about and the states after them, and who must list: [B].

        A row that asked about fewer than others has its first token again in the columns left, with
        the dead state.
        """
        top = mass.topk(min(self.patience, mass.shape[1]))
        token, chance = top.indices.numpy(), top.values.numpy()
        ways = np.stack([np.repeat(token[:, :1], token.shape[1], 1), np.full_like(token, -1)], 2)
        unsure = np.ones(len(states), dtype=np.bool_)
        begin, end = 0, FIRST
        while begin < token.shape[1] and unsure.any():
            rows, some = np.flatnonzero(unsure), token[unsure, begin:end]
            after = automaton.advance(np.repeat(states[rows], some.shape[1]), some.flatten())
            ways[rows, begin:end] = np.stack([some, after.reshape(some.shape)], 2)
            allowed = chance[rows, :end] * (ways[rows, :end, 1] >= 0)
            # Never 0: what is allowed may be less likely than the error of a sum of others.
            rest = np.maximum(1.0 - chance[rows, :end].sum(1), ROUNDING)
            unsure[rows] = rest > self.doubt * allowed.sum(1)
            begin, end = end, end * GROWTH
        return ways, unsure


def _replaced(
    ways: NDArray[np.int64], score: Tensor, rows: Ints, listed: Listed
) -> tuple[NDArray[np.int64], Tensor]:
    """The ways and their scores with those of ``rows`` listed."""
    width = max(ways.shape[1], listed.ways.shape[1])
    wide = np.zeros((len(ways), width, 2), dtype=np.int64)
    wide[:, : ways.shape[1]] = ways
    wide[rows, : listed.ways.shape[1]] = listed.ways
    scores = torch.full((len(ways), width), -torch.inf, dtype=torch.float64)
    scores[:, : score.shape[1]] = score
    scores[rows] = -torch.inf
    scores[rows, : listed.score.shape[1]] = listed.score
    return wide, scores


@dataclass(frozen=True, eq=False)
class _Asked:
    """The choice among the tokens that are known to be allowed, and one of the others."""

    ways: NDArray[np.int64]
    """[B, C, 2]: token and state after it"""
    score: Tensor
    """float64 [B, C]: log p; -inf where nothing is allowed"""
    rest: Tensor
    """float64 [B, V]: masses of the tokens that were not asked about, over exp(scale)"""
    scale: Tensor
    """float64 [B]"""
    automaton: Automaton
    states: Ints

    @cached_property
    def log_mass(self) -> Tensor:
        return self.score.logsumexp(1)

    def draw(self, draws: Draws, rows: Tensor, given: Tensor | None = None) -> Step:
        rest, states = self.rest[rows], self.states[rows.numpy()]
        left = rest.sum(1)
        law = rest / left.where(left > 0, 1.0)[:, None]
        law[left == 0, 0] = 1.0
        if given is not None:  # given a token that was not asked about, y is that token
            here = torch.arange(law.shape[1]) == given[:, None]
            law = torch.where((here & (rest > 0)).any(1, keepdim=True), here.double(), law)
        other = draws.categorical(law)
        after = self.automaton.advance(states, other.numpy())
        possible = (left > 0) & torch.from_numpy(after >= 0)
        found = (left.log() + self.scale[rows]).masked_fill(~possible, -torch.inf)
        score = torch.cat([self.score[rows], found[:, None]], 1)
        ways = self.ways[rows.numpy()]
        ways = np.concatenate([ways, np.stack([other.numpy(), after], 1)[:, None]], 1)
        law = score.softmax(1)
        if given is not None:
            there = torch.from_numpy(ways[:, :, 0]) == given[:, None]
            law = pinned(law, there & (score > -torch.inf), given)
        chosen = draws.categorical(law).numpy()
        token, state = ways[np.arange(len(rows)), chosen].T
        weight = score.logsumexp(1) - self.log_mass[rows]
        return Step(torch.from_numpy(token.copy()), state.copy(), weight)
