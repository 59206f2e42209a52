"""Samplers used as transition kernels of other samplers."""

from __future__ import annotations

from inspect import signature
from typing import Protocol

from torch import Tensor

from ergotext.errors import InputError
from ergotext.lm.batch import TokenBatch
from ergotext.lm.protocols import Energy
from ergotext.samplers.base import Info, State
from ergotext.samplers.draws import Draws
from ergotext.samplers.registry import sampler_named


class Kernel(Protocol):
    """A sampler of kind invariant whose steps take temperatures."""

    @property
    def moves(self) -> tuple[str, ...]: ...
    @property
    def energy(self) -> Energy:
        """The energy it was built for."""

    def init(self, draws: Draws, chains: int, initial: TokenBatch | None = None) -> State:
        """As ``Sampler.init``."""

    def step(
        self, draws: Draws, state: State, temperature: float | Tensor | None = None
    ) -> tuple[State, Info]:
        """One step that keeps exp(−E/T), T one temperature or float64 [B]."""


def kernel_named(name: str, energy: Energy, max_length: int) -> Kernel:
    """The sampler of that name, made for an energy.

    Raises
    ------
    InputError
        It does not leave exp(−E/T) invariant at every T, or does not fit the energy.
    """
    factory = sampler_named(name)
    step = getattr(factory, "step", None)
    told = {} if step is None else signature(step).parameters
    if factory.kind != "invariant" or "temperature" not in told:
        raise InputError(
            f"the sampler {name} cannot run at given temperatures; use one that can, such as mh, "
            "gibbs or suffix"
        )
    made: Kernel = factory(energy, max_length=max_length)
    return made
