"""Automata written as a table, and targets under them whose every sequence can be listed."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ergotext.lm.automaton_base import AutomatonBase
from ergotext.lm.batch import TokenBatch
from ergotext.samplers.target import Target
from ergotext.samplers.weighted.samples import WeightedSamples, ZeroWeightError
from ergotext.support.arrays import Ints
from ergotext.testing.exhaust import every_run
from ergotext.testing.require import require
from ergotext.testing.toy import SPELLING, ToyScorer

END = 0
Row = tuple[int, ...]


@dataclass(frozen=True)
class Table(AutomatonBase):
    """An automaton by its table: ``ways[state][token]`` is the next state; the sink is the last."""

    ways: tuple[dict[int, int], ...]
    end: int = END

    def start(self, count: int) -> Ints:
        return np.zeros(count, dtype=np.int64)

    def candidates(self, states: Ints) -> tuple[Ints, Ints, Ints]:
        flat = [(r, t, n) for r, s in enumerate(states) for t, n in self.ways[s].items()]
        row, token, after = np.array(flat, dtype=np.int64).reshape(-1, 3).T
        return row, token, after

    def advance(self, states: Ints, tokens: Ints) -> Ints:
        pairs = zip(states.tolist(), tokens.tolist(), strict=True)
        return np.array([self.ways[s].get(t, -1) if s >= 0 else -1 for s, t in pairs], np.int64)

    def accepting(self, states: Ints) -> NDArray[np.bool_]:
        return np.array([s >= 0 and (END in self.ways[s] or not self.ways[s]) for s in states])


LOOP = Table(({1: 1, 3: 2, 4: 3}, {END: 4, 2: 0}, {END: 4, 1: 2}, {}, {}))
"""Two loops, so that only max_length bounds it; token 4 at its start leads to a dead end."""
FEW = Table(({1: 1, 2: 2}, {3: 3, 2: 3}, {END: 4, 4: 3}, {END: 4}, {}))
"""(1,3) (1,2) (2) (2,4): the allowed masses of the two beginnings differ."""
PAIR = Table(({1: 1, 2: 1}, {END: 2}, {}))
"""(1) and (2)."""
EVERYTHING = Table(({END: 1, **dict.fromkeys(SPELLING, 0)}, {}))
"""Every sequence, so that only max_length bounds it."""
NOTHING = Table(({1: 1}, {}))
"""Every way is a dead end."""


def soft(batch: TokenBatch) -> Tensor:
    """Between −0.4 and 1.3 nats a token; lowest for (2, 2, …)."""
    cost = torch.tensor([0.0, 0.9, -0.4, 1.3, 0.0], dtype=torch.float64)
    return cost[batch.ids].sum(1)


def target(table: Table, max_length: int, tilted: bool = True, seed: int = 0) -> Target:
    """The toy model under a table, with the soft energy beside it where ``tilted``."""
    return Target(ToyScorer(seed), table, max_length, soft if tilted else None)


def mass(of: Target) -> dict[Row, float]:
    """p̃ of every sequence that has any, by the definition and without a sampler."""
    rows = [r for n in range(of.max_length + 1) for r in itertools.product(SPELLING, repeat=n)]
    kept = []
    for row in rows:
        state = of.automaton.start(1)
        for token in (*row, END):
            state = of.automaton.advance(state, np.array([token]))
        kept += [row] if state[0] >= 0 else []
    batch = TokenBatch.of(kept)
    log = of.scorer.log_prob(batch) - (of.soft(batch) if of.soft else 0.0)
    return dict(zip(kept, log.exp().tolist(), strict=True))


def measured(samples: WeightedSamples) -> dict[Row, float]:
    """(1/N) Σ_k w_k 1[x_k = x] of one run."""
    measure: dict[Row, float] = {}
    for row, weight in zip(samples.batch.rows(), samples.log_weight.exp().tolist(), strict=True):
        measure[row] = measure.get(row, 0.0) + weight / samples.tries
    return measure


def expected(sampler: Any, of: Target, *args: Any, **options: Any) -> tuple[dict[Row, float], int]:
    """Σ_paths p(path) · (1/N) Σ_k w_k 1[x_k = x], and the number of paths."""

    def outcome(draws: Any) -> dict[Row, float]:
        try:
            return measured(sampler(of, draws, *args, **options))
        except Exception as error:
            if type(error).__name__ == ZeroWeightError.__name__:
                return {}  # nothing was met: nothing to count
            raise

    total: dict[Row, float] = {}
    probability, paths = 0.0, 0
    for p, measure in every_run(outcome):
        probability, paths = probability + p, paths + 1
        for row, weight in measure.items():
            total[row] = total.get(row, 0.0) + p * weight
    require(abs(probability - 1) < 1e-9, f"the paths have {probability} in all, not 1")
    return total, paths


def require_mass(got: dict[Row, float], wanted: dict[Row, float]) -> None:
    """Every sequence has its mass to 1e-9, and no other has any."""
    for row in wanted.keys() | got.keys():
        found, meant = got.get(row, 0.0), wanted.get(row, 0.0)
        require(
            abs(found - meant) < 1e-9 and (row in got) == (row in wanted),
            f"the weights of {row} are {found:.6g} on average, and its mass is {meant:.6g}",
        )


def check_unbiased(sampler: Any, of: Target, *args: Any, **options: Any) -> int:
    """Every sequence has its mass to 1e-9, and no other has any; the number of paths."""
    wanted = mass(of)
    got, paths = expected(sampler, of, *args, **options)
    require_mass(got, wanted)
    return paths
