"""Track the member names of open objects, so that none occurs twice."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ergotext.lm.automata.pieces import Pieces
from ergotext.support.arrays import Ints

_OUT, _STRING, _NAME = range(3)
_QUOTES = {_OUT: 2, _STRING: 3, _NAME: 1}
"""How many quotes it takes to close a name, from each place."""


@dataclass(frozen=True)
class Names:
    """Position in a JSON text, and the names used so far in the enclosing objects.

    A grammar cannot compare two names of any kind. Names are compared as they are written: a
    string has one spelling (``characters``).

    Parameters
    ----------
    around : tuple
        For every bracket that is open: the names of its object, or None for an array.
    place : int
        Outside of strings, in one that is a value, or in a name.
    due : bool
        Whether the next string is a name.
    escaped : bool
        Whether a backslash was the last byte.
    name : bytes
        What has been read of a name.
    """

    around: tuple[frozenset[bytes] | None, ...] = ()
    place: int = _OUT
    due: bool = False
    escaped: bool = False
    name: bytes = b""

    def after(self, text: bytes) -> Names | None:
        """After more text; None if it names a member twice."""
        at: Names | None = self
        for byte in text:
            at = at and at._after(chr(byte), byte)
        return at

    def _after(self, char: str, byte: int) -> Names | None:
        if self.place == _OUT:
            return self._outside(char)
        name = self.name + bytes([byte]) if self.place == _NAME else b""
        if self.escaped or char == "\\":
            return replace(self, name=name, escaped=not self.escaped)
        if char != '"':
            return self if self.place == _STRING else replace(self, name=name)
        if self.place == _STRING:
            return replace(self, place=_OUT)
        had = self.around[-1] or frozenset()
        if self.name in had:
            return None
        return Names((*self.around[:-1], had | {self.name}))

    def _outside(self, char: str) -> Names:
        if char == '"':
            return replace(self, place=_NAME if self.due else _STRING, due=False)
        if char in "{[":
            return Names((*self.around, frozenset() if char == "{" else None), due=char == "{")
        if char in "}]":
            return Names(self.around[:-1])
        if char == ",":
            return replace(self, due=bool(self.around) and self.around[-1] is not None)
        return self

    def fresh(self, tokens: Ints, quotes: NDArray[np.int64], pieces: Pieces) -> Ints:
        """Those of some tokens that name no member twice; ``quotes`` has every token's count."""
        count = _QUOTES[self.place]
        if not any(self.around) and count < 3:
            count += 2  # the first name, before there is one to repeat
        doubtful = tokens[quotes[tokens] >= count]
        again = [t for t in doubtful.tolist() if self.after(pieces.tokens[t]) is None]
        return np.setdiff1d(tokens, again) if again else tokens


def quotes_of(pieces: Pieces) -> NDArray[np.int64]:
    """int64 [V]: how many quotes each token writes."""
    found = np.zeros(pieces.alphabet.size, dtype=np.int64)
    found[: len(pieces.tokens)] = [piece.count(b'"') for piece in pieces.tokens]
    return found
