"""A random GPT-2 over three letters, and soft energies beside it: every text is enumerated.

``python -m tests.samplers.letters`` prints how often log Z of smc, and of importance, lies within
three stated errors; docs/samplers.md has the table.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator
from functools import cache

import numpy as np
import torch
from torch import Tensor
from transformers import GPT2Config, GPT2LMHeadModel

from ergotext.lm.batch import TokenBatch
from ergotext.lm.energies.term import Custom, Sum
from ergotext.lm.energies.terms import Length
from ergotext.samplers import SeededDraws
from ergotext.samplers.target import Target
from ergotext.samplers.weighted.importance import importance
from ergotext.samplers.weighted.smc import smc
from ergotext.testing.toy import ToyFluency, ToyScorer

LETTERS, LONGEST, MODEL = (1, 2, 3), 6, 1


class Letters(ToyScorer):
    """The next-token law of a random GPT-2, tabulated: tokens 1, 2, 3 are letters, 0 the end."""

    def __init__(self, seed: int) -> None:
        torch.manual_seed(seed)
        config = GPT2Config(
            vocab_size=len(LETTERS) + 1, n_positions=16, n_embd=16, n_layer=2, n_head=2,
            initializer_range=0.6, bos_token_id=0, eos_token_id=0,
        )  # fmt: skip
        model = GPT2LMHeadModel(config).double().eval()
        self.allowed = torch.tensor([False, True, True, True])
        laws = []
        for n in range(LONGEST + 1):
            rows = list(itertools.product(LETTERS, repeat=n))
            with torch.inference_mode():
                laws.append(model(torch.tensor([(0, *row) for row in rows])).logits[:, -1])
        self._law = torch.cat(laws).log_softmax(1)

    def next_log_prob(self, batch: TokenBatch, position: Tensor) -> Tensor:
        return self._law[self._numbers(batch).gather(1, position[:, None])[:, 0]]

    def token_log_prob(self, batch: TokenBatch) -> Tensor:
        numbers, wide = self._numbers(batch), batch.padded(batch.longest + 1).ids
        inside = torch.arange(wide.shape[1]) <= batch.length[:, None]
        return self._law[numbers].gather(2, wide[:, :, None])[:, :, 0] * inside

    @staticmethod
    def _numbers(batch: TokenBatch) -> Tensor:
        """int64 [B, L + 1]: the place in the table of each row's beginnings, 0 beyond its end."""
        numbers = [torch.zeros(len(batch), dtype=torch.int64)]
        for at, token in enumerate(batch.padded(batch.longest).ids.T):
            inside = at < batch.length
            # The children of place k, which is of base 3 without a zero, are 3k + 1, 2, 3.
            numbers.append(torch.where(inside, 3 * numbers[-1] + token, 0))
        return torch.stack(numbers, 1)


def _constant(value: float) -> Custom:
    return Custom(lambda b: torch.full((len(b),), value, dtype=torch.float64), "constant", False)


@cache
def _fluency(seed: int) -> ToyFluency:
    return ToyFluency(Letters(seed))


CONSTANTS = {f"fluency {value:+.0f}": value for value in (-20.0, -5.0, 0.0, 5.0, 20.0)}
SOFT = {
    **{name: (1.0, _constant(value)) for name, value in CONSTANTS.items()},
    "0.7 fluency": (0.7, None),
    "2 fluency": (2.0, None),
    "3 fluency": (3.0, None),
    "fluency + length(1, 0.5)": (1.0, Length(1, 0.5)),
    "fluency + length(4, 1)": (1.0, Length(4, 1.0)),
}
"""The weight of fluency, and what stands beside it."""


@cache
def problem(name: str, seed: int = MODEL) -> tuple[Target, float]:
    """The target under a soft energy, and its log Z from all texts of at most six letters."""
    weight, term = SOFT[name]
    energy = Sum([(weight, _fluency(seed)), *([] if term is None else [(1.0, term)])])
    rows = [row for n in range(LONGEST + 1) for row in itertools.product(LETTERS, repeat=n)]
    return Target.of(energy, LONGEST), float((-energy(TokenBatch.of(rows))).logsumexp(0))


def table(seeds: int = 200, n: int = 1000) -> Iterator[str]:
    """Markdown, line by line: how often log Z held, and how many runs were warned of."""
    yield "| sampler | energy | within 3 errors | warned | error stated | error seen |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for sampler in (smc, importance):
        for name in SOFT:
            target, log_z = problem(name)
            runs = [sampler(target, SeededDraws(seed), n) for seed in range(seeds)]
            held = np.mean([abs(r.log_z - log_z) <= 3 * r.log_z_stderr for r in runs])
            warned = sum(bool(r.complaints()) for r in runs)
            stated = np.mean([r.log_z_stderr for r in runs])
            seen = np.std([r.log_z for r in runs])
            figures = f"{held:.1%} of {seeds} | {warned} | {stated:.3f} | {seen:.3f}"
            yield f"| `{sampler.__name__}` | {name} | {figures} |"


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    for line in table():
        print(line, flush=True)
