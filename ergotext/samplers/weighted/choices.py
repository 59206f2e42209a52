"""The next tokens of rows before they are drawn: among those listed, or among all of a model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ergotext.lm.automaton_base import check_known
from ergotext.lm.protocols import Automaton
from ergotext.samplers.draws import Draws
from ergotext.samplers.target import EnergyError
from ergotext.samplers.twists import weighed
from ergotext.support.arrays import Ints

Trust = Callable[[Ints, Ints, Ints, Ints, Tensor], Tensor]


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


@dataclass(frozen=True, eq=False)
class Dense:
    """v ~ p(v)ψ(v)/c among all tokens of the model; ψ is 0 where a token may not follow."""

    log_prob: Tensor
    """float64 [B, V]"""
    psi: Tensor
    """float64 [B, V]"""
    automaton: Automaton
    states: Ints

    @cached_property
    def _weight(self) -> tuple[Tensor, Tensor]:
        return weighed(self.log_prob, self.psi)

    @cached_property
    def _total(self) -> Tensor:
        return self._weight[0].sum(1)

    @cached_property
    def log_mass(self) -> Tensor:
        return self._total.log() + self._weight[1]

    def children(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        law = self._weight[0][rows].div_(self._total[rows, None])
        return law, torch.arange(law.shape[1]).expand_as(law)

    def draw(self, draws: Draws, rows: Tensor, given: Tensor | None = None) -> Step:
        token = self._drawn(draws, rows) if given is None else self._taken(draws, rows, given)
        state = self.automaton.advance(self.states[rows.numpy()], token.numpy())
        owed = self.psi[rows, token].log()
        # A twist of one's own may be above 0 at tokens that may not follow.
        weight = torch.zeros(len(rows), dtype=torch.float64)
        weight.masked_fill_(torch.from_numpy(state < 0), -torch.inf)
        return Step(token, state, weight, owed)

    def _drawn(self, draws: Draws, rows: Tensor) -> Tensor:
        return draws.categorical(self.children(rows)[0])

    def _taken(self, draws: Draws, rows: Tensor, given: Tensor) -> Tensor:
        """The given tokens, and one that is drawn where there is none."""
        token, free = given.clone(), given < 0
        at, sure = rows[~free], given[~free]
        if not bool(((self.psi[at, sure] > 0) & (self.log_prob[at, sure] > -torch.inf)).all()):
            raise EnergyError(NEVER_WRITTEN)
        if bool(free.any()):
            token[free] = self._drawn(draws, rows[free])
        return token
