"""Protocol of a rule that tells where a text may end."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from ergotext.lm.batch import TokenBatch


class EndingRule(Protocol):
    """Which next tokens count as the end of a text, as a function of what stands before them."""

    @property
    def absorbed(self) -> Tensor:
        """bool [K, V]: per kind of place, the tokens that end the text there.

        Kind 0 is everywhere else and absorbs none; no kind absorbs the model's own end token.
        """

    def kinds(self, batch: TokenBatch) -> Tensor:
        """int64 [B, L + 1]: the kind of place after each prefix of each row; 0 beyond its end."""

    def spare(self, batch: TokenBatch) -> Tensor:
        """bool [B]: whether the bytes that a row ends in are part of no character of its text."""
