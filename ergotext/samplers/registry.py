"""Samplers by name, file or package, and the energies that each accepts."""

from __future__ import annotations

from collections.abc import Callable, Container
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast, get_args

from ergotext.errors import InputError
from ergotext.lm.protocols import Energy
from ergotext.samplers.catalog import ALIASES, CATALOG, NAMES, Kind
from ergotext.support.plugins import own
from ergotext.support.suggestions import meant

if TYPE_CHECKING:
    from ergotext.samplers.base import Need

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
_KNOWN: dict[str, Registered] = {}
GROUP = "ergotext.samplers"
"""The entry points by which an installed package brings samplers"""
_METHODS = ("init", "step", "draw")


def register(*names: str) -> Callable[[Factory], Factory]:
    """Make a sampler known to ``sample(energy, sampler=name)`` and the command line."""

    def keep(factory: Factory) -> Factory:
        for name in names:
            if name in _KNOWN or name in NAMES:
                raise ValueError(f"a sampler named {name!r} is already registered")
            _KNOWN[name] = cast(Registered, factory)
        return factory

    return keep


def registered() -> dict[str, Registered]:
    """All samplers by name: those that come with ergotext, imported now, and those registered."""
    for name, entry in CATALOG.items():
        if name not in _KNOWN:
            module, _, cls = entry.home.partition(":")
            found = getattr(import_module(f"ergotext.samplers.{module}"), cls)
            _KNOWN.update(dict.fromkeys(filter(None, (name, entry.alias)), found))
    return _KNOWN


def brought() -> dict[str, EntryPoint]:
    """The samplers that installed packages bring, by name; none is imported."""
    return {point.name: point for point in entry_points(group=GROUP)}


def check_name(sampler: str) -> None:
    """InputError unless a sampler has this name, or the name is ``file.py:Class``.

    No sampler is imported for it.
    """
    if sampler in NAMES or sampler in _KNOWN or ":" in sampler:
        return
    known = {*NAMES, *_KNOWN, *brought()}
    if sampler not in known:
        raise InputError(
            f"no sampler {sampler!r}; choose one of {', '.join(sorted(known))}, or give your own "
            f"as file.py:Class{meant(sampler, known)}"
        )


def sampler_named(sampler: str | Registered) -> Registered:
    """The sampler of a name, of ``file.py:Class``, or the class itself.

    Names are those registered here and those that installed packages bring as entry points of
    the group ``ergotext.samplers``.

    Raises
    ------
    InputError
        No such sampler (the message lists those there are), or no sampler at all.
    """
    if not isinstance(sampler, str):
        return _sound(sampler, name_of(sampler))
    check_name(sampler)
    if sampler in (known := registered()):
        return known[sampler]
    if ":" in sampler:
        return _sound(own(sampler, _METHODS), sampler)
    point = brought()[sampler]
    try:
        found = point.load()
    except (Exception, SystemExit) as error:  # whatever another package raises
        raise InputError(
            f"the sampler {sampler} cannot be loaded from {point.value}: "
            f"{type(error).__name__}: {error}"
        ) from error
    return _sound(found, point.value)


def kind_of(sampler: str) -> Kind:
    """The kind of the sampler of a name; one that comes with ergotext is not imported for it."""
    entry = CATALOG.get(ALIASES.get(sampler, sampler))
    return sampler_named(sampler).kind if entry is None else entry.kind


def name_of(sampler: Registered) -> str:
    """The first name that a sampler is registered under, or else where it was defined."""
    names = (name for name, known in registered().items() if known is sampler)
    module = getattr(sampler, "__module__", "")
    return next(names, f"{module}:{getattr(sampler, '__qualname__', repr(sampler))}")


def _sound(sampler: Any, name: str) -> Registered:
    """The class, or InputError if it lacks what makes it a sampler."""
    chains = callable(getattr(sampler, "init", None)) and callable(getattr(sampler, "step", None))
    writes = callable(getattr(sampler, "draw", None))
    kind, needs = getattr(sampler, "kind", None), getattr(sampler, "needs", None)
    if kind not in get_args(Kind) or not isinstance(needs, frozenset):
        raise InputError(
            f"{name} is no sampler: give the class a kind ({', '.join(get_args(Kind))}) and needs, "
            f"a frozenset of what an energy must have"
        )
    if not (writes if kind == "weighted" else chains):
        wanted = "draw" if kind == "weighted" else "init and step"
        raise InputError(f"{name} is no sampler of kind {kind}: give the class {wanted}")
    return cast(Registered, sampler)


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
        names = [name for name, known in registered().items() if known is sampler]
        name = min(names, key=len, default=getattr(sampler, "__name__", "given"))
        raise InputError(f"the sampler {name} {_MISSING[missing[0]]}")
    from ergotext.samplers.validation import checked  # with torch, which names do not need

    return checked(energy)
