"""The bytes that each token writes: what an automaton over text must know of a tokenizer."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerBase

from ergotext.lm.characters import Alphabet, CharacterTokenizer
from ergotext.lm.extras import needed
from ergotext.lm.fast_tokenizer import padding_of
from ergotext.lm.protocols import InputError
from ergotext.lm.ragged import Ints
from ergotext.lm.vocabulary import Vocabulary

_BYTE = re.compile(r"<0x([0-9A-F]{2})>")


@dataclass(frozen=True, eq=False)
class Pieces:
    """The tokens of a vocabulary as the bytes that they write.

    The text of a token sequence is the UTF-8 that its pieces make up one behind the other. A
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

    def __post_init__(self) -> None:
        if len(self.tokens) > self.alphabet.size:
            raise InputError(
                f"{len(self.tokens)} tokens do not fit a vocabulary of {self.alphabet.size}."
            )
        for name, token in (("end", self.alphabet.end), ("padding", self.alphabet.pad)):
            if token < len(self.tokens) and self.tokens[token]:
                raise InputError(
                    f"The {name} token {token} writes {self.tokens[token]!r}: name a special "
                    f"token, whose piece is empty."
                )

    @classmethod
    def of(
        cls,
        tokenizer: CharacterTokenizer | PreTrainedTokenizerBase,
        *,
        size: int | None = None,
        end: int | None = None,
        pad: int | None = None,
    ) -> Pieces:
        """The pieces of a character tokenizer, or of a fast tokenizer of transformers.

        Parameters
        ----------
        size : int, optional
            Rows of the model's output layer, which may be more than the tokenizer has tokens.
        end, pad : int, optional
            The tokenizer's own if not given. Where it has no padding token, or pads with the end
            token, any other special token stands for padding: no text holds it.

        Raises
        ------
        InputError
            The tokenizer is of a kind whose pieces cannot be told (not a fast one, or one that
            is neither byte-level nor of SentencePiece's kind), or names no end token.
        """
        if isinstance(tokenizer, CharacterTokenizer):
            tokens = [tokenizer.piece(token) for token in range(tokenizer.size)]
            own = tokenizer.alphabet
            alphabet = Alphabet(
                size or own.size,
                own.pad if pad is None else pad,
                own.end if end is None else end,
                own.fingerprint,
            )
            return cls(alphabet, tokens)
        if not isinstance(tokenizer, PreTrainedTokenizerBase):
            raise InputError(
                f"A {type(tokenizer).__name__} is no tokenizer of transformers: give the one that "
                f"the model comes with (AutoTokenizer.from_pretrained)."
            )
        size = max(size or 0, len(tokenizer))
        chosen = tokenizer.eos_token_id if end is None else end
        if not isinstance(chosen, int):
            raise InputError("This tokenizer names no end token: give its id as end=.")
        text = Vocabulary(tokenizer, size).allowed
        text[chosen] = False
        chosen_pad = _padding(tokenizer, chosen) if pad is None else pad
        text[chosen_pad] = False
        written = _written(tokenizer, chosen)
        tokens = [piece if ok else b"" for piece, ok in zip(written, text.tolist(), strict=False)]
        return cls(Alphabet(size, chosen_pad, chosen), tokens)

    @cached_property
    def text(self) -> Ints:
        """int64 [n]: the tokens that write something, rising."""
        return np.flatnonzero(np.fromiter(map(len, self.tokens), np.int64, len(self.tokens)))

    def joined(self, ids: Sequence[int]) -> bytes:
        """What these tokens write."""
        return b"".join(self.tokens[token] for token in ids)

    def at(self, text: bytes, place: int) -> list[int]:
        """The tokens that write what stands at a place of a text, shortest pieces first."""
        if place >= len(text):
            return []
        parts = (text[place : place + size] for size in self._sizes.get(text[place], ()))
        return [token for part in parts for token in self._spelling.get(part, ())]

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


def _padding(tokenizer: PreTrainedTokenizerBase, end: int) -> int:
    """As an index of the same tokenizer has it, so that both can be combined."""
    pad = padding_of(tokenizer, {end})
    others = sorted(tokenizer.all_special_ids)
    pad = next((token for token in others if token != end), None) if pad is None else pad
    if pad is None:
        raise InputError(
            f"This tokenizer has no special token besides its end token {end} to stand for "
            f"padding: give the id of a token that no text holds as pad=."
        )
    return pad


def _written(tokenizer: PreTrainedTokenizerBase, end: int) -> list[bytes]:
    if spaced := _metaspaced(tokenizer):
        return spaced
    try:
        read = needed("llguidance.hf", "automata").from_tokenizer(tokenizer, eos_token=end)
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"The pieces of this tokenizer ({type(tokenizer).__name__}) cannot be told "
            f"({error}): use a fast byte-level or SentencePiece tokenizer, or give Pieces a list "
            f"of bytes."
        ) from error
    return [read.decode_bytes([token]) for token in range(read.vocab_size)]


def _metaspaced(tokenizer: Any) -> list[bytes]:
    """The pieces of a tokenizer whose decoder llguidance does not read: T5's and its kin's."""
    if not tokenizer.is_fast:
        return []
    decoder = json.loads(tokenizer.backend_tokenizer.to_str())["decoder"] or {}
    steps = {step["type"]: step for step in decoder.get("decoders", [decoder]) if step}
    if "Metaspace" not in steps:
        return []
    mark, added = steps["Metaspace"]["replacement"], tokenizer.added_tokens_decoder
    pieces = []
    for token, name in enumerate(tokenizer.convert_ids_to_tokens(range(len(tokenizer)))):
        byte = _BYTE.fullmatch(name) if "ByteFallback" in steps else None
        text = name if token in added else name.replace(mark, " ")
        pieces.append(bytes([int(byte[1], 16)]) if byte else text.encode())
    return pieces
