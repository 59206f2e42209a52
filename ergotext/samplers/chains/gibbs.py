"""Gibbs sampling with a causal language model, in spans."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from ergotext.lm.protocols import Energy
from ergotext.samplers.base import Info, Need, State
from ergotext.samplers.catalog import Kind
from ergotext.samplers.chains.initial import GivenStart, Starts
from ergotext.samplers.chains.metropolis import check_temperature, energy_of, temperatures
from ergotext.samplers.chains.spans import candidates, place_law, written
from ergotext.samplers.draws import Draws
from ergotext.samplers.options import check_counts
from ergotext.samplers.registry import check_fit

REDRAW, STAY = range(2)


class Gibbs(GivenStart):
    """Chains that redraw ``block`` neighbouring tokens given all others; π ∝ exp(−E/T).

    The new span is drawn from candidates, by their energies. Which spans are candidates depends on
    the tokens left of the place alone, never on those that stand there: where these are none of
    them, they are left in place. Otherwise the list would differ on the way back, and the chain
    would not keep π. With as many candidates as there are spans this is the full conditional; with
    fewer, a token that is no candidate can be moved by other samplers only.

    The length of a row never changes: π is that of the energy on rows of this length.

    Parameters
    ----------
    energy : Energy
        Must have a scorer (a causal language model) to list the candidates by.
    max_length : int
    temperature : float
        Of the whole sequence.
    block : int
        Tokens that are redrawn together.
    candidates : int
        Spans listed; the energy is computed of each.

    Raises
    ------
    InputError
        The energy has no scorer, the temperature is not positive, or a count is below one.

    References
    ----------
    Geman and Geman 1984, "Stochastic relaxation, Gibbs distributions, and the Bayesian restoration
    of images"; Jensen, Kong and Kjærulff 1995, "Blocking Gibbs sampling", for blocks.
    """

    kind: ClassVar[Kind] = "invariant"
    needs: ClassVar[frozenset[Need]] = frozenset({"next-token"})
    moves: ClassVar[tuple[str, ...]] = ("redraw", "stay")

    def __init__(
        self,
        energy: Energy,
        max_length: int = 40,
        temperature: float = 1.0,
        block: int = 1,
        candidates: int = 64,
    ) -> None:
        energy = check_fit(type(self), energy)
        assert energy.scorer is not None
        check_counts(block=block, candidates=candidates)
        self.energy, self.scorer = energy, energy.scorer
        self.max_length = max_length
        self.temperature = check_temperature(temperature)
        self.block, self.count = block, candidates

    def admitted(self) -> Starts:
        """Texts that have ``block`` free tokens in a row."""
        return Starts(self.scorer.allowed, self.max_length, self.block)

    def step(
        self, draws: Draws, state: State, temperature: float | Tensor | None = None
    ) -> tuple[State, Info]:
        """Redraw one span of every chain. Draws, in order: place, span."""
        t = temperatures(self.temperature if temperature is None else temperature, state)
        wide = state.batch.padded(state.batch.width + self.block)
        drawn = draws.categorical(place_law(state.batch, self.block))
        here = drawn < state.batch.width
        place = drawn.where(here, 0)
        spans, there = candidates(self.scorer, wide, place, self.block, self.count)
        now = wide.ids.gather(1, place[:, None] + torch.arange(self.block))
        listed = here & (there & (spans == now[:, None]).all(-1)).any(-1)

        of = torch.arange(len(wide)).repeat_interleave(spans.shape[1])
        every = written(wide.select(of), place[of], spans.flatten(0, 1))
        value = torch.full(there.shape, torch.inf, dtype=torch.float64)
        worth = listed[:, None] & there
        value[worth] = energy_of(self.energy, every.select(worth.flatten()))
        law = torch.zeros(there.shape, dtype=torch.float64)
        law[:, 0] = 1.0
        law[listed] = (-value[listed] / t[listed, None]).softmax(-1)
        chosen = torch.arange(len(wide)) * spans.shape[1] + draws.categorical(law)

        proposal = every.select(chosen).where(here, state.batch)
        energy = value.flatten()[chosen]
        after = State(
            proposal.where(listed, state.batch),
            torch.where(listed, energy, state.energy),
            state.step + 1,
        )
        log_ratio = torch.where(listed, 0.0, -torch.inf).double()
        move = torch.where(here, REDRAW, STAY)
        return after, Info(move, proposal, energy, log_ratio, listed, t)
