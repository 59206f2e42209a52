"""A toy model whose tokens write letters, spaces and full stops: every text is listed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from ergotext.lm.automata.keywords import KeywordCoverage
from ergotext.lm.automata.pieces import Pieces
from ergotext.lm.twist.hazards import Hazards
from ergotext.lm.twist.keywords import KeywordTwist
from ergotext.samplers.draws import SeededDraws
from ergotext.support.arrays import Floats
from ergotext.support.words import Keyword
from ergotext.testing.toy import TOKENS, ToyScorer
from tests.lm.endings.toy import pieces_of

TEXTS = (" a", " b", "b", ".")
"""What the tokens 1…4 write; 0 is the end token."""


class Speller:
    """The vocabulary of these tokens; words are spelled letter by letter, with a space before."""

    size = TOKENS

    def __init__(self) -> None:
        self.pieces: Pieces = pieces_of(TEXTS)
        self.alphabet = self.pieces.alphabet

    @property
    def tokenizer(self) -> Speller:
        return self

    def piece(self, token: int) -> bytes:
        return self.pieces.tokens[token] if token < len(self.pieces.tokens) else b""

    def text(self, ids: Sequence[int]) -> str:
        return self.pieces.joined(ids).decode()

    def encode(self, text: str) -> list[int]:
        ids: list[int] = []
        while text:
            piece = next(p for p in TEXTS if text.startswith(p))
            ids.append(TEXTS.index(piece) + 1)
            text = text.removeprefix(piece)
        return ids

    def spell(self, word: str) -> list[int]:
        return self.encode(f" {word}")


class Spelled(ToyScorer):
    """The skewed toy model over these tokens."""

    vocabulary = Speller()  # type: ignore[assignment] # another toy vocabulary


@cache
def hazards(power: float = 1.0, seed: int = 0) -> Hazards:
    return Hazards.estimate(Spelled(seed), SeededDraws(5).categorical, power=power)


def automaton(
    words: Sequence[Keyword],
    any_order: bool = True,
    without: Sequence[str] = (),
    window: tuple[int, int] | None = None,
) -> KeywordCoverage:
    pieces = Spelled.vocabulary.pieces
    return KeywordCoverage(
        words, pieces, any_order=any_order, without=without, words_between=window
    )


def keyword_twist(
    cover: KeywordCoverage,
    log_length: Floats | None = None,
    power: float = 1.0,
    of: Any = KeywordTwist,
) -> Any:
    """The twist of it under the toy model, or what a faulty class makes of it."""
    lengths = np.zeros(6) if log_length is None else log_length
    return of(cover, Spelled.vocabulary, hazards(power), lengths)
