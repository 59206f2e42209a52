"""Proposals that ask the automaton about few tokens: adaptive weighted rejection sampling."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ergotext.errors import InputError
from ergotext.lm.protocols import Automaton
from ergotext.samplers.draws import Draws
from ergotext.samplers.weighted.proposals import Step, masked
from ergotext.support.arrays import Ints


@dataclass(frozen=True)
class AdaptiveRejection:
    """Adaptive weighted rejection sampling (AWRS): try tokens one by one against the automaton.

    Tokens are drawn from p without replacement until one, v, is allowed: then v ~ p(v)/p(A), and
    the tokens R that were refused are known to be outside A. What is not known is p(A). It is
    estimated without bias by ``checks`` more draws y₁, y₂, … without replacement from what is
    neither in R nor v (Raj's estimator): the mean over j of

        p(v) + Σ_{i<j} p(y_i) 1[y_i ∈ A] + s_j 1[y_j ∈ A],

    s_j being the mass that is left when y_j is drawn. So no weight is zero once v is found, and
    the automaton is asked about few tokens where ``masked`` lists them all.

    Where p(A) is small that turns round, and a dead end would be known by asking about every token
    of the vocabulary. So after ``patience`` refusals the automaton lists what it allows: whatever
    was refused before, v is still to be drawn from p(v)/p(A), and p(A) is known then.

    Parameters
    ----------
    checks : int
        At least 1; more make the weights vary less.
    patience : int
        Tries before the automaton is asked for all that it allows; 0 is ``masked``.

    References
    ----------
    Lipkin et al. 2025, "Fast controlled generation from language models with adaptive weighted
    rejection sampling", arXiv 2504.05410, for the draw and the idea of its weight; Raj 1956, "Some
    estimators in sampling with varying probabilities without replacement", for the estimator.
    """

    checks: int = 1
    patience: int = 32

    def __post_init__(self) -> None:
        if self.checks < 1 or self.patience < 0:
            raise InputError(
                f"checks ({self.checks}) must be at least 1 and patience ({self.patience}) at "
                "least 0"
            )

    def __call__(self, draws: Draws, log_prob: Tensor, automaton: Automaton, states: Ints) -> Step:
        left = _Left.of(log_prob)
        token = torch.zeros(len(states), dtype=torch.int64)
        after = np.full(len(states), -1, dtype=np.int64)
        open_ = left.sum() > 0
        for _ in range(self.patience):
            rows = open_.nonzero()[:, 0]
            if not len(rows):
                break
            token[rows] = drawn = left.draw(draws, rows)
            after[rows.numpy()] = automaton.advance(states[rows.numpy()], drawn.numpy())
            left.take(rows, drawn)
            open_ = torch.from_numpy(after < 0) & (left.sum() > 0)
        known = log_prob.gather(1, token[:, None])[:, 0].exp() * torch.from_numpy(after >= 0)
        if len(rows := open_.nonzero()[:, 0]):
            listed = masked(draws, log_prob[rows], automaton, states[rows.numpy()])
            token[rows], after[rows.numpy()] = listed.token, listed.state
            known[rows] = listed.log_weight.exp()
            left.total[rows] = 0.0  # nothing is left to ask
        return Step(token, after, self._mass(draws, left, known, automaton, states).log())

    def _mass(
        self, draws: Draws, left: _Left, known: Tensor, automaton: Automaton, states: Ints
    ) -> Tensor:
        """float64 [B]: the unbiased estimate of p(A); ``known`` where nothing is left to ask.

        Where no token was found, all have been asked, so that nothing is left there either.
        """
        total, asked = torch.zeros_like(known), torch.zeros_like(known)
        for _ in range(self.checks):
            rest = left.sum()
            rows = (rest > 0).nonzero()[:, 0]
            if not len(rows):
                break
            drawn = left.draw(draws, rows)
            allowed = torch.from_numpy(automaton.advance(states[rows.numpy()], drawn.numpy()) >= 0)
            total[rows] += known[rows] + rest[rows] * allowed
            asked[rows] += 1
            known[rows] += left.take(rows, drawn) * allowed
        # A row that has been asked of everything is known exactly: the terms to come are equal.
        return (total + known * (self.checks - asked)) / self.checks


@dataclass(frozen=True, eq=False)
class _Left:
    """Masses of tokens that are taken away one by one, in blocks of about √V tokens.

    To draw from them is to draw a block and then a token of it, so that it costs 2√V and not V.
    """

    mass: Tensor
    """float64 [B, blocks, width]"""
    total: Tensor
    """float64 [B, blocks]: always the sum of what is left of each block"""

    @classmethod
    def of(cls, log_prob: Tensor) -> _Left:
        count, size = log_prob.shape
        width = math.isqrt(max(0, size - 1)) + 1
        mass = torch.nn.functional.pad(log_prob.exp(), (0, -size % width)).view(count, -1, width)
        return cls(mass, mass.sum(2))

    def sum(self) -> Tensor:
        """float64 [B]: all that is left."""
        return self.total.sum(1)

    def draw(self, draws: Draws, rows: Tensor) -> Tensor:
        """int64 [n]: one token for each of these rows, by the masses that are left."""
        block = draws.categorical(_normalised(self.total[rows]))
        inside = draws.categorical(_normalised(self.mass[rows, block]))
        return block * self.mass.shape[2] + inside

    def take(self, rows: Tensor, token: Tensor) -> Tensor:
        """float64 [n]: remove a token of each of these rows and return its mass."""
        block, inside = token // self.mass.shape[2], token % self.mass.shape[2]
        taken = self.mass[rows, block, inside]
        self.mass[rows, block, inside] = 0.0
        self.total[rows, block] = self.mass[rows, block].sum(1)
        return taken


def _normalised(mass: Tensor) -> Tensor:
    return mass / mass.sum(1, keepdim=True)
