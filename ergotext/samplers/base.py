"""Protocol of Markov-chain samplers: state, step and info."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol

from torch import Tensor

from ergotext.lm.batch import TokenBatch
from ergotext.samplers.catalog import Kind
from ergotext.samplers.draws import Draws

Need = Literal["next-token", "masked", "automaton", "bound"]
"""What a sampler needs of an energy: a causal or a masked language model to propose by, a
constraint given by an automaton, or a known bound of the weights."""


@dataclass(frozen=True, eq=False)
class State:
    """State of the chains: what the next step needs."""

    batch: TokenBatch
    energy: Tensor
    """float64 [B]"""
    step: int = 0


@dataclass(frozen=True, eq=False)
class Info:
    """Report of a step; proposals are recorded before acceptance."""

    move: Tensor
    """int64 [B]: index into the sampler's ``moves``"""
    proposal: TokenBatch
    proposal_energy: Tensor
    """float64 [B]; +inf for a proposal outside the support"""
    log_ratio: Tensor
    """float64 [B]: log of the acceptance ratio, before min(1, ·)"""
    accepted: Tensor
    """bool [B]"""
    temperature: Tensor
    """float64 [B]: that of each chain at this step"""


class Sampler(Protocol):
    """An algorithm: ``init`` gives a state, ``step`` a new state and what happened.

    Made of ``(energy, max_length=…, **options)``.
    """

    kind: ClassVar[Kind]
    needs: ClassVar[frozenset[Need]]

    @property
    def moves(self) -> tuple[str, ...]:
        """The names of its moves; the one that does nothing is ``stay``."""

    def init(self, draws: Draws, chains: int, initial: TokenBatch | None = None) -> State:
        """States of ``chains`` chains, at ``initial`` or where the energy says to begin."""

    def step(self, draws: Draws, state: State) -> tuple[State, Info]:
        """One step of every chain."""
