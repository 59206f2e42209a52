"""Decode tokens to characters where a token may begin or end inside a character."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ergotext.lm.automata.pieces import Pieces, decoded
from ergotext.lm.ragged import offsets_of
from ergotext.lm.tokenizers.characters import CODE_POINTS, points_of
from ergotext.support.arrays import Ints

_CONTINUES = range(0x80, 0xC0)
"""The bytes that continue with a character that another byte began."""


@dataclass(frozen=True, eq=False)
class Utf8Continuations:
    """The bytes of the tokens that may follow an incomplete character (or none).

    Parameters
    ----------
    tokens : int64 [n]
        Rising.
    points, offsets : int64 [T], [n + 1]
        The characters that each completes, in a row.
    begun : int64 [n]
        Which beginning of a character each leaves behind; 0 is none.
    """

    tokens: Ints
    points: Ints
    offsets: Ints
    begun: Ints


class Utf8:
    """The tokens that may follow each incomplete character, so that the text is valid UTF-8.

    Beginnings of characters are numbered as they are met; 0 is none. Tokens after which a
    character could be completed by no others are left out.
    """

    def __init__(self, pieces: Pieces) -> None:
        self._pieces = pieces
        self.beginnings = [b""]
        """those met so far, by number"""
        self._number = {b"": 0}
        self._after: dict[int, Utf8Continuations] = {}
        self._going_on = [
            token for token in pieces.text.tolist() if pieces.tokens[token][0] in _CONTINUES
        ]
        """tokens that begin inside a character"""
        self._initial = np.setdiff1d(pieces.text, self._going_on).tolist()

    def after(self, begun: int) -> Utf8Continuations:
        """The tokens that may follow this beginning of a character."""
        if begun not in self._after:
            self._after[begun] = self._read(self.beginnings[begun])
        return self._after[begun]

    def going_on(self) -> set[tuple[int, str, bytes]]:
        """The bytes, the text and the incomplete end of tokens that begin inside a character."""
        found = set()
        for piece in (self._pieces.tokens[token] for token in self._going_on):
            behind = piece.lstrip(bytes(_CONTINUES))
            if (read := decoded(behind)) is not None:
                found.add((len(piece) - len(behind), *read))
        return found

    def _read(self, beginning: bytes) -> Utf8Continuations:
        tokens: list[int] = []
        texts: list[str] = []
        begun: list[int] = []
        pieces = self._pieces
        for token in self._going_on if beginning else self._initial:
            read = decoded(beginning + pieces.tokens[token]) if beginning else pieces.read[token]
            if read is not None and self._can_be_completed(read[1]):
                tokens.append(token)
                texts.append(read[0])
                begun.append(self.number_of(read[1]))
        lengths = np.array([len(text) for text in texts], dtype=np.int64)
        points = points_of("".join(texts)).astype(np.int64)
        as_array = np.array(tokens, dtype=np.int64), np.array(begun, dtype=np.int64)
        return Utf8Continuations(as_array[0], points, offsets_of(lengths), as_array[1])

    def number_of(self, beginning: bytes) -> int:
        """The number of a beginning of a character."""
        number = self._number.setdefault(beginning, len(self.beginnings))
        if number == len(self.beginnings):
            self.beginnings.append(beginning)
        return number

    def _can_be_completed(self, beginning: bytes) -> bool:
        return not beginning or self._all_bytes or beginning in self._completed

    @cached_property
    def _all_bytes(self) -> bool:
        """Whether each byte that continues with a character is a token of its own."""
        alone = {self._pieces.tokens[token] for token in self._going_on}
        return all(bytes([byte]) in alone for byte in _CONTINUES)

    @cached_property
    def _completed(self) -> set[bytes]:
        """The beginnings that can be met and completed, for want of some bytes not all of them."""
        leads: dict[bytes, set[bytes]] = {}
        new = {read[1] for t in self._initial if (read := decoded(self._pieces.tokens[t]))}
        while new:
            for beginning in new:
                whole = (beginning + self._pieces.tokens[token] for token in self._going_on)
                leads[beginning] = {read[1] for text in whole if (read := decoded(text))}
            new = set().union(*leads.values()) - leads.keys()
        completed = {b""}
        while more := {b for b, after in leads.items() if after & completed} - completed:
            completed |= more
        return completed


def completions(beginning: bytes) -> tuple[int, range]:
    """Bytes that an incomplete character still needs, and the code points it may become."""
    size = 2 + (beginning[0] >= 0xE0) + (beginning[0] >= 0xF0)
    value = beginning[0] & (0xFF >> size + 1)
    for byte in beginning[1:]:
        value = value << 6 | byte & 0x3F
    left = size - len(beginning)
    low, high = value << 6 * left, (value + 1) << 6 * left
    return left, range(max(low, (0x80, 0x800, 0x10000)[size - 2]), min(high, CODE_POINTS))


def run(step: NDArray[np.int32], columns: Ints, offsets: Ints) -> NDArray[np.int32]:
    """int32 [positions, n]: where each run of symbols leads from each position of a machine.

    ``step`` is [positions, symbols]; the i-th run is ``columns[offsets[i] : offsets[i + 1]]``.
    """
    lengths = np.diff(offsets)
    positions = np.arange(len(step), dtype=np.int32)[:, None]
    reached = np.repeat(positions, len(lengths), axis=1)
    for place in range(int(lengths.max(initial=0))):
        on = np.flatnonzero(lengths > place)
        reached[:, on] = step[reached[:, on], columns[offsets[on] + place]]
    return reached
