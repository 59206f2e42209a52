"""Decode tokens to characters where a token may begin or end inside a character."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ergotext.lm.automata.chains import Chain
from ergotext.lm.automata.pieces import Pieces, decoded
from ergotext.lm.ragged import offsets_of
from ergotext.lm.tokenizers.characters import CODE_POINTS, points_of
from ergotext.support.arrays import Ints

TOKENIZERS, TABLES = 4, 8
"""Tokenizers whose tokens are kept as characters; and tables of chains without letters of each, a
few MB each (``Utf8Continuations.through``)."""
_CONTINUES = range(0x80, 0xC0)
"""The bytes that continue with a character that another byte began."""


@dataclass(frozen=True, eq=False)
class Utf8Continuations:
    """What the tokens write that may follow an incomplete character (or none).

    Parameters
    ----------
    tokens : int64 [n]
        Rising.
    points, offsets : int64 [T], [n + 1]
        The characters that each completes, in a row.
    ends : sequence of bytes
        The beginnings of characters that they leave behind.
    end : int64 [n]
        Which of these each token leaves.
    """

    tokens: Ints
    points: Ints
    offsets: Ints
    ends: Sequence[bytes]
    end: Ints
    _led: OrderedDict[bytes, NDArray[np.int32]] = field(default_factory=OrderedDict, repr=False)

    def through(self, chain: Chain[Any]) -> NDArray[np.int32]:
        """int32 [positions, n]: where each token leads from each position of a chain.

        Of a chain without letters, such as a number of words, it is kept: texts with other words
        ask for the same again.
        """
        if chain.letters:
            return self._run(chain)
        key = chain.step.tobytes()
        led = self._led.pop(key, None)  # no other thread can drop it meanwhile
        if led is None:
            led = self._run(chain)
            led.setflags(write=False)
        self._led[key] = led
        while len(self._led) > TABLES:
            self._led.popitem(last=False)
        return led

    def _run(self, chain: Chain[Any]) -> NDArray[np.int32]:
        points, inverse = self._distinct
        return run(chain.step, chain.symbols(points)[inverse], self.offsets)

    @cached_property
    def _distinct(self) -> tuple[Ints, Ints]:
        points, inverse = np.unique(self.points, return_inverse=True)
        return points, inverse


class TokenReadings:
    """The tokens that may follow each incomplete character, so that the text is valid UTF-8.

    Tokens after which a character could be completed by no others are left out.
    """

    def __init__(self, pieces: Pieces) -> None:
        self._pieces = pieces
        self._after: dict[bytes, Utf8Continuations] = {}
        self._going_on = [
            token for token in pieces.text.tolist() if pieces.tokens[token][0] in _CONTINUES
        ]
        """tokens that begin inside a character"""
        self._initial = np.setdiff1d(pieces.text, self._going_on).tolist()

    def after(self, beginning: bytes) -> Utf8Continuations:
        """The tokens that may follow this beginning of a character."""
        if beginning not in self._after:
            self._after[beginning] = self._read(beginning)
        return self._after[beginning]

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
        end: list[int] = []
        number: dict[bytes, int] = {}
        pieces = self._pieces
        for token in self._going_on if beginning else self._initial:
            read = decoded(beginning + pieces.tokens[token]) if beginning else pieces.read[token]
            if read is not None and self._can_be_completed(read[1]):
                tokens.append(token)
                texts.append(read[0])
                end.append(number.setdefault(read[1], len(number)))
        offsets = offsets_of(np.array([len(text) for text in texts], dtype=np.int64))
        points = points_of("".join(texts)).astype(np.int64)
        ids, left = np.array(tokens, dtype=np.int64), np.array(end, dtype=np.int64)
        return Utf8Continuations(ids, points, offsets, list(number), left)

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


@lru_cache(maxsize=TOKENIZERS)
def readings_of(pieces: Pieces) -> TokenReadings:
    """The readings of a tokenizer's tokens, shared by all automata over them."""
    return TokenReadings(pieces)


class Utf8:
    """Beginnings of characters by number, as an automaton meets them; 0 is none."""

    def __init__(self, pieces: Pieces) -> None:
        self._readings = readings_of(pieces)
        self.beginnings = [b""]
        """those met so far, by number"""
        self._number = {b"": 0}

    def after(self, begun: int) -> tuple[Utf8Continuations, Ints]:
        """The tokens that may follow this beginning, and int64 [n]: which one each leaves."""
        read = self._readings.after(self.beginnings[begun])
        left = np.array([self.number_of(end) for end in read.ends], dtype=np.int64)
        return read, left[read.end]

    def going_on(self) -> set[tuple[int, str, bytes]]:
        """The bytes, the text and the incomplete end of tokens that begin inside a character."""
        return self._readings.going_on()

    def number_of(self, beginning: bytes) -> int:
        """The number of a beginning of a character."""
        number = self._number.setdefault(beginning, len(self.beginnings))
        if number == len(self.beginnings):
            self.beginnings.append(beginning)
        return number


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
