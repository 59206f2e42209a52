"""Read the prompts that a model is examined on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ergotext.errors import InputError
from ergotext.lm.causal import CausalLM
from ergotext.support.words import check_texts

NEUTRAL = Path(__file__).with_name("prompts.txt")
"""Fifty beginnings of plain English sentences, one a line."""


def neutral_prompts() -> list[str]:
    """The fifty prompts that come with this package."""
    return NEUTRAL.read_text(encoding="utf-8").splitlines()


def read_prompts(lm: object, prompts: Sequence[str] | None, length: int) -> list[list[int]]:
    """Token ids of each prompt; the neutral ones if none are given.

    Raises
    ------
    InputError
        The model does not write from left to right, there is no prompt, or a prompt and ``length``
        tokens after it exceed the model's window.
    """
    if not isinstance(lm, CausalLM):
        raise InputError(
            f"a {type(lm).__name__} does not write text from left to right: use a causal language "
            "model, such as smollm2"
        )
    texts = neutral_prompts() if prompts is None else prompts
    check_texts(texts, "prompts")
    if not texts:
        raise InputError('there are no prompts: give at least one text ("" for none before it)')
    encoded = [lm.vocabulary.encode(text) for text in texts]
    for text, ids in zip(texts, encoded, strict=True):
        if len(ids) + length > lm.longest_text + 1:  # the last token is scored and never read
            raise InputError(
                f"the prompt {text!r:.40} ({len(ids)} tokens) and {length} tokens after it exceed "
                f"the {lm.longest_text + 1} that the model's window leaves: shorten one of them"
            )
    return encoded
