"""Registry of samplers by name, and the energies that each accepts."""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import Any, Protocol, TypeVar, cast

from ergotext.errors import InputError
from ergotext.lm.protocols import Energy
from ergotext.samplers.base import Kind, Need
from ergotext.samplers.validation import checked

_MISSING: dict[Need, str] = {
    "next-token": "needs a causal language model, but this energy has none; add fluency(lm)",
    "masked": (
        "needs a masked language model, but this energy has none; add pseudo_likelihood(mlm), "
        "with weight 0 to use it for proposals only"
    ),
    "automaton": (
        "needs an automaton, but this energy has none; add matches(automaton or expression)"
    ),
    "bound": (
        "needs a bound of the weights, but this energy has none: give fluency a weight of 1 or "
        "more and use other terms with a known minimum, or set log_bound"
    ),
}


class Registered(Protocol):
    """A class of samplers."""

    @property
    def kind(self) -> Kind: ...
    @property
    def needs(self) -> frozenset[Need]: ...
    def __call__(self, *args: Any, **options: Any) -> Any: ...


Factory = TypeVar("Factory", bound=Callable[..., Any])
SAMPLERS: dict[str, Registered] = {}


def register(*names: str) -> Callable[[Factory], Factory]:
    """Make a sampler known to ``sample(energy, sampler=name)`` and the command line."""

    def keep(factory: Factory) -> Factory:
        for name in names:
            if name in SAMPLERS:
                raise ValueError(f"a sampler named {name!r} is already registered")
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
    """The needs of this sampler that this energy does not meet."""
    has: dict[Need, bool] = {
        "next-token": energy.scorer is not None,
        "masked": energy.masked is not None,
        "automaton": energy.automaton is not None,
        "bound": energy.floor is not None,
    }
    return [need for need, there in has.items() if need in sampler.needs and not there]


def check_fit(sampler: Registered, energy: Energy, given: Container[Need] = ()) -> Energy:
    """Wrap an energy to be validated at every call; refuse one that does not fit the sampler.

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
