"""A toy language model whose texts can all be listed: a skewed float64 table over four tokens.

Tokens 1…4 spell " a", " c", " b", " b": two tokens have one string. Token 0 is the end token and
the only special one. No transition is as likely as its mirror image, so a mirrored move shows.
"""

from __future__ import annotations

import itertools
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from ergotext.errors import InputError
from ergotext.lm.batch import TokenBatch
from ergotext.lm.energies.keywords import Keywords
from ergotext.lm.energies.term import Custom, Sum, Term
from ergotext.lm.energies.terms import Length
from ergotext.lm.protocols import Energy
from ergotext.lm.tokenizers.characters import Alphabet
from ergotext.testing.require import require

SPELLING = {1: " a", 2: " c", 3: " b", 4: " b"}
TOKENS = 5


class ToyTokenizer:
    """What each toy token writes."""

    size = TOKENS
    alphabet = Alphabet(TOKENS + 1, pad=TOKENS, end=0)

    def piece(self, token: int) -> bytes:
        return SPELLING.get(token, "").encode()


class ToyVocabulary:
    """How the toy tokens spell texts of the words a, b and c."""

    tokenizer = ToyTokenizer()
    size = TOKENS
    allowed = torch.tensor([False, True, True, True, True])

    def text(self, tokens: list[int]) -> str:
        """What tokens write."""
        return "".join(SPELLING[token] for token in tokens)

    def spell(self, word: str) -> list[int]:
        """The token ids of a text of words."""
        first = {text: token for token, text in reversed(SPELLING.items())}
        return [first[f" {letter}"] for letter in word.split()]

    def encode(self, text: str) -> list[int]:
        return self.spell(text)

    def same_as(self, other: object) -> bool:
        return isinstance(other, ToyVocabulary)


class ToyScorer:
    """log p(x) = Σ log p(x_i | x_{i-1}, i mod 2), the end token included."""

    vocabulary = ToyVocabulary()
    end_id = 0

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        generator = torch.Generator().manual_seed(seed)
        logits = 1.3 * torch.randn(TOKENS, 2, TOKENS, generator=generator, dtype=torch.float64)
        self.table = logits.log_softmax(-1)
        self.allowed = torch.tensor([False, True, True, True, True])

    def log_prob(self, batch: TokenBatch) -> Tensor:
        return self.token_log_prob(batch).sum(-1)

    def token_log_prob(self, batch: TokenBatch) -> Tensor:
        wide = batch.padded(batch.width + 1)
        before = torch.nn.functional.pad(wide.ids, (1, 0))[:, :-1]
        parity = torch.arange(wide.width).expand_as(before) % 2
        return self.table[before, parity, wide.ids] * (
            torch.arange(wide.width) <= batch.length[:, None]
        )

    def next_log_prob(self, batch: TokenBatch, position: Tensor) -> Tensor:
        if bool((position > batch.length).any()):
            raise InputError("a position is above the length of its row, which a model cannot read")
        wide = batch.padded(batch.width + 1)
        before = torch.nn.functional.pad(wide.ids, (1, 0)).gather(1, position[:, None])[:, 0]
        return self.table[before, position % 2]

    def candidate_log_prob(
        self,
        batch: TokenBatch,
        start: Tensor,
        stop: Tensor,
        tokens: Tensor,
        horizon: int | None = None,
    ) -> Tensor:
        values = []
        for row, a, b, options in zip(
            batch.rows(), start.tolist(), stop.tolist(), tokens.tolist(), strict=True
        ):
            right = (*row[b:], 0)[:horizon]
            values.append([self._score((*row[:a], token, *right)) for token in options])
        return torch.tensor(values, dtype=torch.float64)

    def decode(self, batch: TokenBatch) -> list[str]:
        return ["".join(SPELLING[token] for token in row) for row in batch.rows()]

    def forget(self) -> None:
        pass

    def _score(self, tokens: tuple[int, ...]) -> float:
        table = self._lists
        return sum(
            table[before][i % 2][token]
            for i, (before, token) in enumerate(zip((0, *tokens), tokens, strict=False))
        )

    @cached_property
    def _lists(self) -> list[list[list[float]]]:
        lists: list[list[list[float]]] = self.table.tolist()
        return lists


class ToyFluency(Term):
    """−log p(x, end) of the toy model."""

    name = "fluency"
    lowest = 0.0

    def __init__(self, scorer: ToyScorer) -> None:
        self._toy = scorer

    @property
    def scorer(self) -> Any:
        return self._toy

    @property
    def density(self) -> Any:
        return self._toy

    def __call__(self, batch: TokenBatch) -> Tensor:
        return -self._toy.log_prob(batch)


class ToyMasked:
    """Conditionals from a random table of left token, right token and parity: of no joint."""

    vocabulary = ToyVocabulary()

    def __init__(self, seed: int = 0) -> None:
        generator = torch.Generator().manual_seed(seed)
        logits = torch.randn(TOKENS, TOKENS, 2, TOKENS, generator=generator, dtype=torch.float64)
        self.table = (1.3 * logits).log_softmax(-1)
        self.allowed = torch.tensor([False, True, True, True, True])

    def conditional_log_prob(self, batch: TokenBatch, position: Tensor) -> Tensor:
        require(bool((position < batch.length).all()), "asked about a position without a token")
        wide = torch.nn.functional.pad(batch.ids, (1, 1))
        sides = [wide.gather(1, position[:, None] + step)[:, 0] for step in (0, 2)]
        return self.table[sides[0], sides[1], position % 2]


class ToyProposer(Term):
    """A masked language model that proposes and has no say in the energy."""

    name = "proposer"

    def __init__(self, seed: int = 0) -> None:
        self._masked = ToyMasked(seed)

    @property
    def masked(self) -> ToyMasked:
        return self._masked

    def __call__(self, batch: TokenBatch) -> Tensor:  # noqa: ARG002 - named by Term
        raise AssertionError("the proposer has weight 0, and its energy was asked for")


def toy_energy(words: list[str] | None = None, any_order: bool = False, seed: int = 0) -> Sum:
    """Fluency, a length prior, and keywords if any are given."""
    terms: list[tuple[float, Term]] = [(0.8, ToyFluency(ToyScorer(seed))), (1.0, Length(3, 1.5))]
    if words:
        terms.append((1.0, Keywords(words, any_order)))
    return Sum(terms)


def flat_energy() -> Sum:
    """A custom term beside the model: proposals and target then differ everywhere."""
    tilt = Custom(lambda batch: (batch.ids == 2).sum(-1) * 0.7, "tilt", on_text=False)
    return Sum([(0.3, ToyFluency(ToyScorer(3))), (1.0, tilt), (1.0, Length(2, 1.0))])


def space(energy: Energy, max_length: int, needed: int = 0) -> TokenBatch:
    """Every state of a chain: rows of finite energy that hold each of ``needed`` keywords."""
    rows = [
        row for n in range(max_length + 1) for row in itertools.product(sorted(SPELLING), repeat=n)
    ]
    batch = TokenBatch.of(rows)
    marks = energy.locked(batch)
    batch = TokenBatch(batch.ids, batch.length, marks)
    held = torch.stack([(marks == k).any(-1) for k in range(1, needed + 1)] or [batch.length >= 0])
    return batch.select(held.all(0) & torch.isfinite(energy(batch)))
