"""Small worlds whose unended mass and returns are known exactly."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ergotext.tasks.diagnose.laws import Law
from ergotext.testing.toy import TOKENS, ToyScorer
from tests.decoding import CausalDecoding
from tests.samplers.letters import Letters

Row = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Markov:
    """Rows of a chain in which the next token depends on the last one alone (``Decoding``)."""

    law: Tensor
    """float64 [V, V]: log p of the next token, by the last one"""
    last: Tensor
    end: int = 0

    @property
    def size(self) -> int:
        return len(self.law)

    @property
    def room(self) -> Tensor:
        return torch.full(self.last.shape, 1 << 30)

    def __len__(self) -> int:
        return len(self.last)

    def logits(self, rows: Tensor, tokens: Tensor) -> Tensor:
        return self.law[self.last[rows], tokens] + 3.0

    def log_z(self) -> Tensor:
        return torch.full(self.last.shape, 3.0, dtype=torch.float64)

    def advance(self, rows: Tensor, tokens: Tensor) -> Markov:
        return Markov(self.law, tokens, self.end)

    def rest_log_prob(self, rows: Tensor, ids: Tensor, offsets: Tensor) -> Tensor:
        raise AssertionError("no chain of one token has a known rest")


def markov(rows: int, last: int = 1, size: int = 5, seed: int = 0, end: float = 0.0) -> Markov:
    """A random chain; ``end`` is added to the end token's logit."""
    generator = torch.Generator().manual_seed(seed)
    logits = 1.5 * torch.randn(size, size, generator=generator, dtype=torch.float64)
    logits[:, 0] += end
    return Markov(logits.log_softmax(-1), torch.full((rows,), last))


def unended(chain: Markov, law: Law, length: int) -> list[float]:
    """The mass of a chain that has not ended, from the first row's token on."""
    kept = law(chain.law.clone()).exp()
    kept[:, chain.end] = 0.0
    powers = [torch.linalg.matrix_power(kept, n) for n in range(1, length + 1)]
    return [float(power[chain.last[0]].sum()) for power in powers]


def toy(rows: int, prompt: Row = (), seed: int = 0) -> CausalDecoding:
    scorer = ToyScorer(seed)
    return CausalDecoding.of(scorer, scorer.end_id, [prompt] * rows)


def letters(rows: int, prompt: Row = (), seed: int = 1) -> CausalDecoding:
    return CausalDecoding.of(Letters(seed), 0, [prompt] * rows)


def by_steps(scorer: ToyScorer, law: Law, length: int, prompt: Row = ()) -> list[float]:
    """Unended mass of the toy, whose next token depends on the last one and the parity alone."""
    mass = torch.zeros(TOKENS, dtype=torch.float64)
    mass[prompt[-1] if prompt else 0] = 1.0
    found = []
    for step in range(len(prompt), len(prompt) + length):
        mass = mass @ law(scorer.table[:, step % 2].clone()).exp()
        mass[0] = 0.0
        found.append(float(mass.sum()))
    return found


def by_listing(decoding: CausalDecoding, law: Law, length: int) -> list[float]:
    """Unended mass of any world: the sum over all texts without an end."""
    tokens = [t for t in range(decoding.size) if t != decoding.end]
    found = []
    for n in range(1, length + 1):
        total = 0.0
        for row in itertools.product(tokens, repeat=n):
            log, here = 0.0, decoding
            for token in row:
                log += float(law(here._law.clone())[0, token])
                if log == float("-inf"):
                    break
                here = here.advance(torch.tensor([0]), torch.tensor([token]))
            total += math.exp(log)
        found.append(total)
    return found


def mean(values: Tensor) -> list[float]:
    return [float(v) for v in values.mean(0)]
