"""Parallel tempering: chains at several temperatures that exchange their states."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ergotext.errors import InputError
from ergotext.lm.batch import TokenBatch
from ergotext.lm.protocols import Energy
from ergotext.samplers.base import Info, Need, State
from ergotext.samplers.catalog import Kind
from ergotext.samplers.chains.kernels import Kernel, kernel_named
from ergotext.samplers.chains.metropolis import check_temperature
from ergotext.samplers.draws import Draws
from ergotext.samplers.validation import bare


@dataclass(frozen=True, eq=False, kw_only=True)
class Ladder(State):
    """The coldest chains, whose states are the samples, and the states of the rungs above."""

    above: TokenBatch
    """Rows of the B chains on rung 1, then those on rung 2, …"""
    above_energy: Tensor
    """float64 [(rungs − 1) · B]"""
    tried: Tensor
    """int64 [rungs − 1]: exchanges of rungs r and r + 1 that were tried, over all chains"""
    exchanged: Tensor
    """int64 [rungs − 1]: those that were accepted"""
    turn: int = 0
    """Turns taken: moves and exchanges alternate"""

    @property
    def swap_rate(self) -> Tensor:
        """float64 [rungs − 1]: acceptance of exchanges between neighbouring rungs so far."""
        return self.exchanged / self.tried.clamp(min=1)


@dataclass(frozen=True, eq=False, kw_only=True)
class LadderInfo(Info):
    """Report of a step: the coldest chains, and the exchanges on all rungs."""

    swap_tried: Tensor
    """bool [B, rungs − 1]"""
    swap_accepted: Tensor
    """bool [B, rungs − 1]"""


class ParallelTempering:
    """Chains on a ladder of temperatures T_0 < T_1 < …; each rung keeps exp(−E/T_r).

    By turns every rung takes a step of another sampler at its temperature, and neighbours try to
    exchange their states: first rungs 0–1, 2–3, …, the next time 1–2, 3–4, …. An exchange is
    accepted with min(1, exp((1/T_r − 1/T_s)(E_r − E_s))). So what is found where it is hot comes
    down, and the joint law of all rungs stays what it is. The state's batch holds the coldest rung.

    Parameters
    ----------
    energy : Energy
    max_length : int
    temperature : float
        T_0, of the samples.
    hottest : float
        T of the last rung; those between are in equal ratios.
    rungs : int
        At least 2.
    kernel : str or sampler
        What moves the rungs: a sampler of kind invariant whose steps take a temperature.

    Raises
    ------
    InputError
        Temperatures that do not rise, fewer than two rungs, a kernel that is none, one that does
        not fit the energy, or one made for another.

    References
    ----------
    Geyer 1991, "Markov chain Monte Carlo maximum likelihood"; Okabe et al. 2001, for the
    alternation of even and odd exchanges; Syed et al. 2022, "Non-reversible parallel tempering: a
    scalable highly parallel MCMC scheme", for why it is the better one.
    """

    kind: ClassVar[Kind] = "invariant"
    needs: ClassVar[frozenset[Need]] = frozenset({"next-token"})

    def __init__(
        self,
        energy: Energy,
        max_length: int = 40,
        temperature: float = 1.0,
        hottest: float = 2.0,
        rungs: int = 4,
        kernel: str | Kernel = "mh",
    ) -> None:
        self.energy = energy
        if isinstance(kernel, str):
            kernel = kernel_named(kernel, energy, max_length)
        if bare(kernel.energy) is not bare(energy):
            raise InputError(
                "the kernel was built for another energy; build it for the energy that is "
                "tempered, or give its name"
            )
        self.kernel = kernel
        self.moves = (*self.kernel.moves, "exchange")
        cold = check_temperature(temperature)
        if not isinstance(rungs, int) or rungs < 2 or not cold < hottest < float("inf"):
            raise InputError(
                f"rungs must be at least 2 and the hottest temperature above {cold}, got {rungs} "
                f"rungs up to {hottest}"
            )
        share = torch.arange(rungs, dtype=torch.float64) / (rungs - 1)
        self.ladder = cold * (hottest / cold) ** share
        """float64 [rungs]"""

    def init(self, draws: Draws, chains: int, initial: TokenBatch | None = None) -> State:
        """All rungs begin where the kernel begins."""
        cold = self.kernel.init(draws, chains, initial)
        rungs = len(self.ladder) - 1
        every = torch.arange(chains).repeat(rungs)
        none = torch.zeros(rungs, dtype=torch.int64)
        return Ladder(
            batch=cold.batch,
            energy=cold.energy,
            above=cold.batch.select(every),
            above_energy=cold.energy[every],
            tried=none,
            exchanged=none.clone(),
        )

    def step(self, draws: Draws, state: State) -> tuple[State, Info]:
        """A move of all rungs, or a round of exchanges."""
        assert isinstance(state, Ladder)
        return self._move(draws, state) if state.turn % 2 == 0 else self._exchange(draws, state)

    def _move(self, draws: Draws, state: Ladder) -> tuple[State, Info]:
        count, rungs = len(state.batch), len(self.ladder)
        all_ = State(_stacked(state.batch, state.above), _energies(state), state.step)
        after, info = self.kernel.step(draws, all_, self.ladder.repeat_interleave(count))
        cold = torch.arange(count)
        none = torch.zeros(count, rungs - 1, dtype=torch.bool)
        told = LadderInfo(
            move=info.move[cold],
            proposal=info.proposal.select(cold),
            proposal_energy=info.proposal_energy[cold],
            log_ratio=info.log_ratio[cold],
            accepted=info.accepted[cold],
            temperature=info.temperature[cold],
            swap_tried=none,
            swap_accepted=none,
        )
        return self._ladder(state, after.batch, after.energy, none, none), told

    def _exchange(self, draws: Draws, state: Ladder) -> tuple[State, Info]:
        count, rungs = len(state.batch), len(self.ladder)
        first = (state.turn // 2) % 2 if rungs > 2 else 0
        low = torch.arange(first, rungs - 1, 2)
        all_, flat = _stacked(state.batch, state.above), _energies(state)
        energy, beta = flat.view(rungs, count), 1.0 / self.ladder[:, None]
        log_ratio = (beta[low] - beta[low + 1]) * (energy[low] - energy[low + 1])
        chance = log_ratio.clamp(max=0.0).exp().flatten()
        accepted = draws.bernoulli(chance).view(log_ratio.shape)

        place = torch.arange(rungs * count).view(rungs, count)
        whence = place.clone()
        whence[low] = torch.where(accepted, place[low + 1], place[low])
        whence[low + 1] = torch.where(accepted, place[low], place[low + 1])
        at = whence.flatten()

        tried = torch.zeros(count, rungs - 1, dtype=torch.bool)
        done = tried.clone()
        tried[:, low] = True
        done[:, low] = accepted.T
        stay, exchange = self.moves.index("stay"), self.moves.index("exchange")
        beside = place[1] if first == 0 else place[0]
        ratio = log_ratio[0] if first == 0 else torch.full((count,), -torch.inf).double()
        told = LadderInfo(
            move=torch.full((count,), exchange if first == 0 else stay),
            proposal=all_.select(beside),
            proposal_energy=flat[beside],
            log_ratio=ratio,
            accepted=done[:, 0],
            temperature=self.ladder[:1].expand(count),
            swap_tried=tried,
            swap_accepted=done,
        )
        return self._ladder(state, all_.select(at), flat[at], tried, done), told

    def _ladder(
        self, state: Ladder, rows: TokenBatch, energy: Tensor, tried: Tensor, done: Tensor
    ) -> Ladder:
        """The state after a turn, from the rows and energies of all rungs."""
        count = len(state.batch)
        cold, above = torch.arange(count), torch.arange(count, len(rows))
        return Ladder(
            batch=rows.select(cold),
            energy=energy[cold],
            step=state.step + 1,
            above=rows.select(above),
            above_energy=energy[above],
            tried=state.tried + tried.sum(0),
            exchanged=state.exchanged + done.sum(0),
            turn=state.turn + 1,
        )


def _energies(state: Ladder) -> Tensor:
    return torch.cat([state.energy, state.above_energy])


def _stacked(first: TokenBatch, second: TokenBatch) -> TokenBatch:
    """The rows of both."""
    width = max(first.longest, second.longest)
    a, b = first.padded(width), second.padded(width)
    return TokenBatch(
        torch.cat([a.ids, b.ids]),
        torch.cat([a.length, b.length]),
        torch.cat([a.locked, b.locked]),
    )
