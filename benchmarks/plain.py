"""The serial chain of the blog's line as plain code: what the others are measured against.

One chain, three model calls a step: the next-token law for a list of 64 candidates, the 64
candidate sentences scored in full, and the two states of the decision. Nothing is kept between
calls and every softmax runs over the whole vocabulary.
"""

from __future__ import annotations

import math
import random

import torch
from torch import Tensor

from ergotext.lm.causal import CausalLM
from ergotext.support.words import holds_words

LIST = 64


class PlainScorer:
    """log p(x, end | context) by one full forward pass over full sentences."""

    def __init__(self, lm: CausalLM) -> None:
        self.lm = lm
        self.model = lm.model
        self.prefix = [lm.start_id, *lm.context]

    @torch.inference_mode()
    def log_prob(self, rows: list[list[int]]) -> Tensor:
        """float64 [B]."""
        full = [[*self.prefix, *row, self.lm.end_id] for row in rows]
        width = max(map(len, full))
        ids = torch.tensor([row + [self.lm.end_id] * (width - len(row)) for row in full])
        mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in full])
        log_p = self.model(ids, attention_mask=mask).logits.float().log_softmax(-1)
        picked = log_p[:, :-1].gather(2, ids[:, 1:, None])[:, :, 0]
        return (picked * mask[:, 1:])[:, len(self.prefix) - 1 :].double().sum(-1)

    @torch.inference_mode()
    def next_log_prob(self, row: list[int]) -> Tensor:
        """float32 [V]."""
        ids = torch.tensor([[*self.prefix, *row]])
        return self.model(ids).logits[0, -1].float().log_softmax(-1)


class PlainChain:
    """Insert, replace and delete by the blog's recipe on the energy of ``ergotext write``."""

    def __init__(self, lm: CausalLM, words: list[str], length: float, seed: int = 0) -> None:
        self.scorer = PlainScorer(lm)
        self.lm, self.words, self.length = lm, words, length
        self.random = random.Random(seed)
        spelled = [lm.vocabulary.spell(word) for word in words]
        self.row = [token for word in spelled for token in word]
        self.locked = [True] * len(self.row)
        self.energy = float(self._energies([self.row])[0])

    def step(self, temperature: float) -> None:
        """One proposal and its decision."""
        free = [i for i, locked in enumerate(self.locked) if not locked]
        move = self.random.choice(["insert", "replace", "delete"] if free else ["insert"])
        if move == "insert":
            at = self.random.randrange(len(self.row) + 1)
            left, right = self.row[:at], self.row[at:]
            locked = [*self.locked[:at], False, *self.locked[at:]]
        else:
            at = self.random.choice(free)
            left, right = self.row[:at], self.row[at + 1 :]
            locked = list(self.locked)
        law = self.scorer.next_log_prob(left).masked_fill(~self.lm.allowed, -torch.inf)
        listed = law.topk(LIST).indices.tolist()
        scores = self.scorer.log_prob([[*left, token, *right] for token in listed])
        weights = (scores / temperature).softmax(0)
        if move == "delete":
            proposed = left + right
            locked = self.locked[:at] + self.locked[at + 1 :]
            old = self.row[at]
            ratio = float(weights[listed.index(old)].log()) if old in listed else -math.inf
        else:
            chosen = int(torch.multinomial(weights, 1))
            proposed = [*left, listed[chosen], *right]
            ratio = -float(weights[chosen].log())
            if move == "replace":
                old = self.row[at]
                ratio += float(weights[listed.index(old)].log()) if old in listed else -math.inf
        here, there = self._energies([self.row, proposed]).tolist()
        if math.log(max(self.random.random(), 1e-300)) < (here - there) / temperature + ratio:
            self.row, self.locked, self.energy = proposed, locked, there
        else:
            self.energy = here

    def _energies(self, rows: list[list[int]]) -> Tensor:
        fluency = -self.scorer.log_prob(rows)
        n = torch.tensor([len(row) for row in rows], dtype=torch.float64)
        prior = (n - self.length) ** 2 / 2 + 0.5 * math.log(2 * math.pi)
        held = [holds_words(self.lm.vocabulary.text(row), self.words) for row in rows]
        return torch.where(torch.tensor(held), fluency + prior, math.inf)
