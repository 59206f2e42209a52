"""What a failed check says: an AssertionError with a sentence, also under ``python -O``."""

from __future__ import annotations


def require(holds: bool, sentence: str) -> None:
    """AssertionError with the sentence, unless it holds."""
    if not holds:
        raise AssertionError(sentence)
