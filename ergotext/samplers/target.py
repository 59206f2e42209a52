"""Target of weighted samplers: a model, an automaton and a soft energy."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ergotext.errors import ErgotextError, InputError
from ergotext.lm.batch import TokenBatch
from ergotext.lm.protocols import Automaton, Energy, NextTokenScorer
from ergotext.samplers.demanded import demanded
from ergotext.samplers.feasible import fits
from ergotext.samplers.unconstrained import Unconstrained
from ergotext.support.arrays import Floats, Ints


class EnergyError(ErgotextError, RuntimeError):
    """A soft energy returned what is no energy."""


@dataclass(frozen=True)
class Target:
    """p̃(x) = p(x, end)^α · 1[the automaton accepts x] · exp(−soft(x)), for x of bounded length.

    The space is bounded: sequences longer than ``max_length`` are outside of it, and Z is the mass
    of the rest. After ``max_length`` tokens the end token is forced and its probability is a
    factor of the weight, so no proposal changes the target there.

    Parameters
    ----------
    scorer : NextTokenScorer
        p, from left to right.
    automaton : Automaton
        Its end token must be the scorer's.
    max_length : int
        Most tokens of a sequence, the end token not counted.
    soft : callable, optional
        ``TokenBatch -> float64 [B]`` in nats, such as any energy of
        ``ergotext.lm.energies.terms``; +inf forbids.
    power : float
        α, above 0.
    by_length : callable, optional
        What of ``soft`` depends on the length alone: int64 [n] -> float64 [n] in nats.
    ramp : int
        Tokens over which samplers that write from left to right come from p to p^α; the target is
        the same.

    Raises
    ------
    InputError
        ``max_length`` is negative, or less than the automaton needs as far as it knows.
    """

    scorer: NextTokenScorer
    automaton: Automaton
    max_length: int
    soft: Callable[[TokenBatch], Tensor] | None = None
    power: float = 1.0
    by_length: Callable[[Ints], Floats] | None = None
    ramp: int = 0

    def __post_init__(self) -> None:
        if self.max_length < 0:
            raise InputError(f"max_length must be 0 or more, got {self.max_length}")
        if not 0 < self.power < math.inf:
            raise InputError(f"the power of the model must be above 0, got {self.power}")
        start = self.automaton.start(1)
        if not fits(self.automaton, start, self.max_length)[0]:
            that = demanded(self.automaton)
            raise InputError(
                f"the shortest {'text that ' + that if that else 'accepted text'} has "
                f"{self.automaton.least(start)[0]} tokens, but max_length is {self.max_length}: "
                "raise it"
            )

    @classmethod
    def of(
        cls, energy: Energy, max_length: int, *, tempered: bool = False, ramp: int = 0
    ) -> Target:
        """exp(−E) as such a measure, on rows of at most ``max_length`` tokens.

        An energy without an automaton gets one that takes every sequence of allowed tokens. The
        power is 1, and what the energy has of the model besides is soft; where ``tempered``, the
        power is the weight of the model in the energy.

        Raises
        ------
        InputError
            The energy has no causal language model, or ``max_length`` is negative.
        """
        scorer = energy.scorer
        if scorer is None:
            raise InputError(
                "weighted samplers need a causal language model, but this energy has none; add "
                "fluency(lm)"
            )
        automaton = energy.automaton or Unconstrained(scorer.allowed.numpy(), scorer.end_id)
        by_length = getattr(energy, "by_length", None)
        power, soft = getattr(energy, "tempered", (1.0, energy.soft))
        if not tempered or not power > 0:
            power, soft = 1.0, energy.soft
        return cls(scorer, automaton, max_length, soft, power, by_length, ramp)

    def exponent(self, written: int) -> float:
        """That of p after so many tokens, on the way from 1 to α."""
        if written >= self.ramp:
            return self.power
        return 1.0 + (self.power - 1.0) * max(0, written + 1) / (self.ramp + 1)

    def log_soft(self, batch: TokenBatch) -> Tensor:
        """float64 [B]: −soft(x), 0 without a soft energy.

        Raises
        ------
        EnergyError
            The energy is of another shape or dtype, NaN, or −inf.
        """
        if self.soft is None or not len(batch):
            return torch.zeros(len(batch), dtype=torch.float64)
        value = self.soft(batch)
        if value.shape != (len(batch),) or value.dtype != torch.float64:
            raise EnergyError(
                f"the soft energy must be float64 [{len(batch)}], one number per row, got "
                f"{value.dtype} {list(value.shape)}"
            )
        if bool((value.isnan() | (value == -torch.inf)).any()):
            bad = batch.select(value.isnan() | (value == -torch.inf)).rows()[0]
            raise EnergyError(f"the soft energy of the tokens {bad} is NaN or −inf")
        return -value
