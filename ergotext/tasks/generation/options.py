"""How texts are generated: numbers and choices, checked before a model is loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypedDict, get_args

from ergotext.errors import InputError
from ergotext.lm.trie.tree import TokenTrie
from ergotext.samplers.options import check_whole

MAX_TOKENS = 128
"""Maximum length of a text, if nothing else is said and the window leaves so much."""
Method = Literal["best", "sample"]
TextEnd = Literal["token", "line"]


class GenerationKeywords(TypedDict, total=False):
    """The keywords of ``generate``, for type checkers."""

    schema: str | bool | Mapping[str, Any] | None
    regex: str | None
    choices: Sequence[str] | None
    grammar: str | None
    trie: TokenTrie | str | Path | None
    n: int
    method: Method
    seed: int
    max_tokens: int | None
    chat: bool | None
    end: TextEnd | None
    whitespace: bool
    alternatives: bool
    beams: int | None
    particles: int | None
    prefixes: int


@dataclass(frozen=True)
class GenerationOptions:
    """What ``generate`` is told beside model, prompt and constraint (its parameters).

    Raises
    ------
    InputError
        A number is too small, or there is no such method or end.
    """

    n: int = 1
    method: Method = "best"
    seed: int = 0
    max_tokens: int | None = None
    chat: bool | None = None
    end: TextEnd | None = None
    whitespace: bool = False
    alternatives: bool = False
    beams: int | None = None
    particles: int | None = None
    prefixes: int = 256
    record: bool = False
    """Keep the particles after each token, for a report."""

    def __post_init__(self) -> None:
        check_whole(n=self.n, max_tokens=self.max_tokens, beams=self.beams, prefixes=self.prefixes)
        check_whole(2, particles=self.particles)
        check_whole(0, seed=self.seed)
        for name, known in (("method", Method), ("end", TextEnd)):
            given = getattr(self, name)
            if given not in get_args(known) and not (name == "end" and given is None):
                raise InputError(
                    f"{name} must be {' or '.join(get_args(known))}, got {given!r:.60}"
                )
        if self.beams is not None and self.beams < self.n:
            raise InputError(f"beams ({self.beams}) must be at least n ({self.n})")

    def within(self, left: int) -> GenerationOptions:
        """The same for a window that leaves so many tokens for a text."""
        return replace(self, max_tokens=min(left, self.max_tokens or MAX_TOKENS))

    @property
    def longest(self) -> int:
        """Maximum number of tokens of a text."""
        return self.max_tokens or MAX_TOKENS

    @property
    def width(self) -> int:
        """Beams: 8 or, for more texts, twice as many."""
        return self.beams or max(8, 2 * self.n)

    @property
    def draws(self) -> int:
        """Particles: 32 or, for more texts, four times as many."""
        return self.particles or max(32, 4 * self.n)
