"""Gibbs and Metropolis-Hastings with proposals from a masked language model."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from ergotext.lm.batch import TokenBatch
from ergotext.lm.protocols import Energy, MaskedScorer
from ergotext.samplers.base import Info, Need, State
from ergotext.samplers.catalog import Kind
from ergotext.samplers.chains.initial import GivenStart, Starts
from ergotext.samplers.chains.metropolis import check_temperature, decide, temperatures
from ergotext.samplers.chains.proposal import Proposal
from ergotext.samplers.chains.spans import place_law, written
from ergotext.samplers.draws import Draws
from ergotext.samplers.registry import check_fit

REDRAW, STAY = range(2)


def redraw(
    draws: Draws, masked: MaskedScorer, batch: TokenBatch, temperature: Tensor | float = 1.0
) -> Proposal:
    """One free token of each row, drawn from its conditional given all others.

    The token that stands there is masked, so the law of the way back is the same law. Draws, in
    order: place (uniform), token.
    """
    law = place_law(batch)
    drawn = draws.categorical(law)
    here = drawn < batch.width
    place = drawn.where(here, 0)
    rows = here.nonzero()[:, 0]
    token_law = torch.zeros(len(batch), len(masked.allowed), dtype=torch.float64)
    token_law[:, 0] = 1.0
    if len(rows):
        log_prob = masked.conditional_log_prob(batch.select(rows), place[rows])
        t = torch.as_tensor(temperature, dtype=torch.float64).expand(len(batch))
        log_prob = log_prob.masked_fill(~masked.allowed, -torch.inf)
        token_law[rows] = (log_prob / t[rows, None]).softmax(-1)
    token = draws.categorical(token_law)
    old = batch.padded(batch.width + 1).ids.gather(1, place[:, None])
    log_token = token_law.log()
    proposed = written(batch.padded(batch.width + 1), place, token[:, None]).padded(batch.width)
    return Proposal(
        proposed.where(here, batch),
        torch.where(here, REDRAW, STAY),
        log_token.gather(1, token[:, None])[:, 0],
        log_token.gather(1, old)[:, 0].where(here, 0.0),
    )


class _Redrawing(GivenStart):
    """What both chains are made of, and where they start."""

    kind: ClassVar[Kind]
    needs: ClassVar[frozenset[Need]] = frozenset({"masked"})
    moves: ClassVar[tuple[str, ...]] = ("redraw", "stay")

    def __init__(self, energy: Energy, max_length: int = 40, temperature: float = 1.0) -> None:
        energy = check_fit(type(self), energy)
        assert energy.masked is not None
        self.energy, self.masked = energy, energy.masked
        self.max_length = max_length
        self.temperature = check_temperature(temperature)

    def admitted(self) -> Starts:
        """Texts that have a free token."""
        return Starts(self.masked.allowed, self.max_length, 1)


class MaskedGibbs(_Redrawing):
    """The plain masked-LM chain: mask one token, draw it from the model's conditional.

    The conditionals of a masked language model come from no joint, so no energy tells what this
    chain samples: its stationary law is implicit, and depends on how places are chosen. The energy
    says which tokens are locked and which texts are forbidden, and is computed of every state for
    the record; between texts that it allows nothing is decided by it. ``mlm-mh`` corrects the chain
    toward the energy.

    A chain stays where it is if the token drawn makes a text that the energy forbids (+inf). That
    is Hastings' rule for a law cut to a support: were the conditionals those of a law p, the chain
    would keep p of the texts that are allowed.

    Parameters
    ----------
    energy : Energy
        Must have a masked language model.
    max_length : int
    temperature : float
        Of each token's conditional, not of the sequence.

    Raises
    ------
    InputError
        The energy has no masked language model, or the temperature is not positive.

    References
    ----------
    Wang and Cho 2019, "BERT has a mouth, and it must speak"; Goyal, Dyer and Berg-Kirkpatrick 2022,
    "Exposing the implicit energy networks behind masked language models via Metropolis-Hastings",
    for what the chain samples.
    """

    kind: ClassVar[Kind] = "implicit"

    def step(self, draws: Draws, state: State) -> tuple[State, Info]:
        """Redraw one token of every chain, unless the text that comes of it is forbidden."""
        proposal = redraw(draws, self.masked, state.batch, self.temperature)
        batch = TokenBatch(
            proposal.batch.ids, proposal.batch.length, self.energy.locked(proposal.batch)
        )
        energy = self.energy(batch)
        allowed = torch.isfinite(energy)
        log_ratio = torch.zeros_like(energy).masked_fill(~allowed, -torch.inf)
        t = temperatures(self.temperature, state)
        after = State(
            batch.where(allowed, state.batch),
            torch.where(allowed, energy, state.energy),
            state.step + 1,
        )
        return after, Info(proposal.move, batch, energy, log_ratio, allowed, t)


class MaskedMetropolis(_Redrawing):
    """The masked-LM chain with a Metropolis-Hastings correction: π ∝ exp(−E/T) stays invariant.

    A token is masked, another proposed from the conditional, and accepted with
    min(1, π(x')p(x_i | rest) / π(x)p(x'_i | rest)). The length of a row never changes: π is that
    of the energy on rows of this length.

    Parameters
    ----------
    energy : Energy
        Any, with a masked language model among its terms (of weight 0 if it shall only propose).
    max_length : int
    temperature : float
        Of the whole sequence; proposals are not tempered.

    Raises
    ------
    InputError
        The energy has no masked language model, or the temperature is not positive.

    References
    ----------
    Goyal, Dyer and Berg-Kirkpatrick 2022, "Exposing the implicit energy networks behind masked
    language models via Metropolis-Hastings", section 3.
    """

    kind: ClassVar[Kind] = "invariant"

    def step(
        self, draws: Draws, state: State, temperature: float | Tensor | None = None
    ) -> tuple[State, Info]:
        """One token proposed for every chain, and decided on."""
        t = temperatures(self.temperature if temperature is None else temperature, state)
        proposal = redraw(draws, self.masked, state.batch)
        return decide(draws, self.energy, state, proposal, t)
