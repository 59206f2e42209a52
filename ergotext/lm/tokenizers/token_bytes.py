"""The bytes that each token of an index writes, to find texts without decoding."""

from __future__ import annotations

import itertools
import json
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ergotext.errors import InputError
from ergotext.lm.ragged import offsets_of, take_rows
from ergotext.lm.tokenizers.characters import CharacterTokenizer, TextTokenizer
from ergotext.lm.tokenizers.fast import FastTokenizer
from ergotext.lm.tokenizers.folding import fold
from ergotext.lm.tokenizers.spelling import letters
from ergotext.support.arrays import Ints

_BYTE = re.compile(r"<0x([0-9A-F]{2})>")
_SPACE = "\u2581"


@dataclass(frozen=True, eq=False)
class Written:
    """The bytes of each token: piece t is ``flat[offsets[t] : offsets[t + 1]]``.

    Special tokens write nothing. A space that the tokenizer puts before every text counts.
    """

    flat: NDArray[np.uint8]
    offsets: Ints
    lead: bytes
    """what the tokenizer puts before every text of its own accord"""

    @classmethod
    def by(cls, tokenizer: TextTokenizer) -> Written:
        """The pieces of a character tokenizer, a byte-level one or one of SentencePiece's kind.

        Raises
        ------
        InputError
            The pieces of this tokenizer are unknown.
        """
        if isinstance(tokenizer, FastTokenizer):
            pieces = _pieces(tokenizer)
        elif isinstance(tokenizer, CharacterTokenizer):
            pieces = [tokenizer.piece(token) for token in range(tokenizer.size)]
        else:
            raise InputError(
                f"cannot determine the pieces of a {type(tokenizer).__name__}: use a fast "
                "byte-level or SentencePiece tokenizer"
            )
        lengths = np.fromiter(map(len, pieces), dtype=np.int64, count=len(pieces))
        flat = np.frombuffer(b"".join(pieces), dtype=np.uint8)
        before = tokenizer.before if isinstance(tokenizer, FastTokenizer) else []
        first = b"".join(pieces[token] for token in tokenizer.encode("a")[len(before) :])
        return cls(flat, offsets_of(lengths), first.removesuffix(b"a"))

    @cached_property
    def tokens(self) -> dict[bytes, list[int]]:
        """The tokens that write a piece, for every piece that is not empty."""
        found: dict[bytes, list[int]] = {}
        whole, bounds = self.flat.tobytes(), self.offsets.tolist()
        for token, (low, high) in enumerate(itertools.pairwise(bounds)):
            if high > low:
                found.setdefault(whole[low:high], []).append(token)
        return found

    @cached_property
    def lengths(self) -> list[int]:
        """The lengths in bytes that pieces have, rising."""
        return sorted({len(piece) for piece in self.tokens})

    @cached_property
    def alike(self) -> Written:
        """The text of each token, with similar letters folded (``folding.alike``)."""
        pieces = [
            self.flat[low:high].tobytes() for low, high in itertools.pairwise(self.offsets.tolist())
        ]
        lead, *pieces = (_folded_piece(piece) for piece in (self.lead, *pieces))
        lengths = np.fromiter(map(len, pieces), dtype=np.int64, count=len(pieces))
        flat = np.frombuffer(b"".join(pieces), dtype=np.uint8)
        return Written(flat, offsets_of(lengths), lead)

    def texts(self, ids: Ints, offsets: Ints) -> list[str]:
        """The text of rows of tokens; row i is ``ids[offsets[i] : offsets[i + 1]]``."""
        flat, bounds = take_rows(self.flat, self.offsets, ids)
        whole, at = flat.tobytes(), bounds[offsets].tolist()
        return [whole[low:high].decode(errors="replace") for low, high in itertools.pairwise(at)]

    def beginning_with(self, mark: bytes) -> Ints:
        """int64 [n]: the tokens whose piece begins so, rising."""
        rows = [tokens for piece, tokens in self.tokens.items() if piece.startswith(mark)]
        return np.array(sorted(token for tokens in rows for token in tokens), dtype=np.int64)


def folded(tokenizer: TextTokenizer, texts: Sequence[str]) -> Iterator[list[str]]:
    """The characters of each text, each as the tokenizer writes it (in its own case and width).

    What a normaliser may compose (a letter and its marks, the parts of a Hangul syllable) is
    written as one: by the first character of it, and nothing by the others.
    """
    if not isinstance(tokenizer, FastTokenizer):
        yield from map(list, texts)
        return
    clusters = list(map(_clusters, texts))
    each = sorted({one for row in clusters for one in row})
    ids = [tokenizer.encode(one) for one in each]
    read = zip(each, tokenizer.decode_many(ids), strict=True)
    # What comes back as nothing is white space that ends a text, or unknown: taken as it stands.
    kept = {one: text or one for one, text in read}
    for row in clusters:
        yield [char for one in row for char in (kept[one], *[""] * (len(one) - 1))]


def _clusters(text: str) -> list[str]:
    """A text in parts, none of which a normaliser composes with the next."""
    found: list[str] = []
    for char in text:
        code = ord(char)
        # Marks; vowels and finals of Hangul; voiced marks of half width.
        joined = 0x1160 <= code <= 0x11FF or code in (0xFF9E, 0xFF9F)
        if found and (joined or unicodedata.category(char).startswith("M")):
            found[-1] += char
        else:
            found.append(char)
    return found


def _folded_piece(piece: bytes) -> bytes:
    """A piece of whole characters, folded; one that ends within a character, as it is."""
    try:
        return "".join(map(fold, piece.decode())).encode()
    except UnicodeDecodeError:
        return piece


def _pieces(tokenizer: FastTokenizer) -> list[bytes]:
    made = tokenizer.made
    steps = list(_steps(json.loads(made.to_str())["decoder"]))
    kinds = {step["type"] for step in steps}
    special = {i for i, token in made.get_added_tokens_decoder().items() if token.special}
    vocabulary = made.get_vocab(with_added_tokens=True)
    names = dict.fromkeys(range(tokenizer.alphabet.size), "")
    names |= {i: name for name, i in vocabulary.items() if i not in special}
    added = set(made.get_added_tokens_decoder())
    if "ByteLevel" in kinds:
        table = letters()
        return [
            name.encode() if i in added or not set(name) <= set(table)
            else bytes(table[char] for char in name)
            for i, name in names.items()
        ]  # fmt: skip
    if kinds & {"Metaspace", "Replace", "ByteFallback", "Fuse"}:
        spaced = "Metaspace" in kinds or any(
            step["type"] == "Replace" and step["content"] == " " for step in steps
        )
        return [_sentence_piece(name, spaced, "ByteFallback" in kinds) for name in names.values()]
    raise InputError(
        f"cannot determine the pieces of the tokenizer {tokenizer.name} (its decoder is "
        f"{', '.join(sorted(kinds)) or 'none'}): use a byte-level or SentencePiece tokenizer"
    )


def _sentence_piece(name: str, spaced: bool, fallback: bool) -> bytes:
    byte = _BYTE.fullmatch(name) if fallback else None
    if byte is not None:
        return bytes([int(byte[1], 16)])
    return (name.replace(_SPACE, " ") if spaced else name).encode()


def _steps(decoder: Any) -> Iterator[dict[str, Any]]:
    if decoder is None:
        return
    if decoder["type"] == "Sequence":
        for step in decoder["decoders"]:
            yield from _steps(step)
    else:
        yield decoder
