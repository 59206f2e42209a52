"""Multiple-try Metropolis that writes a stretch of a text anew, between what is kept."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from ergotext.lm.batch import TokenBatch
from ergotext.lm.protocols import Energy
from ergotext.samplers.base import Info, Need, State
from ergotext.samplers.catalog import Kind
from ergotext.samplers.chains.initial import GivenStart, Starts
from ergotext.samplers.chains.metropolis import check_temperature, temperatures
from ergotext.samplers.chains.stretches import KeptEnds, place_law, rewritten
from ergotext.samplers.draws import Draws
from ergotext.samplers.options import check_counts
from ergotext.samplers.registry import check_fit
from ergotext.samplers.target import Target


class Rewrite(GivenStart):
    """Chains that write a stretch anew, in several ways, and accept one of them; π ∝ exp(−E/T).

    The first i tokens of a text and its last s are kept. What stands between is drawn ``tries``
    times from a law q that knows the kept tokens alone: the model writes tokens, masked by the
    energy's automaton, and their number is drawn by how likely the model then is to go on with the
    kept end. A text weighs w(x) = exp(−E(x)/T) μ(i, s | x) / q(x), μ being the law by which the
    place of the stretch was chosen. One of the tries, x', is drawn in proportion to its weight and
    accepted with probability min(1, W / (W − w(x') + w(x))), where W is the sum of the tries'
    weights and x the current text. With one try that is Hastings' ratio. More tries are accepted
    more often, and are read side by side.

    Stretches over a keyword are rare, and no keyword is lost or gained (as in ``suffix``).

    Parameters
    ----------
    energy : Energy
    max_length : int
    temperature : float
        Of the whole sequence.
    tries : int
        Ways in which a stretch is written.
    stretch : int
        Most tokens of a stretch.

    Raises
    ------
    InputError
        The energy has no scorer, the temperature is not positive, or a number is less than 1.

    References
    ----------
    Liu, Liang and Wong 2000, "The multiple-try method and local optimization in Metropolis
    sampling"; Liu 2001, "Monte Carlo strategies in scientific computing", section 5.5, for tries
    that do not depend on the current state.
    """

    kind: ClassVar[Kind] = "invariant"
    needs: ClassVar[frozenset[Need]] = frozenset({"next-token"})
    moves: ClassVar[tuple[str, ...]] = ("rewrite", "stay")

    def __init__(
        self,
        energy: Energy,
        max_length: int = 40,
        temperature: float = 1.0,
        tries: int = 4,
        stretch: int = 4,
    ) -> None:
        energy = check_fit(type(self), energy)
        check_counts(tries=tries, stretch=stretch)
        self.energy, self.target = energy, Target.of(energy, max_length)
        self.temperature = check_temperature(temperature)
        self.tries, self.stretch = tries, stretch

    def admitted(self) -> Starts:
        """Any texts of the target's length."""
        return Starts(self.target.scorer.allowed, self.target.max_length)

    def step(
        self, draws: Draws, state: State, temperature: float | Tensor | None = None
    ) -> tuple[State, Info]:
        """Write a stretch of every chain anew. Draws: its place, its tokens, its length, a try."""
        t = temperatures(self.temperature if temperature is None else temperature, state)
        count, old = len(state.batch), state.batch
        kept = self._kept(draws, old)
        written = rewritten(draws, self.target, kept, self.tries)
        batch, energy = self._judged(written.batch, written.log_q, state)
        log_weight = self._log_place(batch, kept) - energy / t.repeat(1 + self.tries)
        # One that was drawn to no end has no weight; a current one that cannot be drawn is kept.
        log_weight = torch.where(energy < torch.inf, log_weight - written.log_q, -torch.inf)
        now, tried = log_weight[:count], log_weight[count:].view(self.tries, count).T

        total = tried.logsumexp(1)
        alive = total > -torch.inf
        law = torch.where(alive[:, None], tried, 0.0).softmax(1)
        chosen = draws.categorical(law)
        others = tried.scatter(1, chosen[:, None], now[:, None]).logsumexp(1)
        log_ratio = torch.where(alive, total - others, -torch.inf)
        accepted = draws.bernoulli(log_ratio.clamp(max=0.0).exp())
        pick = (1 + chosen) * count + torch.arange(count)
        proposal = batch.select(pick).where(alive, old)
        proposed = torch.where(alive, energy[pick], state.energy)
        after = State(
            proposal.where(accepted, old),
            torch.where(accepted, proposed, state.energy),
            state.step + 1,
        )
        move = torch.zeros(count, dtype=torch.int64)
        return after, Info(move, proposal, proposed, log_ratio, accepted, t)

    def _kept(self, draws: Draws, batch: TokenBatch) -> KeptEnds:
        """Draw a stretch of each text."""
        law = place_law(batch, self.stretch)
        place = draws.categorical(law.flatten(1))
        size, begin = place // law.shape[2], place % law.shape[2]
        room = (self.target.max_length - batch.length + size).clamp(max=self.stretch)
        return KeptEnds(batch, begin, begin + size, room)

    def _judged(self, batch: TokenBatch, log_q: Tensor, state: State) -> tuple[TokenBatch, Tensor]:
        """The texts with their marks, and their energies: +inf for what a chain may not become."""
        count = len(state.batch)
        batch = TokenBatch(batch.ids, batch.length, self.energy.locked(batch))
        held = log_q > -torch.inf
        for k in range(1, int(batch.locked.max()) + 1 if batch.locked.numel() else 1):
            has = (batch.locked == k).any(1)
            held &= has == has[:count].repeat(1 + self.tries)
        held[:count] = False  # known
        energy = torch.full(held.shape, torch.inf, dtype=torch.float64)
        energy[:count] = state.energy
        if bool(held.any()):
            energy[held] = self.energy(batch.select(held))
        return batch, energy

    def _log_place(self, batch: TokenBatch, kept: KeptEnds) -> Tensor:
        """float64 [(1 + tries) · B]: log μ of the same place in every text."""
        many = 1 + self.tries
        law = place_law(batch, self.stretch)
        begin = kept.begin.repeat(many)
        size = batch.length - begin - kept.rest.repeat(many)
        column = size * law.shape[2] + begin
        return law.flatten(1).gather(1, column[:, None])[:, 0].log()
