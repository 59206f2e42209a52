"""The bytes that each token writes, as automata over text need them."""

from __future__ import annotations

import codecs
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ergotext.errors import InputError
from ergotext.lm.tokenizers.characters import Alphabet
from ergotext.lm.tokenizers.fast import padding_of
from ergotext.lm.tokenizers.spelling import spelled
from ergotext.support.arrays import Ints
from ergotext.support.reprs import called, safe
from ergotext.support.words import counted

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from ergotext.lm.tokenizers.vocabulary import Vocabulary

FAR = 1 << 20
"""Tokens that no text has: it cannot be written."""


class PiecewiseTokenizer(Protocol):
    """A tokenizer that says what each token writes, such as ``CharacterTokenizer``."""

    @property
    def size(self) -> int: ...

    @property
    def alphabet(self) -> Alphabet: ...

    def piece(self, token: int) -> bytes:
        """The bytes that a token writes."""


@dataclass(frozen=True, eq=False)
class Pieces:
    """The tokens of a vocabulary as the bytes that they write.

    The text of a token sequence is the UTF-8 that its pieces make up one after the other. A
    space that a tokenizer would not show at the very beginning of a text counts as text here.

    Parameters
    ----------
    alphabet : Alphabet
        Size, end token and padding. Of ids in an output layer that the list does not reach, none
        is text.
    tokens : sequence of bytes
        What each token writes, by id. Nothing (``b""``) for tokens that no text may hold: special
        ones, end and padding among them, and unused ones.

    Raises
    ------
    InputError
        More tokens than the alphabet has ids, or the end token or padding writes something.
    """

    alphabet: Alphabet
    tokens: Sequence[bytes]

    @safe
    def __repr__(self) -> str:
        return called("Pieces", counted(len(self.tokens), "token"))

    def __post_init__(self) -> None:
        if len(self.tokens) > self.alphabet.size:
            raise InputError(
                f"{len(self.tokens)} tokens do not match a vocabulary of {self.alphabet.size}"
            )
        for name, token in (("end", self.alphabet.end), ("padding", self.alphabet.pad)):
            if token < len(self.tokens) and self.tokens[token]:
                raise InputError(
                    f"the {name} token {token} writes {self.tokens[token]!r}: give a special "
                    "token, whose piece is empty"
                )

    @classmethod
    def of(
        cls,
        tokenizer: PiecewiseTokenizer | PreTrainedTokenizerBase,
        *,
        size: int | None = None,
        end: int | None = None,
        pad: int | None = None,
    ) -> Pieces:
        """The pieces of a character tokenizer (or its like), or of a fast one of transformers.

        Parameters
        ----------
        size : int, optional
            Rows of the model's output layer. There may be more of them than tokens, or fewer:
            tokens beyond them are never written.
        end, pad : int, optional
            The tokenizer's own if not given. Where it has no padding token, or pads with the end
            token, another special token stands for padding; where there is none, a number after
            the last token does, and the alphabet is one larger (as in ``FastTokenizer``).

        Raises
        ------
        InputError
            The tokenizer is of a kind whose pieces are unknown (not a fast one, or one that
            is neither byte-level nor of SentencePiece's kind), or names no end token.
        """
        from transformers import (
            PreTrainedTokenizerBase,  # seconds, which many checks can do without
        )

        if not isinstance(tokenizer, PreTrainedTokenizerBase) and hasattr(tokenizer, "piece"):
            tokens = [tokenizer.piece(token) for token in range(tokenizer.size)]
            own = tokenizer.alphabet
            end, pad = (own.end if end is None else end), (own.pad if pad is None else pad)
            rows = max(size or own.size, pad + 1)
            return cls(replace(own, size=rows, pad=pad, end=end), tokens)
        if not isinstance(tokenizer, PreTrainedTokenizerBase):
            raise InputError(
                f"{type(tokenizer).__name__} is not a transformers tokenizer: give the model's own "
                "(AutoTokenizer.from_pretrained)"
            )
        return cls._of_fast(tokenizer, size, end, pad)

    @classmethod
    def _of_fast(
        cls, tokenizer: PreTrainedTokenizerBase, size: int | None, end: int | None, pad: int | None
    ) -> Pieces:
        from ergotext.lm.tokenizers.vocabulary import Vocabulary

        chosen = tokenizer.eos_token_id if end is None else end
        if not isinstance(chosen, int):
            raise InputError("this tokenizer has no end token: give its id (end=)")
        written = spelled(tokenizer)
        rows = len(written) if size is None else size
        if pad is None:
            pad = padding_of(tokenizer, {chosen})
        pad = len(written) if pad is None else pad
        text = Vocabulary(tokenizer, rows).allowed.tolist()
        tokens = [
            piece if ok and token not in (chosen, pad) else b""
            for token, (piece, ok) in enumerate(zip(written, text, strict=False))
        ]
        return cls(Alphabet(max(rows, len(written), pad + 1), pad, chosen), tokens)

    @cached_property
    def text(self) -> Ints:
        """int64 [n]: the tokens that write something, rising."""
        return np.flatnonzero(np.fromiter(map(len, self.tokens), np.int64, len(self.tokens)))

    @cached_property
    def read(self) -> list[tuple[str, bytes] | None]:
        """What each token writes at the beginning of a text (``decoded``)."""
        return [decoded(piece) for piece in self.tokens]

    def joined(self, ids: Sequence[int]) -> bytes:
        """The bytes that these tokens write."""
        return b"".join(self.tokens[token] for token in ids)

    def at(self, text: bytes, place: int) -> list[int]:
        """The tokens that write the text at a position, shortest first."""
        if place >= len(text):
            return []
        parts = (text[place : place + size] for size in self._sizes.get(text[place], ()))
        return [token for part in parts for token in self._spelling.get(part, ())]

    def beginning(self, text: bytes) -> list[int]:
        """The tokens that write this text, or more than it, rising."""
        at, found = bisect_left(self._sorted, text), list[int]()
        while at < len(self._sorted) and self._sorted[at].startswith(text):
            found += self._spelling[self._sorted[at]]
            at += 1
        return sorted(found)

    def covering(self, text: bytes) -> list[int]:
        """Of each place of a text, the fewest tokens that write it from there on, or ``FAR``.

        The last of them may write more than the text.
        """
        left = [FAR] * len(text) + [0]
        for place in reversed(range(len(text))):
            rest = text[place:]
            at = bisect_left(self._sorted, rest)
            if at < len(self._sorted) and self._sorted[at].startswith(rest):
                left[place] = 1
                continue
            sizes = {len(self.tokens[token]) for token in self.at(text, place)}
            ways = min((left[place + size] for size in sizes), default=FAR)
            left[place] = min(1 + ways, FAR)
        return left

    def fewest(self, text: bytes) -> int:
        """The fewest tokens that have a part in a text, whatever stands beside it, or ``FAR``."""
        if any(text in piece for piece in self.tokens if len(piece) >= len(text)):
            return 1
        left = self.covering(text)
        begun = (1 + left[n] for n in range(1, len(text)) if self._ends_in(text[:n]))
        return min(left[0], *begun, FAR)

    def _ends_in(self, text: bytes) -> bool:
        """Whether a token ends in a text."""
        turned = text[::-1]
        at = bisect_left(self._turned, turned)
        return at < len(self._turned) and self._turned[at].startswith(turned)

    @cached_property
    def _sorted(self) -> list[bytes]:
        return sorted(self._spelling)

    @cached_property
    def _turned(self) -> list[bytes]:
        return sorted(piece[::-1] for piece in self._spelling)

    @cached_property
    def _spelling(self) -> dict[bytes, list[int]]:
        spelling: dict[bytes, list[int]] = {}
        for token in self.text.tolist():
            spelling.setdefault(self.tokens[token], []).append(token)
        return spelling

    @cached_property
    def _sizes(self) -> dict[int, list[int]]:
        """How long the pieces that begin with each byte are, rising."""
        found: dict[int, set[int]] = {}
        for piece in self._spelling:
            found.setdefault(piece[0], set()).add(len(piece))
        return {byte: sorted(sizes) for byte, sizes in found.items()}


def decoded(text: bytes) -> tuple[str, bytes] | None:
    """The characters of a text, and the beginning of one that it ends in; None if it is none."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        return decoder.decode(text), decoder.getstate()[0]
    except UnicodeDecodeError:
        return None


@lru_cache(maxsize=8)
def written_by(vocabulary: Vocabulary, end: int) -> Pieces:
    """The bytes that each token of a model writes, made once."""
    return Pieces.of(vocabulary.tokenizer, size=vocabulary.size, end=end)
