"""Automaton of all spans of a passage, in every tokenisation."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ergotext.errors import InputError
from ergotext.lm.automata.pieces import Pieces
from ergotext.lm.automaton_base import AutomatonBase
from ergotext.lm.ragged import offsets_of, spread
from ergotext.lm.tokenizers.characters import points_of
from ergotext.support.arrays import Ints
from ergotext.support.extras import needed

DEAD, FINISHED = -1, 0
FAR = 1 << 20
_BITS = 21
_MOST = (1 << _BITS) - 1
_CONTINUES = range(0x80, 0xC0)
"""The bytes that continue with a character that another byte began."""


class TextSpans(AutomatonBase):
    """The token sequences that write a span of a passage (``protocols.Automaton``).

    A span is any run of one or more whole characters. It counts in every tokenisation: also where
    it begins or ends inside a token of the passage as the tokenizer would cut it, and where tokens
    begin or end inside a character.

    Parameters
    ----------
    passage : str
    pieces : Pieces
    after_space : bool
        Whether a space is written before the span, which is no part of it: many tokenizers have it
        in the first token of a word.

    Raises
    ------
    InputError
        The passage is empty, holds a lone surrogate, has more than 2,097,150 bytes of UTF-8, or no
        span of it can be written with these tokens.

    Notes
    -----
    The suffixes that begin with the bytes read are an interval of the sorted suffixes; those of
    the passage's characters, as the order of UTF-8 is that of code points. A state is that
    interval [low, high) and the number d of bytes read, as ``d << 42 | low << 21 | high``; 0 is
    finished, -1 dead. At a byte of the passage few tokens can stand, and those that lead to where
    no character can be completed are left out, so that no state is a dead end. What may follow a
    state are the tokens that stand after d bytes of any suffix of its interval, each with the
    suffixes where it does.

    References
    ----------
    Manber and Myers 1993, "Suffix arrays", for the intervals.
    """

    def __init__(self, passage: str, pieces: Pieces, *, after_space: bool = False) -> None:
        self.alphabet = pieces.alphabet
        self._lead = int(after_space)
        """bytes before a span"""
        points = points_of(passage)
        self._text = passage.encode()
        if not 0 < len(self._text) < _MOST:
            raise InputError(
                f"the passage has {len(self._text):,} bytes; 1 to {_MOST - 1:,} are supported: "
                "give one that is not empty, or split it"
            )
        begins = np.array([byte not in _CONTINUES for byte in self._text])
        self._border = np.append(begins, True)
        """bool [bytes + 1]: between characters"""
        ranked = np.unique(points, return_inverse=True)[1].astype(np.uint32)
        order = needed("pydivsufsort", "automata").divsufsort(ranked)
        self._suffixes = np.flatnonzero(begins)[order]
        """int64 [characters]: the byte at which each suffix begins, in the suffixes' order"""
        self._tokens, self._sizes, self._offsets = self._table(pieces)
        if not len(self.candidates(self.start(1))[0]):
            raise InputError(
                f"no span of the passage {passage[:40]!r} can be written with this tokenizer: use "
                "one that covers its characters"
            )

    @property
    def end(self) -> int:
        return self.alphabet.end

    def start(self, count: int) -> Ints:
        return np.full(count, len(self._suffixes), dtype=np.int64)

    def candidates(self, states: Ints) -> tuple[Ints, Ints, Ints]:
        """Flat int64 arrays (row, token, next state), by rising row and, in it, rising token."""
        depth, low, high = _parts(states)
        width = np.where(states > FINISHED, high - low, 0)
        place, row = spread(low, width), np.repeat(np.arange(len(states)), width)
        line = self._line(depth[row], place)
        count = self._offsets[line + 1] - self._offsets[line]
        at = spread(self._offsets[line], count)
        row, place = np.repeat(row, count), np.repeat(place, count)
        # Suffixes in which the same token follows are neighbours among those where any does.
        by = np.argsort(row * self.alphabet.size + self._tokens[at], kind="stable")
        row, place, token, size = row[by], place[by], self._tokens[at[by]], self._sizes[at[by]]
        new = np.diff(row, prepend=-1).astype(bool) | np.diff(token, prepend=-1).astype(bool)
        first = np.flatnonzero(new)
        stop = place[np.append(first[1:], len(row))[: len(first)] - 1] + 1
        row, token = row[first], token[first]
        after = _state(depth[row] + size[first], place[first], stop)
        return self._with_single(states, row, token, after)

    def accepting(self, states: Ints) -> NDArray[np.bool_]:
        accepts: NDArray[np.bool_] = self._may_end(states) | (states == FINISHED)
        return accepts

    def least(self, states: Ints) -> Ints:
        """int64 [B]: fewest remaining tokens; exact."""
        least = np.where(states > FINISHED, FAR, 0)
        least[self._may_end(states)] = 0
        at = np.flatnonzero(least)
        depth, low, high = _parts(states[at])
        row = np.repeat(at, high - low)
        line = self._line(np.repeat(depth, high - low), spread(low, high - low))
        np.minimum.at(least, row, self._fewest[line])
        return least

    @cached_property
    def _fewest(self) -> Ints:
        """int64 [lines]: tokens from each line of the table to the end of a character."""
        count, border = len(self._border), self._border
        fewest = np.full(len(self._offsets) - 1, FAR)
        for line in (*reversed(range(count)), *range(count, len(fewest))):
            sizes = self._sizes[self._offsets[line] : self._offsets[line + 1]]
            spaced = line >= count
            stop = (self._suffixes[line - count] - self._lead if spaced else line) + sizes
            done = border[stop] & ((sizes > self._lead) | (not spaced))
            fewest[line] = 1 + np.where(done, 0, fewest[stop]).min(initial=FAR)
        return fewest

    def lone(self, states: Ints) -> NDArray[np.bool_]:
        """bool [B]: False: wherever a span may continue it may end as well."""
        return np.zeros(len(states), dtype=bool)

    def rest(self, states: Ints) -> tuple[Ints, Ints]:
        return np.empty(0, dtype=np.int64), np.zeros(len(states) + 1, dtype=np.int64)

    def _line(self, depth: Ints, place: Ints) -> Ints:
        """int64 [n]: the line of the table that follows so many bytes of a suffix."""
        before = len(self._text) + 1 + place
        inside = self._suffixes[place] + depth - self._lead
        return np.where(depth < self._lead, before, inside)

    def _may_end(self, states: Ints) -> NDArray[np.bool_]:
        depth, low, _ = _parts(states)
        may_end = (states > FINISHED) & (depth > self._lead)
        behind = self._suffixes[np.where(may_end, low, 0)] + depth - self._lead
        may_end &= self._border[np.where(may_end, behind, 0)]
        return may_end

    def _with_single(
        self, states: Ints, row: Ints, token: Ints, after: Ints
    ) -> tuple[Ints, Ints, Ints]:
        """These candidates, and the end token or padding where it may follow."""
        sink = (states == DEAD) | (states == FINISHED)
        more = np.flatnonzero(sink | self._may_end(states))
        row = np.concatenate([row, more])
        single = np.where(sink[more], self.alphabet.pad, self.end)
        token = np.concatenate([token, single])
        after = np.concatenate([after, np.where(sink[more], states[more], FINISHED)])
        order = np.lexsort((token, row))
        return row[order], token[order], after[order]

    def _table(self, pieces: Pieces) -> tuple[Ints, Ints, Ints]:
        """Tokens, their bytes and offsets: for each byte of the passage what may stand there.

        After these lines, where spans follow a space, those of the space with each suffix after
        it. A token is left out where nothing that may follow it completes a character.
        """
        text, written, border = self._text, pieces.tokens, self._border.tolist()
        lines: list[list[tuple[int, int]]] = [[] for _ in border]
        for place in reversed(range(len(text))):
            sized = ((token, len(written[token])) for token in pieces.at(text, place))
            lines[place] = [(t, n) for t, n in sized if border[place + n] or lines[place + n]]
        longest = max(map(len, written))
        for place in self._suffixes.tolist() if self._lead else ():
            spaced = b" " + text[place : place + longest]
            sized = ((token, len(written[token])) for token in pieces.at(spaced, 0))
            stops = ((token, n, place + n - 1) for token, n in sized)
            lines.append([(t, n) for t, n, at in stops if lines[at] or (border[at] and n > 1)])
        flat = np.array([way for line in lines for way in line], dtype=np.int64).reshape(-1, 2)
        return flat[:, 0].copy(), flat[:, 1].copy(), offsets_of(np.array(list(map(len, lines))))


def _parts(states: Ints) -> tuple[Ints, Ints, Ints]:
    """Depth, low and high of each state."""
    return states >> 2 * _BITS, states >> _BITS & _MOST, states & _MOST


def _state(depth: Ints, low: Ints, high: Ints) -> Ints:
    return depth << 2 * _BITS | low << _BITS | high
