"""Stochastic beam search: sequences without replacement from the locally normalised model."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ergotext.lm.batch import TokenBatch
from ergotext.lm.protocols import Energy, NextTokenScorer, Twist
from ergotext.samplers.base import Need
from ergotext.samplers.catalog import Kind
from ergotext.samplers.draws import Draws
from ergotext.samplers.registry import check_fit
from ergotext.samplers.search.top_down import leaves
from ergotext.samplers.search.without_replacement import WithoutReplacement
from ergotext.samplers.target import Target
from ergotext.samplers.twists import Law, chosen_twist
from ergotext.samplers.weighted.samples import ZeroWeightError


def stochastic_beam(
    target: Target, draws: Draws, k: int, *, twist: Twist | None = None
) -> WithoutReplacement:
    """Up to ``k`` distinct sequences, with weights that make up for how they were drawn.

    They are drawn without replacement from q, the model with the probabilities of each step
    normalised over what the automaton allows there, and weighted for the target by p̃/q_κ. With a
    twist ψ these probabilities are those of p · ψ, so what can end well is drawn earlier.

    Parameters
    ----------
    target : Target
    draws : Draws
    k : int
        Sequences wanted. There may be fewer: dead ends are no sequences. With ``k`` at least the
        number of sequences all of them come, and log Z is exact.
    twist : Twist, optional
        Of the target's automaton.

    Raises
    ------
    InputError
        ``k`` is below one.
    ZeroWeightError
        No sequence of positive weight was found; the message says if there is none at all.
    EnergyError
        The soft energy returned what is no energy, or the twist something else than a number of at
        least 0.
    ModelError
        The model gives NaN.

    Warns
    -----
    HeavyWeightsWarning
        Something was left out, and k-hat of the weights says that it may weigh more than what was
        met, or there are too few draws to know.

    References
    ----------
    Kool, van Hoof and Welling 2019, "Stochastic beams and where to find them: the Gumbel-top-k
    trick for sampling sequences without replacement", algorithm 1 and equation 9.
    """
    behind = _Behind(target.scorer, target.automaton.end, TokenBatch.of([()]), target.power)
    found = leaves(behind, target.automaton, draws, k=k, max_length=target.max_length, twist=twist)
    threshold = float(found.threshold[0])
    log_target = found.log_prob + target.log_soft(found.batch)
    if threshold == -math.inf and not bool((log_target > -torch.inf).any()):
        raise ZeroWeightError(
            f"every sequence of at most {target.max_length} tokens that the automaton accepts was "
            "tried, and none has a positive weight: allow more tokens, or relax the automaton or "
            "the energy"
        )
    samples = WithoutReplacement.weighted(found.batch, log_target, found.log_q, threshold, k)
    return samples.warned()


class StochasticBeam:
    """Distinct sequences, weighted by the chance that each had to be drawn (``stochastic_beam``).

    Parameters
    ----------
    energy : Energy
    max_length : int
    proposal : "twisted" or "masked", optional
        The law that they are drawn from. By default ``twisted`` where a twist can be compiled for
        the constraint (keywords, templates, or none), else ``masked``.
    twist : Twist, optional
        Of your own, for the proposal ``twisted``.
    """

    kind: ClassVar[Kind] = "weighted"
    needs: ClassVar[frozenset[Need]] = frozenset({"next-token"})

    def __init__(
        self,
        energy: Energy,
        max_length: int = 40,
        proposal: Law | None = None,
        twist: Twist | None = None,
    ) -> None:
        check_fit(type(self), energy)
        self.target = Target.of(energy, max_length, tempered=proposal != "masked")
        self.twist = chosen_twist(self.target, proposal, twist)

    def draw(self, draws: Draws, n: int) -> WithoutReplacement:
        return stochastic_beam(self.target, draws, n, twist=self.twist)


@dataclass(frozen=True, eq=False)
class _Behind:
    """The rows of a next-token scorer to a power, as ``RowDecoding``."""

    scorer: NextTokenScorer
    end: int
    batch: TokenBatch
    power: float

    @property
    def room(self) -> Tensor:
        return torch.full(self.batch.length.shape, 1 << 30)

    @property
    def size(self) -> int:
        return len(self.scorer.allowed)

    def __len__(self) -> int:
        return len(self.batch)

    def logits(self, rows: Tensor, tokens: Tensor) -> Tensor:
        log_prob = self.scorer.next_log_prob(self.batch, self.batch.length)
        return self.power * log_prob[rows, tokens]

    def log_z(self) -> Tensor:
        return torch.zeros(len(self), dtype=torch.float64)

    def advance(self, rows: Tensor, tokens: Tensor) -> _Behind:
        old = self.batch.select(rows)
        ids = torch.cat([old.ids, tokens[:, None]], dim=1)
        batch = TokenBatch(ids, old.length + 1, torch.zeros_like(ids))
        return _Behind(self.scorer, self.end, batch, self.power)
