"""Metropolis-Hastings whose proposals the language model writes: a whole text, or a suffix."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import torch
from torch import Tensor

from ergotext.lm.protocols import Energy, Twist
from ergotext.samplers.base import Info, Need, State
from ergotext.samplers.catalog import Kind
from ergotext.samplers.chains.initial import GivenStart, Starts
from ergotext.samplers.chains.metropolis import check_temperature, decide, temperatures
from ergotext.samplers.chains.moves import sum_logs
from ergotext.samplers.chains.suffix import proposal
from ergotext.samplers.draws import Draws
from ergotext.samplers.registry import check_fit
from ergotext.samplers.target import Target
from ergotext.samplers.twists import Law, chosen_twist


class _Rewriting(GivenStart):
    """What both chains are made of, and where they start."""

    kind: ClassVar[Kind] = "invariant"
    needs: ClassVar[frozenset[Need]] = frozenset({"next-token"})
    moves: ClassVar[tuple[str, ...]] = ("rewrite", "stay")

    def __init__(
        self,
        energy: Energy,
        max_length: int = 40,
        temperature: float = 1.0,
        proposal: Law | None = None,
        twist: Twist | None = None,
    ) -> None:
        energy = check_fit(type(self), energy)
        self.energy = energy
        self.target = Target.of(energy, max_length, tempered=proposal != "masked")
        self.temperature = check_temperature(temperature)
        self.twist = chosen_twist(self.target, proposal, twist)
        """None where proposals are the masked model's"""

    def admitted(self) -> Starts:
        """Any texts of the target's length."""
        return Starts(self.target.scorer.allowed, self.target.max_length)


class Independence(_Rewriting):
    """Chains that propose a whole new text, independent of the current one; π ∝ exp(−E/T).

    A text is written from left to right by the model times a twist that knows how well it may end,
    or by the model masked by the energy's automaton, and accepted by the ratio of importance
    weights, in which the masses that were allowed at each step stand. Good where the energy is
    close to that law; the chain stays long where a text weighs much.

    Parameters
    ----------
    energy : Energy
    max_length : int
        After so many tokens a proposal is ended; the ratio knows.
    temperature : float
        Of the whole sequence.
    proposal : "twisted" or "masked", optional
        By default ``twisted`` where a twist can be compiled for the constraint (keywords,
        templates, or none), else ``masked``.
    twist : Twist, optional
        Of your own, for the proposal ``twisted``.

    Raises
    ------
    InputError
        The energy has no scorer, or the temperature is not positive.

    References
    ----------
    Tierney 1994, "Markov chains for exploring posterior distributions", section 2.3.2.
    """

    def step(
        self, draws: Draws, state: State, temperature: float | Tensor | None = None
    ) -> tuple[State, Info]:
        """A new text proposed to every chain, and decided on. Draws: token after token."""
        t = temperatures(self.temperature if temperature is None else temperature, state)
        cut = torch.zeros(len(state.batch), dtype=torch.int64)
        proposed = proposal(draws, self.target, state.batch, cut, self.energy.locked, self.twist)
        return decide(draws, self.energy, state, proposed, t)


class SuffixResampling(_Rewriting):
    """Chains that propose to rewrite a text from a random position; π ∝ exp(−E/T).

    The cut is drawn uniformly from 0 … n, the number of tokens; n changes, and with it the
    probability of the cut on the way back. Otherwise as ``Independence``.

    Parameters
    ----------
    energy : Energy
    max_length : int
    temperature : float
    proposal : "twisted" or "masked", optional
    twist : Twist, optional
        As of ``Independence``.

    Raises
    ------
    InputError
        The energy has no scorer, or the temperature is not positive.

    References
    ----------
    Hastings 1970, "Monte Carlo sampling methods using Markov chains and their applications".
    """

    def step(
        self, draws: Draws, state: State, temperature: float | Tensor | None = None
    ) -> tuple[State, Info]:
        """Propose a new suffix to every chain, and accept or reject. Draws: cut, then tokens."""
        t = temperatures(self.temperature if temperature is None else temperature, state)
        batch = state.batch
        cuts = (torch.arange(batch.longest + 1) <= batch.length[:, None]).double()
        cut = draws.categorical(cuts / cuts.sum(1, keepdim=True))
        proposed = proposal(draws, self.target, batch, cut, self.energy.locked, self.twist)
        log_to = -(batch.length + 1).double().log()
        log_back = -(proposed.batch.length + 1).double().log()
        proposed = replace(
            proposed,
            log_q_to=sum_logs([proposed.log_q_to, log_to]),
            log_q_back=sum_logs([proposed.log_q_back, log_back]),
        )
        return decide(draws, self.energy, state, proposed, t)
