"""The sampler protocol, what a step reports, and the registry of samplers by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol, TypeVar

from torch import Tensor

from ergotext.lm.batch import TokenBatch
from ergotext.lm.protocols import InputError
from ergotext.samplers.draws import Draws

Kind = Literal["invariant", "weighted", "optimiser", "implicit"]
"""invariant: leaves π ∝ exp(−E) invariant. weighted: yields weighted draws from it. optimiser:
looks for its minimum. implicit: has a stationary law that nobody wrote down."""


@dataclass(frozen=True, eq=False)
class State:
    """What the next step needs: where each chain is, and the energy there."""

    batch: TokenBatch
    energy: Tensor
    """float64 [B]"""
    step: int = 0


@dataclass(frozen=True, eq=False)
class Info:
    """What a person wants to know of a step. Proposals are recorded before the decision."""

    move: Tensor
    """int64 [B]: index into the sampler's ``moves``"""
    proposal: TokenBatch
    proposal_energy: Tensor
    """float64 [B]; +inf for a proposal outside the support"""
    log_ratio: Tensor
    """float64 [B]: log of the acceptance ratio, before min(1, ·)"""
    accepted: Tensor
    """bool [B]"""
    temperature: float


class Sampler(Protocol):
    """An algorithm: ``init`` gives a state, ``step`` a new state and what happened."""

    kind: ClassVar[Kind]
    moves: ClassVar[tuple[str, ...]]

    def init(self, draws: Draws, chains: int, initial: TokenBatch | None = None) -> State:
        """States of ``chains`` chains, at ``initial`` or where the energy says to begin."""

    def step(self, draws: Draws, state: State) -> tuple[State, Info]:
        """One step of every chain."""


Factory = TypeVar("Factory", bound=Callable[..., Sampler])
SAMPLERS: dict[str, Callable[..., Sampler]] = {}


def register(*names: str) -> Callable[[Factory], Factory]:
    """Make a sampler known to ``sample(energy, sampler=name)`` and the command line."""

    def keep(factory: Factory) -> Factory:
        for name in names:
            if name in SAMPLERS:
                raise ValueError(f"a sampler named {name!r} is registered already")
            SAMPLERS[name] = factory
        return factory

    return keep


def sampler_named(name: str) -> Callable[..., Sampler]:
    """The sampler registered under a name.

    Raises
    ------
    InputError
        No such sampler; the message lists those there are.
    """
    if name not in SAMPLERS:
        raise InputError(f"no sampler {name!r}; choose one of {', '.join(sorted(SAMPLERS))}")
    return SAMPLERS[name]
