"""The states of ``pimh``, (x, Ẑ), all of them, and the law that the chain is to leave invariant."""

from __future__ import annotations

from bisect import bisect_left
from copy import copy
from typing import Any

import numpy as np
import torch

from ergotext.lm.batch import TokenBatch
from ergotext.samplers.particle_chains.pimh import RunState
from ergotext.samplers.particle_chains.runs import Picked
from ergotext.testing.exhaust import every_run

SAME = 1e-9
"""Nats within which two sums of one Ẑ are taken for one."""


class Pairs:
    """Every (x, Ẑ) that a run can come to, in order, with its probability.

    Parameters
    ----------
    found : list of (tuple, float, float)
        x, log Ẑ and the probability of each path.
    energy : Energy
    """

    def __init__(self, found: list[tuple[tuple[int, ...], float, float]], energy: Any) -> None:
        self.keys: list[tuple[tuple[int, ...], float]] = []
        law: list[float] = []
        for row, log_z, p in sorted(found):
            if self.keys and self.keys[-1][0] == row and log_z - self.keys[-1][1] < SAME:
                law[-1] += p
            else:
                self.keys.append((row, log_z))
                law.append(p)
        self.law = np.array(law)
        batch = TokenBatch.of([row for row, _ in self.keys])
        batch = TokenBatch(batch.ids, batch.length, energy.locked(batch))
        log_z = torch.tensor([z for _, z in self.keys], dtype=torch.float64)
        self.state = RunState(batch, energy(batch), log_z=log_z)

    @classmethod
    def of(cls, sampler: Any) -> Pairs:
        """Those of its runs; one in which all particles died gives none."""
        return cls(runs(lambda draws: sampler.run(draws, 1)), sampler.energy)

    def tabled(self, sampler: Any) -> Any:
        """The sampler with its runs drawn from their law, so that all pairs can step at once."""
        dead = [max(0.0, 1.0 - self.law.sum())] if self.law.sum() < 1 - SAME else []
        law = torch.tensor([*self.law, *dead], dtype=torch.float64)

        def run(draws: Any, chains: int) -> Picked:
            at = draws.categorical(law.expand(chains, -1))
            met = at < len(self)
            found = at.where(met, 0)
            energy, log_z = self.state.energy[found], self.state.log_z[found]
            return Picked(
                self.state.batch.select(found),
                energy.where(met, torch.inf),
                log_z.where(met, -torch.inf),
                at,
            )

        tabled = copy(sampler)
        tabled.run = run
        return tabled

    def __len__(self) -> int:
        return len(self.keys)

    def at(self, state: Any) -> np.ndarray:
        """int [B]: which of the pairs each chain is at."""
        found = []
        for row, log_z in zip(state.batch.rows(), state.log_z.tolist(), strict=True):
            i = bisect_left(self.keys, (row, log_z - SAME))
            near = i < len(self.keys) and self.keys[i][0] == row
            assert near and abs(self.keys[i][1] - log_z) <= SAME, f"{row}, {log_z} is no state"
            found.append(i)
        return np.array(found)

    def invariant(self, log_mass: float) -> np.ndarray:
        """π(x, Ẑ) = q(x, Ẑ) Ẑ / Z."""
        return self.law * np.exp(self.state.log_z.numpy() - log_mass)

    def marginal(self, law: np.ndarray, states: TokenBatch) -> np.ndarray:
        """The law of x alone."""
        index = {row: i for i, row in enumerate(states.rows())}
        total = np.zeros(len(states))
        np.add.at(total, [index[row] for row, _ in self.keys], law)
        return total

    def transitions(self, paths: Any) -> np.ndarray:
        matrix = np.zeros((len(self), len(self)))
        np.add.at(matrix, (paths.origin.numpy(), self.at(paths.after)), paths.probability.numpy())
        return matrix


def runs(function: Any) -> list[tuple[tuple[int, ...], float, float]]:
    """x, log Ẑ and probability of every path of something with one text."""
    found = []
    for p, outcome in every_run(function):
        log_z = float(outcome.log_z)
        if log_z > -np.inf:
            found.append((outcome.batch.rows()[0], log_z, p))
    return found
