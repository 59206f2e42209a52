"""Proposals of the next token, with importance weights.

With the target's p and A, the tokens that the automaton allows after a row, a proposal draws a
token v with a weight w such that E[w · 1[v]] = p(v) · 1[v ∈ A].
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ergotext.errors import InputError
from ergotext.lm.automaton_base import check_known
from ergotext.lm.protocols import Automaton
from ergotext.samplers.draws import Draws
from ergotext.samplers.target import EnergyError
from ergotext.support.arrays import Ints


@dataclass(frozen=True, eq=False)
class Step:
    """One token more for each row."""

    token: Tensor
    """int64 [B]"""
    state: Ints
    """[B]: of the automaton after it"""
    log_weight: Tensor
    """float64 [B]; -inf where the row is dead, whatever its token"""
    owed: Tensor | None = None
    """float64 [B], nats: to be taken off when the row continues, or ends (``finishing``)"""
    doubted: bool = False
    """Whether tokens were drawn more rarely for want of a known ending (``finishing``)"""


NEVER_WRITTEN = (
    "the proposal never writes a text that the target allows: a twist must be above 0 wherever an "
    "accepted text can follow, and the automaton must accept what the energy allows"
)

Trust = Callable[[Ints, Ints, Ints, Ints, Tensor], Tensor]


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


class Choice(Protocol):
    """The next tokens of rows before they are drawn."""

    @property
    def log_mass(self) -> Tensor:
        """float64 [B]: log weight of each row that is known without the draw; -inf if dead."""

    def draw(self, draws: Draws, rows: Tensor, given: Tensor | None = None) -> Step:
        """One token for each of ``rows`` (int64 [n], none dead), weighed beside the mass.

        ``given``, int64 [n], are tokens that rows must take, as in conditional SMC; -1 for a row
        that draws.
        """


@runtime_checkable
class Enumerable(Choice, Protocol):
    """A choice that can list the next tokens of a row, each with its probability."""

    def children(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """float64 and int64 [n, C]: the law of the next token of ``rows``, and the tokens."""


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
        return Listed.of(log_prob, automaton, states, trust)

    def __call__(self, draws: Draws, log_prob: Tensor, automaton: Automaton, states: Ints) -> Step:
        return drawn(draws, self.look(log_prob, automaton, states, 0))


masked = Masked()
finishing = Masked(finishing=True)


def drawn(draws: Draws, choice: Choice) -> Step:
    """One token for each row, with its whole weight; dead rows get token 0."""
    mass = choice.log_mass
    alive = (mass > -torch.inf).nonzero()[:, 0]
    token = torch.zeros(len(mass), dtype=torch.int64)
    state = np.full(len(mass), -1, dtype=np.int64)
    owed = torch.zeros(len(mass), dtype=torch.float64)
    if not len(alive):
        return Step(token, state, mass, owed)
    step = choice.draw(draws, alive)
    token[alive], state[alive.numpy()] = step.token, step.state
    if step.owed is not None:
        owed[alive] = step.owed
    log_weight = mass.index_add(0, alive, step.log_weight)
    return Step(token, state, log_weight, owed, step.doubted)


def pinned(law: Tensor, there: Tensor, given: Tensor) -> Tensor:
    """float64 [n, C]: the law of each row, sure of the column of the given token where one is.

    Parameters
    ----------
    law : float64 [n, C]
    there : bool [n, C]
        The column of each row's given token, if it has any probability.
    given : int64 [n]
        -1 where none is given.

    Raises
    ------
    EnergyError
        A given token cannot be drawn.
    """
    sure = given >= 0
    if not bool(there.any(1)[sure].all()):
        raise EnergyError(NEVER_WRITTEN)
    return torch.where(sure[:, None], there.double(), law)


@dataclass(frozen=True, eq=False)
class Listed:
    """v ~ p(v)ψ(v)/c among the listed tokens of each row."""

    ways: NDArray[np.int64]
    """[B, C, 2]: token and state after it"""
    score: Tensor
    """float64 [B, C]: log p ψ; -inf where nothing is listed"""
    log_psi: Tensor
    """float64 [B, C]"""

    @classmethod
    def of(
        cls, log_prob: Tensor, automaton: Automaton, states: Ints, trust: Trust | None
    ) -> Listed:
        # Copies: an automaton may answer with views of its read-only file.
        row, token, after = map(np.array, automaton.candidates(states))
        check_known(token, log_prob.shape[1])
        count = np.bincount(row, minlength=len(states))
        column = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
        # One column more than any row has ways, so that a row without a way has a column too.
        ways = np.zeros((len(states), int(count.max(initial=0)) + 1, 2), dtype=np.int64)
        ways[row, column] = np.column_stack([token, after])
        score = torch.full(ways.shape[:2], -torch.inf, dtype=torch.float64)
        score[row, column] = log_prob[row, token]
        log_psi = torch.zeros_like(score)
        if trust is not None:
            log_psi[row, column] = trust(states, row, token, after, log_prob[row, token])
        return cls(ways, score + log_psi, log_psi)

    @property
    def log_mass(self) -> Tensor:
        return self.score.logsumexp(1)

    def children(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        token = torch.from_numpy(self.ways[rows.numpy(), :, 0])
        return self.score[rows].softmax(1), token

    def draw(self, draws: Draws, rows: Tensor, given: Tensor | None = None) -> Step:
        law = self.score[rows].softmax(1)
        if given is not None:
            listed = self.score[rows] > -torch.inf
            token = torch.from_numpy(self.ways[rows.numpy(), :, 0])
            law = pinned(law, listed & (token == given[:, None]), given)
        chosen = draws.categorical(law)
        token, state = self.ways[rows.numpy(), chosen.numpy()].T
        owed = self.log_psi[rows, chosen]
        doubted = bool(((self.log_psi < 0) & (self.score > -torch.inf)).any())
        weight = torch.zeros(len(rows), dtype=torch.float64)
        return Step(torch.from_numpy(token.copy()), state.copy(), weight, owed, doubted)
