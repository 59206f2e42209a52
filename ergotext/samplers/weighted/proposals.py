"""Proposals of the next token, with importance weights.

With the target's p and A, the tokens that the automaton allows after a row, a proposal draws a
token v with a weight w such that E[w · 1[v]] = p(v) · 1[v ∈ A].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from ergotext.errors import InputError
from ergotext.lm.protocols import Automaton
from ergotext.samplers.draws import Draws
from ergotext.samplers.feasible import FeasibleAutomaton
from ergotext.samplers.weighted.choices import Choice, Dense, Listed, Step, drawn
from ergotext.support.arrays import Ints


class TokenProposal(Protocol):
    """Proposal of the next token of each row."""

    def __call__(self, draws: Draws, log_prob: Tensor, automaton: Automaton, states: Ints) -> Step:
        """One token for each row, from log p(token | row), float64 [B, V]."""


def model(draws: Draws, log_prob: Tensor, automaton: Automaton, states: Ints) -> Step:
    """The model itself: v ~ p with weight 1 where v is allowed and 0 where it is not.

    For a power of p the weight is the sum of it over all tokens.
    """
    token = draws.categorical(log_prob.softmax(1))
    after = automaton.advance(states, token.numpy())
    dead = torch.from_numpy(after < 0)
    return Step(token, after, log_prob.logsumexp(1).masked_fill(dead, -torch.inf))


@runtime_checkable
class Looking(Protocol):
    """A proposal that knows a weight before it draws, so that rows can be resampled by it."""

    def look(self, log_prob: Tensor, automaton: Automaton, states: Ints, left: int) -> Choice:
        """The choice of the next token, with ``left`` tokens to follow it."""


@dataclass(frozen=True, eq=False)
class _Blind:
    """The choice of a proposal that knows nothing beforehand."""

    proposal: TokenProposal
    log_prob: Tensor
    automaton: Automaton
    states: Ints

    @property
    def log_mass(self) -> Tensor:
        return torch.zeros(len(self.states), dtype=torch.float64)

    def draw(self, draws: Draws, rows: Tensor, given: Tensor | None = None) -> Step:
        if given is not None:
            raise InputError(
                "this proposal cannot be conditioned on a text; use twisted, masked, finishing "
                "or adaptive"
            )
        return self.proposal(draws, self.log_prob[rows], self.automaton, self.states[rows.numpy()])


def choice_of(
    proposal: TokenProposal, log_prob: Tensor, automaton: Automaton, states: Ints, left: int
) -> Choice:
    """The choice of any proposal."""
    if isinstance(proposal, Looking):
        return proposal.look(log_prob, automaton, states, left)
    return _Blind(proposal, log_prob, automaton, states)


@dataclass(frozen=True)
class Masked:
    """The model given that the token is allowed: v ~ p(v)/p(A) with weight p(A).

    The product of the masses p(A) is the importance weight of the whole: left out, the samples
    are those of the locally normalised model and not of the model given the constraint.

    Parameters
    ----------
    finishing : bool
        Near the maximum length, prefer tokens known to end in time: v ~ p(v)ψ(v)/c with
        c = Σ p(v)ψ(v) over the allowed tokens, ψ being ``finishing.log_trust``: 1, or less where no
        ending in time is known. The weight is c/ψ(v). Its 1/ψ(v) is given when the next token is
        drawn, whose c will tell whether v was to be trusted: until then the row stands for p·ψ, so
        that rows which cannot end do not grow in number on the way.

        That no ending was found is no proof that there is none: where such tokens carry much of Z,
        few draws or none meet it and log Z comes out too low. So the error of log Z is unknown
        wherever a token was doubted, and the result says so. Automata without
        ``protocols.Ending`` are followed as by ``masked``.
    """

    finishing: bool = False

    def look(self, log_prob: Tensor, automaton: Automaton, states: Ints, left: int) -> Choice:  # noqa: ARG002 - the automaton knows what is left
        trust = getattr(automaton, "trust", None) if self.finishing else None
        size = log_prob.shape[1]
        if (
            isinstance(automaton, FeasibleAutomaton)
            and automaton.is_wide(states, size)
            and (trust is None or automaton.is_far())
        ):
            allowed = torch.from_numpy(automaton.mask(states, size)).double()
            return Dense(log_prob, allowed, automaton, states)
        return Listed.of(log_prob, automaton, states, trust)

    def __call__(self, draws: Draws, log_prob: Tensor, automaton: Automaton, states: Ints) -> Step:
        return drawn(draws, self.look(log_prob, automaton, states, 0))


masked = Masked()
finishing = Masked(finishing=True)
