"""Rejection sampling that remembers: exact draws, and the target's mass from their rate.

The proposal ``model`` remembers. A text that the automaton refuses (or that cannot end within
``max_length``) closes its prefixes: the tokens that are refused after each are not proposed again,
nor are prefixes after which nothing is left (``DeadPrefixes``). A text refused by chance, for its
soft energy, is not remembered. Each try is a draw of the model given that it is not known to be
dead, of mass a, so it is accepted with probability Z/(M·a): ever more are, and those that are have
the same law as ever. Only refused texts teach, so what is accepted is independent of the memory, of
the number of tries and of ``log_z``, which ``log_z_of`` gives.

Texts of one batch are drawn under the memory from before it, and gone through in their order: one
that an earlier one of its batch has shown to be dead would not have been drawn, and is no try.
Batches grow as fewer of them are wasted so, up to ``at_once``.

Parys et al. 2025, "Constrained adaptive rejection sampling", arXiv 2510.01902; von Neumann 1951,
"Various techniques used in connection with random digits"; Haldane 1945, "On a method of estimating
frequencies"; Girshick, Mosteller and Savage 1946, "Unbiased estimates for certain binomial sampling
problems", for a count that is cut short.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from ergotext.errors import ErgotextError, InputError
from ergotext.lm.batch import TokenBatch
from ergotext.samplers.draws import Draws
from ergotext.samplers.feasible import FeasibleAutomaton
from ergotext.samplers.options import check_counts
from ergotext.samplers.target import Target
from ergotext.samplers.weighted.accepted import Accepted, log_z_of
from ergotext.samplers.weighted.dead_prefixes import DeadPrefixes, Prefix
from ergotext.samplers.weighted.proposals import TokenProposal, model
from ergotext.samplers.weighted.rollout import grown
from ergotext.samplers.weighted.samples import ZeroWeightError
from ergotext.support.arrays import Ints

ROUNDING = 1e-9
"""Nats by which a weight may pass the bound: no more than rounding does."""


class BoundError(ErgotextError, RuntimeError):
    """A draw weighs more than the stated bound: what was accepted so far is of another law."""


def rejection(
    target: Target,
    draws: Draws,
    n: int,
    *,
    proposal: TokenProposal = model,
    log_bound: float | None = None,
    max_tries: int = 100_000,
    at_once: int = 64,
) -> Accepted:
    """Up to ``n`` exact, independent draws, each of the same weight.

    A draw x of the proposal with weight w = p̃(x)/q(x) ≤ M is accepted with probability w/M. Tries
    go on until ``n + 1`` are accepted; the last of these only ends the count and is dropped, since
    with it the rate would be biased (Haldane). Z is M times the rate, without bias, also where
    ``max_tries`` cuts the count short: then fewer than ``n`` may come back. Ctrl-C does so too,
    once one is accepted: the tries that are being written then are left out.

    Parameters
    ----------
    target : Target
    draws : Draws
    n : int
        Draws wanted.
    proposal : Proposal
        All accept as often under one bound: Z/M on average. Only ``model`` has a memory. With
        ``masked`` a lower bound may do; an estimated weight is no less exact.
    log_bound : float, optional
        log M in nats. 0 where there is no soft energy. With one it must be stated: −min soft(x).
    max_tries, at_once : int
        Most tries, and how many texts at most are written side by side.

    Raises
    ------
    InputError
        A count is below one, or there is a soft energy and no bound.
    BoundError
        A draw weighs more than the bound.
    ZeroWeightError
        No try was accepted, or it was found that no text ever is.
    EnergyError
        The soft energy returned what is no energy.
    """
    check_counts(n=n, max_tries=max_tries, at_once=at_once)
    bound = _bound_of(target, log_bound)
    run = _Collected(DeadPrefixes() if proposal is model else None)
    wanted = None if _collect(run, draws, target, proposal, bound, n, max_tries, at_once) else n
    return run.accepted(n, bound, wanted)


def _bound_of(target: Target, log_bound: float | None) -> float:
    """log M, in nats; InputError where none can be."""
    if target.power != 1:
        raise InputError(
            f"rejection needs p itself, but the target has p^{target.power:g}: make the power a "
            "part of the soft energy"
        )
    if log_bound is None and target.soft is not None:
        raise InputError(
            "rejection needs a bound of the weights, and none is known for this soft energy: set "
            "log_bound to at least −min soft(x) over all possible texts"
        )
    return 0.0 if log_bound is None else log_bound


@dataclass(frozen=True, eq=False)
class _Tries:
    """Texts written side by side."""

    rows: list[Prefix]
    """their tokens, up to a refused one"""
    log_weight: Tensor
    """float64 [B], nats"""
    refused: list[bool]
    """by the automaton"""


@dataclass(eq=False)
class _Collected:
    """The tries so far."""

    memory: DeadPrefixes | None
    kept: list[Prefix] = field(default_factory=list)
    left_at: list[float] = field(default_factory=list)
    """``log_left`` at each try that was refused"""

    @property
    def log_left(self) -> float:
        """log of the mass that proposals are drawn from, in nats."""
        return 0.0 if self.memory is None else self.memory.log_left

    @property
    def tries(self) -> int:
        return len(self.kept) + len(self.left_at)

    def take(self, batch: _Tries, accepted: list[bool], n: int) -> None:
        """Go through a batch in its order until ``n + 1`` are accepted."""
        for row, met, refused in zip(batch.rows, accepted, batch.refused, strict=True):
            if len(self.kept) > n:
                break
            if met:
                self.kept.append(row)
            elif self.memory is None or not refused:
                self.left_at.append(self.log_left)
            elif not self.memory.knows(row):
                self.left_at.append(self.log_left)
                self.memory.learn(row)

    def accepted(self, n: int, bound: float, wanted: int | None) -> Accepted:
        if self.log_left == -math.inf:
            raise ZeroWeightError(
                f"no text was accepted, and none can be: {self.tries} tries showed that all the "
                "model can write within max_length is refused; raise max_length or change the "
                "constraint"
            )
        if not self.kept:
            raise ZeroWeightError(
                f"none of {self.tries} tries was accepted: raise max_tries, lower log_bound if no "
                f"draw can reach {bound:g}, use smc, or check that any text is accepted at all"
            )
        kept = self.kept[:n]
        tries = len(kept) + len(self.left_at)
        left = torch.tensor([*self.left_at, self.log_left], dtype=torch.float64)
        # N/K of them have the sum that log_z is to be the mean of.
        weight = bound + log_z_of(left, len(kept)) + math.log(tries / len(kept))
        equal, root = torch.full((len(kept),), weight, dtype=torch.float64), torch.arange(len(kept))
        return Accepted(TokenBatch.of(kept), equal, tries, root, wanted=wanted, log_left=left)


def _collect(
    run: _Collected,
    draws: Draws,
    target: Target,
    proposal: TokenProposal,
    bound: float,
    n: int,
    max_tries: int,
    at_once: int,
) -> bool:
    """Try until the count ends; False if Ctrl-C ended it, with something to show."""
    size = at_once if run.memory is None else 1
    while len(run.kept) <= n and run.tries < max_tries and run.log_left > -math.inf:
        size = min(size, at_once, max_tries - run.tries)
        try:
            batch = _written(draws, target, proposal, run.memory, size)
        except KeyboardInterrupt:
            if not run.kept:
                raise
            return False
        _check(batch, bound)
        accepted = draws.bernoulli((batch.log_weight - bound).clamp(max=0.0).exp())
        before = run.tries
        run.take(batch, accepted.tolist(), n)
        size = 2 * (run.tries - before)
    return True


def _written(
    draws: Draws, target: Target, proposal: TokenProposal, memory: DeadPrefixes | None, count: int
) -> _Tries:
    if memory is not None:
        return _remembering(draws, target, memory, count)
    rows = grown(draws, target, proposal, count)
    return _Tries(rows.batch.rows(), rows.log_weight, [False] * count)


def _remembering(draws: Draws, target: Target, memory: DeadPrefixes, count: int) -> _Tries:
    """Texts of the model, given that they are not known to be dead, written to their ends."""
    rows: list[Prefix] = [()] * count
    state, open_ = target.automaton.start(count), np.arange(count)
    refused = np.zeros(count, dtype=np.bool_)
    for left in range(target.max_length, -1, -1):
        prefixes = [rows[i] for i in open_]
        batch = TokenBatch.of(prefixes)
        log_prob = target.scorer.next_log_prob(batch, batch.length)
        allowed = _allowed(target, state[open_], left, log_prob.shape[1])
        token, alive = (one.numpy() for one in memory.draw(draws, prefixes, log_prob, allowed))
        refused[open_[~alive]] = True
        going = alive & (token != target.automaton.end)
        open_, token = open_[going], token[going]
        state[open_] = target.automaton.advance(state[open_], token)
        for i, one in zip(open_.tolist(), token.tolist(), strict=True):
            rows[i] = (*rows[i], one)
        if not len(open_):
            break
    log_weight = torch.full((count,), -torch.inf, dtype=torch.float64)
    ended = torch.from_numpy(~refused)
    log_weight[ended] = target.log_soft(TokenBatch.of(rows).select(ended))
    return _Tries(rows, log_weight, refused.tolist())


def _allowed(target: Target, states: Ints, left: int, size: int) -> Tensor:
    """bool [B, size]: tokens after which a text can end, when ``left`` may be written."""
    if left:
        mask = FeasibleAutomaton(target.automaton, left - 1).mask(states, size)
    else:
        mask = np.zeros((len(states), size), dtype=np.bool_)
        mask[:, target.automaton.end] = target.automaton.accepting(states)
    return torch.from_numpy(mask)


def _check(batch: _Tries, bound: float) -> None:
    worst = int(batch.log_weight.argmax())
    if not float(batch.log_weight[worst]) <= bound + ROUNDING:
        raise BoundError(
            f"the draw {batch.rows[worst]} has the log-weight "
            f"{float(batch.log_weight[worst]):.6g}, above log_bound = {bound:.6g}: set a higher "
            "log_bound and draw again"
        )
