"""Automaton of the texts that contain all of some words."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from heapq import heappop, heappush
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ergotext.errors import InputError
from ergotext.lm.automata.chains import Chain
from ergotext.lm.automata.keyword_bounds import Fewest
from ergotext.lm.automata.pieces import Pieces
from ergotext.lm.automata.utf8 import Utf8, run
from ergotext.lm.automaton_base import AutomatonBase
from ergotext.lm.ragged import take_rows
from ergotext.support.arrays import Ints
from ergotext.support.words import check_texts

DEAD, FINISHED = -1, 0
_MOST = 1 << 46
"""Bound on the positions of all chains together: begun characters go above them."""


class _Ways(NamedTuple):
    """What may follow a begun character, or none."""

    tokens: Ints
    """int64 [n], the end token among them, rising"""
    begun: Ints
    """int64 [n]: the beginning of a character that each token leaves"""
    reached: list[NDArray[np.int32]]
    """int32 [positions, n] of each chain: where each token leads from each position"""


class KeywordCoverage(AutomatonBase):
    """Accepts the token sequences whose text contains all of some words (``protocols.Automaton``).

    A word is held where ``words.holds_words`` finds it, so at word boundaries: ``sun`` is not in
    ``sunny``, however the text is cut into tokens. A sequence may end only where all are held.
    Every sequence makes valid UTF-8.

    Parameters
    ----------
    words : sequence of str
        A word given twice must stand there twice.
    pieces : Pieces
    any_order : bool
        Whether the words may come in any order and overlap, instead of one after the other.

    Raises
    ------
    InputError
        A word has no visible character, these tokens cannot write a text that holds it, or there
        are too many words to keep track of in a 64-bit state (from about twelve words in any
        order).

    Notes
    -----
    Every distinct word (or all of them, in order) is a chain: a small automaton over characters.
    Run over the characters of every token once, it becomes a table from position and token to
    position. A state holds the begun character b and the positions p of all chains as digits:
    ``1 + p1 + n1 (p2 + n2 (… b))``; 0 is finished, -1 dead. What follows a state is a sum of rows
    of the tables.
    """

    def __init__(self, words: Sequence[str], pieces: Pieces, *, any_order: bool = False) -> None:
        check_texts(words)
        for word in words:
            if all(unicodedata.category(char) in ("Cf", "Zs") for char in word):
                raise InputError(f"the word {word!r} has no visible characters: leave it out")
        self.alphabet = pieces.alphabet
        self._recipe = partial(type(self), any_order=any_order), (tuple(words), pieces)
        counted = Counter(words).items() if any_order else ()
        groups = [[word] * times for word, times in counted] or ([list(words)] if words else [])
        self._chains = [Chain(group) for group in groups]
        sizes = [len(chain.step) for chain in self._chains]
        self._radix = np.cumprod([1, *map(float, sizes)])
        if self._radix[-1] > _MOST:
            raise InputError(
                f"{len(groups)} words in any order are too many for one automaton: give fewer "
                "words, or fix their order"
            )
        self._radix = self._radix.astype(np.int64)
        self._utf8 = Utf8(pieces)
        self._ways: dict[int, _Ways] = {}
        for chain_number, chain in enumerate(self._chains):
            self._check(chain_number, chain)

    def __reduce__(self) -> tuple[Callable[..., KeywordCoverage], tuple[Any, ...]]:
        return self._recipe  # the tables are rebuilt

    @property
    def end(self) -> int:
        return self.alphabet.end

    def start(self, count: int) -> Ints:
        return np.ones(count, dtype=np.int64)

    def candidates(self, states: Ints) -> tuple[Ints, Ints, Ints]:
        """Flat int64 arrays (row, token, next state), by rising row and, in it, rising token."""
        distinct, which = np.unique(states, return_inverse=True)
        offsets, token, behind = self._distinct_candidates(distinct)
        tokens, parted = take_rows(token, offsets, which)
        following, _ = take_rows(behind, offsets, which)
        return np.repeat(np.arange(len(states)), np.diff(parted)), tokens, following

    def _distinct_candidates(self, states: Ints) -> tuple[Ints, Ints, Ints]:
        """Where the candidates of each state begin; their tokens; the states after."""
        begun, _ = self._parts(states)
        begun[states <= FINISHED] = -1
        parts: list[tuple[Ints, Ints, Ints]] = []
        for beginning in np.unique(begun).tolist():
            rows = np.flatnonzero(begun == beginning)
            if beginning < 0:
                parts.append((rows, np.full(len(rows), self.alphabet.pad), states[rows]))
                continue
            after = self._after(beginning, states[rows])
            there = after != DEAD
            token = np.broadcast_to(self._ways_after(beginning).tokens, after.shape)
            parts.append((np.repeat(rows, there.sum(axis=1)), token[there], after[there]))
        if len(parts) == 1:
            ((row, token, behind),) = parts
        else:
            none = np.empty(0, dtype=np.int64)
            row, token, behind = (np.concatenate(c) for c in zip((none,) * 3, *parts, strict=True))
            order = np.argsort(row, kind="stable")
            row, token, behind = row[order], token[order], behind[order]
        return np.searchsorted(row, np.arange(len(states) + 1)), token, behind

    def advance(self, states: Ints, tokens: Ints) -> Ints:
        after = np.full(len(states), DEAD, dtype=np.int64)
        begun, _ = self._parts(states)
        for beginning in np.unique(begun[states > FINISHED]).tolist():
            rows = np.flatnonzero((states > FINISHED) & (begun == beginning))
            ways = self._ways_after(beginning)
            at = np.minimum(np.searchsorted(ways.tokens, tokens[rows]), len(ways.tokens) - 1)
            rows, at = rows[ways.tokens[at] == tokens[rows]], at[ways.tokens[at] == tokens[rows]]
            after[rows] = self._after(beginning, states[rows], at)
        padded = (states == FINISHED) & (tokens == self.alphabet.pad)
        after[padded] = FINISHED
        return after

    def accepting(self, states: Ints) -> NDArray[np.bool_]:
        begun, positions = self._parts(states)
        covered: NDArray[np.bool_] = (states > FINISHED) & (begun == 0)
        for chain, position in zip(self._chains, positions, strict=True):
            covered &= chain.covers[position]
        covered |= states == FINISHED
        return covered

    def least(self, states: Ints) -> Ints:
        """int64 [B]: fewer tokens than these cannot write what is missing."""
        begun, positions = self._parts(states)
        left = self._fewest(begun, positions) if self._chains else (begun > 0).astype(np.int64)
        return np.where(states > FINISHED, left, 0)

    @cached_property
    def _fewest(self) -> Fewest:
        return Fewest(self._chains, self._utf8, self._edges)

    def _edges(self, beginning: int) -> tuple[Ints, list[NDArray[np.int32]]]:
        """Of the tokens of text that may follow: what each leaves begun, and where they lead."""
        ways = self._ways_after(beginning)
        text = ways.tokens != self.end
        return ways.begun[text], [reached[:, text] for reached in ways.reached]

    def _parts(self, states: Ints) -> tuple[Ints, list[Ints]]:
        """The begun character, and the position in each chain."""
        digits = np.maximum(states - 1, 0)
        sizes = [len(chain.step) for chain in self._chains]
        places = zip(self._radix[:-1], sizes, strict=True)
        return digits // self._radix[-1], [digits // radix % size for radix, size in places]

    def _after(self, beginning: int, states: Ints, at: Ints | None = None) -> Ints:
        """int64 [B, n]: the state after each way on; or [B], after the one named for each row.

        All states have that begun character.
        """
        ways = self._ways_after(beginning)
        if at is None:
            rows, at = np.arange(len(states))[:, None], np.arange(len(ways.tokens))
        else:
            rows = np.arange(len(states))
        after = 1 + ways.begun[at] * self._radix[-1] + np.zeros_like(rows)
        _, positions = self._parts(states)
        parts = zip(self._radix[:-1], ways.reached, positions, strict=True)
        for radix, reached, position in parts:
            after = after + radix * reached[position[rows], at]
        ends = np.where(self.accepting(states), FINISHED, DEAD)
        return np.where(ways.tokens[at] == self.end, ends[rows], after)

    def _ways_after(self, beginning: int) -> _Ways:
        if beginning not in self._ways:
            read = self._utf8.after(beginning)
            place = int(np.searchsorted(read.tokens, self.end))
            points, inverse = np.unique(read.points, return_inverse=True)
            reached = [
                run(chain.step, chain.symbols(points)[inverse], read.offsets)
                for chain in self._chains
            ]
            self._ways[beginning] = _Ways(
                np.insert(read.tokens, place, self.end),
                np.insert(read.begun, place, 0),
                [np.insert(table, place, 0, axis=1) for table in reached],
            )
        return self._ways[beginning]

    def _check(self, number: int, chain: Chain) -> None:
        """See that a text can be written that holds the words of this chain."""
        letters = {char.encode() for word in chain.words for char in word}
        parts = {letter[:n] for letter in letters for n in range(len(letter))}
        useful = {self._utf8.number_of(part) for part in parts}
        seen, waiting = {(0, 0)}, [(False, 0, 0)]
        while waiting:
            # Those between characters first, and before others those that begin a letter.
            _, begun, position = heappop(waiting)
            if begun == 0 and chain.covers[position]:
                return
            left, reached = self._edges(begun)
            new = set(zip(left.tolist(), reached[number][position].tolist(), strict=True)) - seen
            seen |= new
            for begun, position in new:
                heappush(waiting, (begun not in useful, begun, position))
        raise InputError(
            f"this tokenizer cannot write a text that contains {' … '.join(chain.words)!r}: choose "
            "other words or another tokenizer"
        )
