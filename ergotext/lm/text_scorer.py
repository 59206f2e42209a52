"""What energies need of a causal language model: a next-token scorer that reads and writes text."""

from __future__ import annotations

from typing import Protocol

from ergotext.lm.protocols import NextTokenScorer
from ergotext.lm.tokenizers.vocabulary import Vocabulary


class TextScorer(NextTokenScorer, Protocol):
    """A causal language model with its tokenizer, such as ``CausalLM`` or ``EndingScorer``."""

    @property
    def vocabulary(self) -> Vocabulary:
        """Its tokenizer."""

    def given(self, context: str) -> TextScorer:
        """The same model conditioned on a text before every row."""
