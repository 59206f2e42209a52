"""Character tokenizer with byte fallback: one encoding per text, and no unknown text."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ergotext.errors import InputError
from ergotext.lm.ragged import offsets_of, spread
from ergotext.support.arrays import Ints
from ergotext.support.reprs import called, safe
from ergotext.support.words import counted

CODE_POINTS = 0x110000
SPECIALS = ("<pad>", "</s>", "<s>")
_BYTES = len(SPECIALS)
_CHARACTERS = _BYTES + 256


@dataclass(frozen=True)
class Alphabet:
    """The token ids that keys are made of.

    Parameters
    ----------
    size : int
        Every id lies below it.
    pad : int
        What a finished or dead row is continued with; never inside a key.
    end : int
        What closes every key; never inside one, so that no key is a prefix of another.
    fingerprint : str
        Tells tokenizers apart; empty where ids come without a tokenizer.
    """

    size: int
    pad: int
    end: int
    fingerprint: str = ""

    def __post_init__(self) -> None:
        if self.pad == self.end or not (0 <= self.pad < self.size and 0 <= self.end < self.size):
            raise InputError(
                f"pad ({self.pad}) and end ({self.end}) must be two different ids below the "
                f"vocabulary size, {self.size}"
            )


class TextTokenizer(Protocol):
    """Interface of tokenizers for an index."""

    @property
    def alphabet(self) -> Alphabet:
        """The ids that ``encode`` gives, and the two that it never gives."""

    def encode(self, text: str) -> list[int]:
        """The ids of one text, without special tokens."""

    def encode_many(self, texts: Sequence[str]) -> tuple[Ints, Ints]:
        """Flat ids [T] of all texts, and offsets [n + 1] into them."""

    def decode(self, ids: Sequence[int]) -> str:
        """The text of these ids; special tokens are left out."""


@dataclass(frozen=True)
class CharacterTokenizer:
    """One token a character; a character outside the vocabulary becomes its UTF-8 bytes.

    Parameters
    ----------
    characters : str
        The characters that have a token of their own, in the order of their ids. Before them come
        the special tokens (pad 0, end 1, start 2) and the 256 bytes.

    Raises
    ------
    InputError
        A character occurs twice, or is a lone surrogate (no text has one).
    """

    characters: str

    @safe
    def __repr__(self) -> str:
        return called("CharacterTokenizer", counted(len(self.characters), "character"))

    def __post_init__(self) -> None:
        if len(set(self.characters)) != len(self.characters):
            raise InputError("a character occurs twice in the vocabulary: list each once")
        points_of(self.characters)

    @classmethod
    def of(cls, texts: Iterable[str], limit: int | None = None) -> CharacterTokenizer:
        """A vocabulary of the characters of these texts (of the ``limit`` most frequent)."""
        counts = np.zeros(CODE_POINTS, dtype=np.int64)
        for text in texts:
            points, times = np.unique(points_of(text), return_counts=True)
            counts[points] += times
        return cls.from_counts(counts, limit)

    @classmethod
    def from_counts(cls, counts: NDArray[np.int64], limit: int | None = None) -> CharacterTokenizer:
        """A vocabulary from int64 [0x110000] occurrences a code point, the most frequent first."""
        seen = np.flatnonzero(counts)
        chosen = seen[np.argsort(-counts[seen], kind="stable")][:limit]
        return cls.from_points(chosen.astype(np.uint32))

    @classmethod
    def from_points(cls, points: NDArray[np.uint32]) -> CharacterTokenizer:
        """The vocabulary with these code points (uint32 [n]), in this order."""
        return cls(points.astype("<u4").tobytes().decode("utf-32-le"))

    @property
    def points(self) -> NDArray[np.uint32]:
        """uint32 [n]: the code points of the vocabulary; ``from_points`` takes them back."""
        return points_of(self.characters)

    @property
    def size(self) -> int:
        return _CHARACTERS + len(self.characters)

    @cached_property
    def alphabet(self) -> Alphabet:
        return Alphabet(self.size, pad=0, end=1, fingerprint=self.fingerprint)

    @cached_property
    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits that change with every change of the vocabulary."""
        content = "\n".join((*SPECIALS, self.characters)).encode("utf-8")
        return hashlib.blake2b(content, digest_size=8).hexdigest()

    def encode(self, text: str) -> list[int]:
        ids, _ = self.encode_many([text])
        return [int(i) for i in ids]

    def encode_many(self, texts: Sequence[str]) -> tuple[Ints, Ints]:
        points = points_of(joined(texts))
        lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
        return self.encode_points(points, offsets_of(lengths))

    def encode_points(self, points: NDArray[np.uint32], offsets: Ints) -> tuple[Ints, Ints]:
        """Flat ids and offsets of texts given as flat code points (UTF-32) and offsets."""
        ids = self._table[np.minimum(points, len(self._table) - 1)].astype(np.int64)
        unknown = np.flatnonzero(ids < 0)
        if not len(unknown):
            return ids, offsets
        text = points[unknown].astype("<u4").tobytes().decode("utf-32-le")
        widths = np.fromiter((len(c.encode()) for c in text), dtype=np.int64, count=len(unknown))
        lengths = np.ones(len(ids), dtype=np.int64)
        lengths[unknown] = widths
        starts = offsets_of(lengths)
        flat = np.repeat(ids, lengths)
        raw = np.frombuffer(text.encode(), dtype=np.uint8).astype(np.int64)
        flat[spread(starts[unknown], widths)] = raw + _BYTES
        return flat, starts[offsets]

    def decode(self, ids: Sequence[int]) -> str:
        # Bytes that make up no character (a model may write such) become U+FFFD.
        return b"".join(map(self.piece, ids)).decode("utf-8", errors="replace")

    def piece(self, token: int) -> bytes:
        """The bytes that a token writes; a special token writes none.

        Raises
        ------
        InputError
            No such token.
        """
        if not 0 <= token < self.size:
            raise InputError(f"token {token} is not in this vocabulary of {self.size}")
        if token >= _CHARACTERS:
            return self.characters[token - _CHARACTERS].encode()
        return bytes([token - _BYTES]) if token >= _BYTES else b""

    @cached_property
    def _table(self) -> NDArray[np.int32]:
        """int32: the id of each code point, -1 where it has none; the last one, for all above."""
        highest = int(self.points.max(initial=0))
        table = np.full(highest + 2, -1, dtype=np.int32)
        table[self.points] = np.arange(_CHARACTERS, self.size, dtype=np.int32)
        return table


