"""Several laws of text as one: their logarithmic pool."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import cast

import torch
from torch import Tensor

from ergotext.errors import InputError
from ergotext.lm.batch import TokenBatch
from ergotext.lm.protocols import NextTokenScorer, Reducible
from ergotext.lm.text_scorer import TextScorer
from ergotext.lm.tokenizers.vocabulary import Vocabulary
from ergotext.support.reprs import called, safe
from ergotext.support.threads import side_by_side


class Pooled:
    """log p = the mean of log p_k of some models, for each token and so for each text.

    A text is likely where it is so by all of them: a product of experts, of which the geometric
    mean is taken. It is not normalised: of the next token the sum is at most 1, by Hölder's
    inequality, and less the more the models differ. All that samples from it weighs with p as it
    is, so Z counts what is lost.

    Parameters
    ----------
    scorers : sequence of TextScorer
        Of one tokenizer and end token. They may have different contexts, and end texts by
        different rules.

    Raises
    ------
    InputError
        There is none, or they differ in tokenizer or end token.

    References
    ----------
    Genest and Zidek 1986, "Combining probability distributions", section 3.2; Hinton 2002,
    "Training products of experts by minimizing contrastive divergence".
    """

    def __init__(self, scorers: Sequence[TextScorer]) -> None:
        self.scorers = tuple(scorers)
        if not self.scorers:
            raise InputError("give at least one model to pool")
        first = self.scorers[0]
        for other in self.scorers[1:]:
            alike = other.vocabulary.same_as(first.vocabulary) and other.end_id == first.end_id
            if not alike or len(other.allowed) != len(first.allowed):
                raise InputError(
                    "the models have different tokenizers or end tokens, so they cannot score the "
                    "same tokens"
                )
        self.allowed = torch.stack([one.allowed for one in self.scorers]).all(0)
        self.end_id = first.end_id
        self._reduced: dict[str, Pooled] = {}
        memories = [_memories(one) for one in self.scorers]
        self._apart = sum(map(len, memories)) == len(set().union(*memories))
        """Whether each has a memory of its own of what it has read."""

    @safe
    def __repr__(self) -> str:
        return called("Pooled", *map(repr, self.scorers))

    def shown(self) -> str:
        """The models, each as it shows itself."""
        each = (getattr(one, "shown", type(one).__name__.__str__)() for one in self.scorers)
        return " · ".join(dict.fromkeys(map(str, each)))

    @property
    def vocabulary(self) -> Vocabulary:
        return self.scorers[0].vocabulary

    @property
    def longest_text(self) -> int:
        """Tokens that every context window leaves for a text."""
        return min(int(getattr(one, "longest_text", 1 << 20)) for one in self.scorers)

    @property
    def precision(self) -> str:
        """What the models multiply in."""
        each = (one.precision if isinstance(one, Reducible) else "float32" for one in self.scorers)
        return " and ".join(dict.fromkeys(each))

    def given(self, context: str) -> Pooled:
        """The same models, all conditioned on ``context``."""
        return Pooled([one.given(context) for one in self.scorers])

    def in_precision(self, name: str) -> Pooled:
        """The same models in lower precision, where they have one."""
        if name not in self._reduced:
            others = [_reduced(one, name) for one in self.scorers]
            if all(a is b for a, b in zip(others, self.scorers, strict=True)):
                return self  # not kept: what holds itself is not freed when it is done with
            self._reduced[name] = Pooled(others)
        return self._reduced[name]

    def decode(self, batch: TokenBatch) -> list[str]:
        """The text of each row, as the first model has it."""
        return self.scorers[0].decode(batch)

    def forget(self) -> None:
        """Drop the caches of earlier calls."""
        for one in self.scorers:
            one.forget()

    def log_prob(self, batch: TokenBatch) -> Tensor:
        """float64 [B], in nats."""
        return self._mean(lambda one: one.log_prob(batch))

    def token_log_prob(self, batch: TokenBatch) -> Tensor:
        """float64 [B, L + 1]: of each token, then of the end; 0 elsewhere."""
        return self._mean(lambda one: one.token_log_prob(batch))

    def next_log_prob(self, batch: TokenBatch, position: Tensor) -> Tensor:
        """float64 [B, V]"""
        return self._mean(lambda one: one.next_log_prob(batch, position))

    def candidate_log_prob(
        self,
        batch: TokenBatch,
        start: Tensor,
        stop: Tensor,
        tokens: Tensor,
        horizon: int | None = None,
    ) -> Tensor:
        """float64 [B, K]"""
        return self._mean(lambda one: one.candidate_log_prob(batch, start, stop, tokens, horizon))

    def _mean(self, of: Callable[[NextTokenScorer], Tensor]) -> Tensor:
        tasks = [partial(of, one) for one in self.scorers]
        # Two threads must not change one memory.
        total, *others = side_by_side(tasks) if self._apart else [task() for task in tasks]
        if not others:
            return total
        for one in others:
            total = total + one  # not in place: it may be kept by its model
        return total.div_(len(self.scorers))


def _memories(one: object) -> set[int]:
    """What keeps what a scorer has read; a model with a rule of ends has that of the model."""
    if isinstance(one, Pooled):
        return set().union(*map(_memories, one.scorers))
    return {id(getattr(one, "_reader", one))}


def _reduced(one: TextScorer, name: str) -> TextScorer:
    # What a text scorer becomes in another precision reads and writes text as well.
    return cast(TextScorer, one.in_precision(name)) if isinstance(one, Reducible) else one
