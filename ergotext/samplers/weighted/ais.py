"""Annealed importance sampling: from a proposal of whole texts to the target in small steps."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import torch
from torch import Tensor

from ergotext.errors import InputError
from ergotext.lm.batch import TokenBatch
from ergotext.lm.protocols import Automaton, Energy, MaskedScorer, NextTokenScorer, Twist
from ergotext.samplers.base import Need, State
from ergotext.samplers.catalog import Kind
from ergotext.samplers.chains.kernels import kernel_named
from ergotext.samplers.chains.suffix import log_q_of
from ergotext.samplers.draws import Draws
from ergotext.samplers.registry import check_fit
from ergotext.samplers.target import Target
from ergotext.samplers.twists import Law, chosen_twist
from ergotext.samplers.validation import checked
from ergotext.samplers.weighted.lost import check_met
from ergotext.samplers.weighted.proposals import masked
from ergotext.samplers.weighted.rollout import grown
from ergotext.samplers.weighted.samples import WeightedSamples
from ergotext.samplers.weighted.twisted import Twisted
from ergotext.support.numerics import log_mean_exp


class Between:
    """E_β = (1 − β)(−log q) + βE, from the proposal q of a target to its energy (``Energy``).

    Parameters
    ----------
    energy : Energy
    target : Target
    beta : float
    twist : Twist, optional
        That of the proposal; without one it is the masked model.
    """

    def __init__(
        self, energy: Energy, target: Target, beta: float, twist: Twist | None = None
    ) -> None:
        self.energy, self.target, self.beta, self.twist = energy, target, beta, twist

    def __call__(self, batch: TokenBatch) -> Tensor:
        return mixed(self.energy(batch), log_q(self.target, batch, self.twist), self.beta)

    @property
    def scorer(self) -> NextTokenScorer | None:
        return self.energy.scorer

    @property
    def masked(self) -> MaskedScorer | None:
        return self.energy.masked

    @property
    def automaton(self) -> Automaton | None:
        return self.energy.automaton

    soft = None
    floor = None

    def terms(self, batch: TokenBatch) -> dict[str, Tensor]:
        return {"between": self(batch)}

    def initial(self, count: int) -> TokenBatch:
        return self.energy.initial(count)

    def forget(self) -> None:
        self.energy.forget()

    @property
    def marks(self) -> frozenset[int]:
        return self.energy.marks

    def locked(self, batch: TokenBatch) -> Tensor:
        return self.energy.locked(batch)


def log_q(target: Target, batch: TokenBatch, twist: Twist | None = None) -> Tensor:
    """float64 [B]: log-probability that the proposal writes the row."""
    return log_q_of(target, batch, torch.zeros(len(batch), dtype=torch.int64), twist)


def mixed(energy: Tensor, log_proposal: Tensor, beta: float) -> Tensor:
    """float64 [B]: E_β; +inf where the energy is, whatever β."""
    value = beta * energy - (1.0 - beta) * log_proposal
    return torch.where(torch.isinf(energy), torch.inf, value)


class AnnealedImportance:
    """Draws annealed from q, a proposal of whole texts, to the target, with weights.

    q is the model times a twist at each token, or the model masked by the automaton.

    f_β = q^(1−β) exp(−βE) with β = 0, 1/J, …, 1. A row is drawn from q; then by turns it is
    weighed with f_j(x)/f_{j−1}(x) and moved by a kernel that keeps f_j. E[w] is Z, so the mean of
    log w, and of ``log_z``, is below log Z on average: a stochastic lower bound. Rows may move far
    while they cool, which importance sampling does not let them.

    Parameters
    ----------
    energy : Energy
    max_length : int
    levels : int
        J; 1 is importance sampling.
    kernel : str
        The chain that moves the rows, a reversible one whose steps take a temperature.
    proposal : "twisted" or "masked", optional
        q. By default ``twisted`` where a twist can be compiled for the constraint (keywords,
        templates, or none), else ``masked``.
    twist : Twist, optional
        Of your own, for the proposal ``twisted``.

    Raises
    ------
    InputError
        The energy has no scorer, ``levels`` is below one, or the kernel is none.

    References
    ----------
    Neal 2001, "Annealed importance sampling"; Grosse, Ghahramani and Adams 2015, "Sandwiching the
    marginal likelihood using bidirectional Monte Carlo", for ``upper_bound``.
    """

    kind: ClassVar[Kind] = "weighted"
    needs: ClassVar[frozenset[Need]] = frozenset({"next-token"})

    def __init__(
        self,
        energy: Energy,
        max_length: int = 40,
        levels: int = 20,
        kernel: str = "mh",
        proposal: Law | None = None,
        twist: Twist | None = None,
    ) -> None:
        energy = check_fit(type(self), energy)
        if not isinstance(levels, int) or levels < 1:
            raise InputError(f"at least one level is needed, got {levels}")
        tempered = proposal != "masked"
        self.energy, self.target = checked(energy), Target.of(energy, max_length, tempered=tempered)
        self.twist = chosen_twist(self.target, proposal, twist)
        self.levels = levels
        between = (
            Between(self.energy, self.target, j / levels, self.twist) for j in range(1, levels)
        )
        self.kernels = [kernel_named(kernel, one, max_length) for one in between]
        """That of level j at j − 1; the last level needs none"""

    def draw(self, draws: Draws, n: int) -> WeightedSamples:
        """``n`` independent draws.

        Raises
        ------
        ZeroWeightError
            All of them have weight zero.
        EnergyError
            The energy returned what is no energy.

        Warns
        -----
        HeavyWeightsWarning
            k-hat is too high for so many draws, or there are too few draws to know.
        """
        proposal = masked if self.twist is None else Twisted(self.twist)
        rows = grown(draws, replace(self.target, soft=None), proposal, n)
        batch = TokenBatch(rows.batch.ids, rows.batch.length, self.energy.locked(rows.batch))
        # From q itself: the masses that were allowed are part of the first weight.
        log_weight = torch.zeros(n, dtype=torch.float64)
        log_weight[rows.log_weight == -torch.inf] = -torch.inf
        for level in range(self.levels):
            alive = (log_weight > -torch.inf).nonzero()[:, 0]
            if not len(alive):
                break
            some = batch.select(alive)
            energy, proposed = self.energy(some), self._log_q(some)
            log_weight[alive] += (-energy - proposed) / self.levels
            on = torch.isfinite(energy)
            if level < self.levels - 1 and bool(on.any()):
                moved = self._moved(draws, some.select(on), energy[on], proposed[on], level)
                batch = _put(batch, alive[on], moved)
        check_met(self.target, replace(rows, log_weight=log_weight))
        return WeightedSamples.of(batch, log_weight).warned()

    def upper_bound(self, draws: Draws, exact: TokenBatch) -> float:
        """A number above log Z on average, from exact draws of the target.

        They are walked back to q and weighed as if they had come from there: the mean of 1/w is
        1/Z, or less where q comes to dead ends.

        Parameters
        ----------
        draws : Draws
        exact : TokenBatch
            Independent draws of exp(−E)/Z, such as those of ``rejection``.

        Raises
        ------
        InputError
            There is no draw, or one that the energy forbids or that is too long.
        """
        most = self.target.max_length
        if not len(exact) or exact.longest > most or not bool(self._met(exact).all()):
            raise InputError(
                f"exact draws from the target with at most {most} tokens are needed; use those of "
                "rejection"
            )
        batch = TokenBatch(exact.ids, exact.length, self.energy.locked(exact))
        log_weight = torch.zeros(len(exact), dtype=torch.float64)
        for level in reversed(range(self.levels)):
            energy, proposed = self.energy(batch), self._log_q(batch)
            if level < self.levels - 1:
                batch = self._moved(draws, batch, energy, proposed, level)
                energy, proposed = self.energy(batch), self._log_q(batch)
            log_weight += (-energy - proposed) / self.levels
        return -float(log_mean_exp(-log_weight))

    def _met(self, batch: TokenBatch) -> Tensor:
        """bool [B]: rows that the energy allows and q can write."""
        return torch.isfinite(self.energy(batch)) & (self._log_q(batch) > -torch.inf)

    def _log_q(self, batch: TokenBatch) -> Tensor:
        return log_q(self.target, batch, self.twist)

    def _moved(
        self, draws: Draws, batch: TokenBatch, energy: Tensor, proposed: Tensor, level: int
    ) -> TokenBatch:
        """The rows after a step that keeps the law of the next level."""
        value = mixed(energy, proposed, (level + 1) / self.levels)
        after, _ = self.kernels[level].step(draws, State(batch, value))
        return after.batch


def _put(batch: TokenBatch, at: Tensor, rows: TokenBatch) -> TokenBatch:
    """The batch with these rows at ``at``."""
    width = max(batch.longest, rows.longest)
    wide, new = batch.padded(width), rows.padded(width)
    return TokenBatch(
        wide.ids.index_copy(0, at, new.ids),
        wide.length.index_copy(0, at, new.length),
        wide.locked.index_copy(0, at, new.locked),
    )
