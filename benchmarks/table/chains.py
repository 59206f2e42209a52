"""Rows of scoring and of chains, beside a serial chain in plain transformers."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch
from plain import LIST, PlainChain, PlainScorer

from ergotext import TokenBatch, load
from ergotext.lm.causal import CausalLM
from ergotext.lm.energies.keywords import keywords
from ergotext.lm.energies.terms import fluency, length
from ergotext.samplers import SeededDraws, sampler_named
from ergotext.tasks.demands import CONTEXT
from table.rows import Row, Scale

SENTENCE = "The old man sat by the river and watched the boats go slowly past"
WORDS = ["summer", "beach", "ice cream"]


def rows(scale: Scale) -> Iterator[Row]:
    """All rows of scoring and chains."""
    lm = load("tiny-causal" if scale.quick else "smollm2")
    yield from _scorings(lm, scale)
    given = lm.given(CONTEXT)
    # Both are first moved on from texts of the keywords alone, which are shorter than what follows.
    plain = PlainChain(given, WORDS, 14)
    for _ in range(scale.of(10, 1)):
        plain.step(1.0)

    def theirs(_: int) -> float:
        plain.step(1.0)
        return 1.0

    for count in (1, 2) if scale.quick else (1, 16, 128):
        ours = Chains(given, count, scale.of(20, 2))
        yield Row(f"mh, {count} chain{'s' * (count > 1)}", "steps", ours, {"serial chain": theirs})


def _scorings(lm: CausalLM, scale: Scale) -> Iterator[Row]:
    """64 candidates for one place of 16 tokens; nothing is kept between calls."""
    ids = lm.vocabulary.encode(SENTENCE * 2)
    rows = [ids[shift : shift + 16] for shift in range(4)]
    scorer = PlainScorer(lm)
    for count in (1, 4):
        batch, at = TokenBatch.of(rows[:count]), torch.full((count,), 8)
        law = lm.next_log_prob(batch, at).masked_fill(~lm.allowed, -torch.inf)
        tokens = law.topk(scale.of(LIST, 8)).indices
        full = [[*rows[0][:8], token, *rows[0][9:]] for token in tokens[0].tolist()]

        def ours(_: int, batch: TokenBatch, at: torch.Tensor, tokens: torch.Tensor) -> float:
            lm.forget()
            lm.candidate_log_prob(batch, at, at + 1, tokens)
            return float(tokens.numel())

        def theirs(_: int, full: list[list[int]] = full) -> float:
            scorer.log_prob(full)
            return float(len(full))

        name = f"candidates of {count} row{'s' * (count > 1)}"
        yield Row(
            name, "scorings", partial(ours, batch=batch, at=at, tokens=tokens),
            {"plain forward passes": theirs},
        )  # fmt: skip


class Chains:
    """Chains of ``mh`` that have left their first texts."""

    def __init__(self, lm: CausalLM, count: int, before: int) -> None:
        energy = fluency(lm) + keywords(WORDS, any_order=True) + length(14)
        self.kernel = sampler_named("mh")(energy, max_length=40)
        self.count, self.draws = count, SeededDraws(0)
        self.state = self.kernel.init(self.draws, count)
        for _ in range(before):
            self.state = self.kernel.step(self.draws, self.state)[0]

    def __call__(self, _: int) -> float:
        for _ in range(2):
            self.state = self.kernel.step(self.draws, self.state)[0]
        return 2.0 * self.count
