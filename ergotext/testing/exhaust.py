"""Every path that a sampler's draws can take, with its probability: laws computed, not estimated.

>>> paths = paths_of_step(sampler, states, sampler.energy(states))
>>> matrix = transitions(paths, states)  # P of a chain: π ∝ exp(−E) should give π @ matrix = π
>>> for probability, result in every_run(lambda draws: anything(draws)): ...
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from ergotext.lm.batch import TokenBatch
from ergotext.samplers.base import Info, Sampler, State
from ergotext.samplers.chains.tempering import Ladder
from ergotext.testing.require import require


def _check_law(probability: Tensor) -> None:
    total = probability.sum(-1)
    fine = torch.allclose(total, torch.ones_like(total), atol=1e-12)
    require(fine and bool((probability >= 0).all()), "it drew from numbers that do not add up to 1")


def _continuous(count: int) -> Tensor:
    raise AssertionError(
        f"it drew {count} uniform numbers, whose values cannot be listed one by one: integrate "
        f"over them on a grid instead"
    )


@dataclass
class PrescribedDraws:
    """Draws that follow prescribed choices and note the law of the first draw beyond them."""

    choices: list[Tensor]
    law: Tensor | None = field(default=None, init=False)
    _at: int = field(default=0, init=False)

    def categorical(self, probability: Tensor) -> Tensor:
        _check_law(probability)
        at, self._at = self._at, self._at + 1
        if at < len(self.choices):
            return self.choices[at]
        if at == len(self.choices):
            self.law = probability
        return probability.argmax(-1)

    def bernoulli(self, probability: Tensor) -> Tensor:
        return self.categorical(torch.stack([1 - probability, probability], dim=1)) == 1

    def uniform(self, count: int) -> Tensor:
        return _continuous(count)


@dataclass
class StepPaths:
    """All paths of one step from each of N states."""

    origin: Tensor
    """int64 [paths]"""
    probability: Tensor
    """float64 [paths]"""
    after: State
    info: Info


def paths_of_step(sampler: Sampler, states: TokenBatch, energy: Tensor) -> StepPaths:
    """All paths of one step from each text, of a chain whose state is its text (``paths_from``)."""
    return paths_from(sampler, State(states, energy))


def paths_from(sampler: Sampler, begin: State) -> StepPaths:
    """All paths of one step from each of the states of ``begin``, of any class.

    Widens the tree of draws level by level until no draw is left open. Where a chain draws more
    than one row at a time, goes path by path (``joint_paths``).
    """
    origin = torch.arange(len(begin.batch))
    probability = torch.ones(len(begin.batch), dtype=torch.float64)
    choices: list[Tensor] = []
    while True:
        draws = PrescribedDraws(choices)
        at = origin
        before = _each(lambda b, at=at: b[0].select(at), lambda v, at=at: v[0][at], begin)
        after, info = sampler.step(draws, before)
        if draws.law is None:
            return StepPaths(origin, probability, after, info)
        if len(draws.law) != len(origin):
            return joint_paths(sampler, begin)
        row, choice = draws.law.nonzero(as_tuple=True)
        probability = probability[row] * draws.law[row, choice]
        origin = origin[row]
        choices = [c[row] for c in choices] + [choice]


@dataclass
class PairedDraws:
    """The draws of two rungs as one draw each of their product; others go through as they are."""

    inner: PrescribedDraws
    count: int

    def categorical(self, probability: Tensor) -> Tensor:
        if len(probability) == self.count:
            return self.inner.categorical(probability)
        one, two = probability[: self.count], probability[self.count :]
        both = (one[:, :, None] * two[:, None, :]).flatten(1)
        drawn = self.inner.categorical(both)
        return torch.cat([drawn // two.shape[1], drawn % two.shape[1]])

    def bernoulli(self, probability: Tensor) -> Tensor:
        return self.categorical(torch.stack([1 - probability, probability], dim=1)) == 1

    def uniform(self, count: int) -> Tensor:
        return _continuous(count)


def ladder_transitions(sampler: Any, states: TokenBatch, energy: Tensor) -> list[np.ndarray]:
    """P of a move and of an exchange on the pairs (i, j) of states, cold and hot, two rungs."""
    n = len(states)
    index = {row: i for i, row in enumerate(states.rows())}
    matrices = []
    none = torch.zeros(1, dtype=torch.int64)
    for turn in (0, 1):
        origin = torch.arange(n * n)
        probability = torch.ones(n * n, dtype=torch.float64)
        choices: list[Tensor] = []
        while True:
            inner = PrescribedDraws(choices)
            cold, hot = origin // n, origin % n
            before = Ladder(
                batch=states.select(cold), energy=energy[cold], above=states.select(hot),
                above_energy=energy[hot], tried=none, exchanged=none, turn=turn,
            )  # fmt: skip
            after, _ = sampler.step(PairedDraws(inner, len(origin)), before)
            if inner.law is None:
                break
            row, choice = inner.law.nonzero(as_tuple=True)
            probability = probability[row] * inner.law[row, choice]
            origin = origin[row]
            choices = [c[row] for c in choices] + [choice]
        here = np.array([index[row] for row in after.batch.rows()])
        there = np.array([index[row] for row in after.above.rows()])
        for kept, of in ((after.energy, here), (after.above_energy, there)):
            fresh = torch.allclose(kept, energy[of], rtol=0, atol=1e-12)
            require(fresh, "the energy in the state is not that of its tokens")
        to = here * n + there
        matrix = np.zeros((n * n, n * n))
        np.add.at(matrix, (origin.numpy(), to), probability.numpy())
        matrices.append(matrix)
    return matrices


@dataclass
class ReplayedDraws:
    """Draws that follow a list of choices, one a row, and then always take the first possible."""

    choices: list[int]
    laws: list[list[float]] = field(default_factory=list, init=False)

    def categorical(self, probability: Tensor) -> Tensor:
        _check_law(probability)
        drawn = []
        for law in probability.tolist():
            at = len(self.laws)
            if at == len(self.choices):
                self.choices.append(next(i for i, p in enumerate(law) if p > 0))
            self.laws.append(law)
            drawn.append(self.choices[at])
        return torch.tensor(drawn, dtype=torch.int64)

    def bernoulli(self, probability: Tensor) -> Tensor:
        return self.categorical(torch.stack([1 - probability, probability], dim=1)) == 1

    def uniform(self, count: int) -> Tensor:
        return _continuous(count)

    @property
    def probability(self) -> float:
        return math.prod(law[c] for law, c in zip(self.laws, self.choices, strict=True))


Outcome = TypeVar("Outcome")


def every_run(function: Callable[[ReplayedDraws], Outcome]) -> Iterator[tuple[float, Outcome]]:
    """Whatever ``function(draws)`` can come to, each with its probability; rows may interact."""
    choices: list[int] = []
    while True:
        draws = ReplayedDraws(choices)
        outcome = function(draws)
        yield draws.probability, outcome
        while choices:
            law, last = draws.laws[len(choices) - 1], choices.pop()
            if more := [i for i in range(last + 1, len(law)) if law[i] > 0]:
                choices.append(more[0])
                break
        else:
            return


def joint_paths(sampler: Sampler, begin: State) -> StepPaths:
    """All paths of one step from each of the states of ``begin``, of any class, one by one."""
    origin, probability, found = [], [], []
    for i in range(len(begin.batch)):
        one = _each(lambda b, i=i: b[0].select([i]), lambda v, i=i: v[0][[i]], begin)
        for p, outcome in every_run(lambda draws, one=one: sampler.step(draws, one)):
            origin.append(i)
            probability.append(p)
            found.append(outcome)
    after, info = (_each(_joined, torch.cat, *parts) for parts in zip(*found, strict=True))
    law = torch.tensor(probability, dtype=torch.float64)
    return StepPaths(torch.tensor(origin), law, after, info)


Record = TypeVar("Record", State, Info)


def _each(of_rows: Callable[..., Any], of_numbers: Callable[..., Any], *records: Record) -> Record:
    """A record whose batches and tensors are made of those of others of its class."""
    made = {}
    for part in fields(records[0]):
        values = [getattr(record, part.name) for record in records]
        if isinstance(values[0], TokenBatch):
            made[part.name] = of_rows(values)
        elif isinstance(values[0], Tensor):
            made[part.name] = of_numbers(values)
    return replace(records[0], **made)


def _joined(batches: list[TokenBatch]) -> TokenBatch:
    width = max(batch.longest for batch in batches)
    wide = [batch.padded(width) for batch in batches]
    parts = ([getattr(b, name) for b in wide] for name in ("ids", "length", "locked"))
    return TokenBatch(*map(torch.cat, parts))


def transitions(paths: StepPaths, states: TokenBatch, only: Tensor | None = None) -> np.ndarray:
    """[N, N]: P(x → x'), or the part of it that goes by the paths in ``only`` (bool [paths])."""
    index = {row: i for i, row in enumerate(states.rows())}
    matrix = np.zeros((len(states), len(states)))
    kept = torch.ones_like(paths.origin, dtype=torch.bool) if only is None else only
    after = paths.after.batch
    marks = [tuple(m[:n]) for m, n in zip(states.locked.tolist(), states.length, strict=True)]
    for o, p, row, mark, use in zip(
        paths.origin.tolist(),
        paths.probability.tolist(),
        after.rows(),
        after.locked.tolist(),
        kept.tolist(),
        strict=True,
    ):
        require(row in index, f"the chain left its space: {row}")
        require(tuple(mark[: len(row)]) == marks[index[row]], f"the lock marks of {row} are stale")
        if use:
            matrix[o, index[row]] += p
    return matrix


def stationary(energy: Tensor, beta: float = 1.0) -> np.ndarray:
    """π ∝ exp(−βE), float64 [N]."""
    return (-beta * energy).softmax(0).numpy()


def one_aperiodic_class(matrix: np.ndarray) -> bool:
    """Whether every state reaches every other, and some state may stay where it is."""
    reach = (matrix > 0) | np.eye(len(matrix), dtype=bool)
    for _ in range(int(np.ceil(np.log2(len(matrix)))) + 1):
        reach = (reach.astype(np.float64) @ reach.astype(np.float64)) > 0
    return bool(reach.all() and (np.diag(matrix) > 0).any())
