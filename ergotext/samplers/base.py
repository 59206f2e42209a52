"""The sampler protocol, what a step reports, and the registry of samplers by name."""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol, TypeVar, cast

from torch import Tensor

from ergotext.errors import InputError
from ergotext.lm.batch import TokenBatch
from ergotext.lm.protocols import Energy
from ergotext.samplers.draws import Draws
from ergotext.samplers.validation import checked
from ergotext.samplers.weighted.samples import WeightedSamples

Kind = Literal["invariant", "weighted", "optimiser", "implicit"]
"""invariant: leaves π ∝ exp(−E) invariant. weighted: yields weighted draws from it. optimiser:
looks for its minimum. implicit: has a stationary law that nobody wrote down."""

Need = Literal["next-token", "masked", "automaton", "bound"]
"""What a sampler needs of an energy: a causal or a masked language model to propose by, a
constraint told by an automaton, or a known bound of the weights."""

_MISSING: dict[Need, str] = {
    "next-token": "proposes by a causal language model and this energy has none; add fluency(lm)",
    "masked": (
        "proposes by a masked language model and this energy has none; add "
        "pseudo_likelihood(mlm), with weight 0 if it shall only propose"
    ),
    "automaton": (
        "draws under an automaton and this energy has none; add matches(automaton or expression)"
    ),
    "bound": (
        "needs a bound of the weights and this energy knows none: give its fluency a weight of 1 "
        "or more and let the other terms know their lowest value, or state log_bound"
    ),
}


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


class WeightedSampler(Protocol):
    """An algorithm whose draws come with weights, made as a ``Sampler`` is."""

    kind: ClassVar[Kind]
    needs: ClassVar[frozenset[Need]]

    def draw(self, draws: Draws, n: int) -> WeightedSamples:
        """``n`` draws, or those of ``n`` particles."""


class Registered(Protocol):
    """A class of samplers."""

    @property
    def kind(self) -> Kind: ...
    @property
    def needs(self) -> frozenset[Need]: ...
    def __call__(self, *args: Any, **options: Any) -> Any: ...


Factory = TypeVar("Factory", bound=Callable[..., Sampler | WeightedSampler])
SAMPLERS: dict[str, Registered] = {}


def register(*names: str) -> Callable[[Factory], Factory]:
    """Make a sampler known to ``sample(energy, sampler=name)`` and the command line."""

    def keep(factory: Factory) -> Factory:
        for name in names:
            if name in SAMPLERS:
                raise ValueError(f"a sampler named {name!r} is registered already")
            SAMPLERS[name] = cast(Registered, factory)
        return factory

    return keep


def sampler_named(name: str) -> Registered:
    """The sampler registered under a name.

    Raises
    ------
    InputError
        No such sampler; the message lists those there are.
    """
    if name not in SAMPLERS:
        raise InputError(f"no sampler {name!r}; choose one of {', '.join(sorted(SAMPLERS))}")
    return SAMPLERS[name]


def lacking(sampler: Registered, energy: Energy) -> list[Need]:
    """What this sampler needs and this energy does not have."""
    has: dict[Need, bool] = {
        "next-token": energy.scorer is not None,
        "masked": energy.masked is not None,
        "automaton": energy.automaton is not None,
        "bound": energy.floor is not None,
    }
    return [need for need, there in has.items() if need in sampler.needs and not there]


def check_fit(sampler: Registered, energy: Energy, given: Container[Need] = ()) -> Energy:
    """The energy as samplers take it: looked at at every call. Refuse one that does not fit.

    Parameters
    ----------
    sampler : class of samplers
    energy : Energy
    given : container of Need
        What the sampler was given besides.

    Returns
    -------
    Energy
        The same, with an ``EnergyError`` where it gives what is no energy (``checked``).

    Raises
    ------
    InputError
        Something is missing; the message says what, and what to add.
    """
    missing = [need for need in lacking(sampler, energy) if need not in given]
    if missing:
        names = [name for name, known in SAMPLERS.items() if known is sampler]
        raise InputError(f"the sampler {min(names, key=len, default='')} {_MISSING[missing[0]]}")
    return checked(energy)