def alphabet_of(given: object) -> Alphabet:
    """The ids of an alphabet or a tokenizer; InputError for a name, or what is neither."""
    alphabet = given if isinstance(given, Alphabet) else getattr(given, "alphabet", None)
    if not isinstance(alphabet, Alphabet):
        raise InputError(
            f"{given!r:.60} is not a tokenizer for an index: give an Alphabet, "
            "load_tokenizer(name), or FastTokenizer(a fast tokenizer of transformers)"
        )
    return alphabet


def joined(texts: Sequence[str]) -> str:
    """All texts in one; InputError if they are one text alone, or no texts."""
    if isinstance(texts, str):
        raise InputError(
            f"expected a list of texts, got the text {texts!r:.60}: put it into a list"
        )
    try:
        return "".join(texts)
    except TypeError as error:
        wrong = next((text for text in texts if not isinstance(text, str)), texts)
        raise InputError(f"{wrong!r:.60} is not a text: give a str") from error


def points_of(text: str) -> NDArray[np.uint32]:
    """uint32 [len(text)]: its code points."""
    try:
        return np.frombuffer(text.encode("utf-32-le"), dtype="<u4")
    except UnicodeEncodeError as error:
        raise InputError(
            f"the text contains a lone surrogate at {error.start}, which UTF-8 cannot encode: fix "
            "or remove it"
        ) from error
