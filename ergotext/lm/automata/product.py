"""Product of chains: an automaton over tokens from small ones over characters."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from heapq import heappop, heappush
from typing import Any, NamedTuple, TypeGuard

import numpy as np
from numpy.typing import NDArray

from ergotext.errors import InputError
from ergotext.lm.automata.chains import Chain
from ergotext.lm.automata.keyword_bounds import FAR, Fewest, distinct_columns
from ergotext.lm.automata.keyword_states import FINISHED, numbering
from ergotext.lm.automata.pieces import Pieces
from ergotext.lm.automata.separate_words import SeparateWords
from ergotext.lm.automata.utf8 import Utf8
from ergotext.lm.automata.word_chains import Demanded
from ergotext.lm.automaton_base import DEAD, AutomatonBase
from ergotext.lm.ragged import take_rows
from ergotext.support.arrays import Ints


class Ways(NamedTuple):
    """What may follow a begun character, or none.

    Tokens with the same effect on every chain are of one class; the end token's is the last.
    """

    tokens: Ints
    """int64 [n], the end token among them, rising"""
    of: Ints
    """int64 [n]: the class of each"""
    begun: Ints
    """int64 [classes]: the beginning of a character that each leaves"""
    reached: list[NDArray[np.int32]]
    """int32 [positions, classes] of each chain: where each leads from each position"""


def _demanded(chain: Chain[Any]) -> TypeGuard[Demanded]:
    return type(chain) is Demanded


class ChainProduct(AutomatonBase):
    """Accepts the token sequences whose text every chain accepts (``protocols.Automaton``).

    Every sequence makes valid UTF-8.

    Parameters
    ----------
    chains : sequence of Chain
        What the positions of a state are in.
    pieces : Pieces

    Raises
    ------
    InputError
        These tokens cannot write a text that a chain accepts, or one that all of them accept.

    Notes
    -----
    Run over the characters of every token once, a chain becomes a table from position and token to
    position. A state is a begun character and a position in every chain (``keyword_states``); 0 is
    finished, -1 dead.
    """

    def __init__(self, chains: Sequence[Chain[Any]], pieces: Pieces) -> None:
        self.alphabet, self.pieces = pieces.alphabet, pieces
        self.chains = list(chains)
        self._numbering = numbering([len(chain.step) for chain in self.chains])
        self._utf8 = Utf8(pieces)
        self._ways: dict[int, Ways] = {}
        for number, chain in enumerate(self.chains):
            self._check(number, chain)
        if len(self.chains) > 1 and any(chain.limits for chain in self.chains):
            self._check_together()

    @property
    def end(self) -> int:
        return self.alphabet.end

    def start(self, count: int) -> Ints:
        return np.ones(count, dtype=np.int64)

    def parts(self, states: Ints) -> tuple[Ints, list[Ints]]:
        """The number of the begun character (0: none), and the position in each of ``chains``."""
        return self._numbering.parts(states)

    def candidates(self, states: Ints) -> tuple[Ints, Ints, Ints]:
        """Flat int64 arrays (row, token, next state), by rising row and, in it, rising token."""
        distinct, which = np.unique(states, return_inverse=True)
        offsets, token, behind = self._distinct_candidates(distinct)
        tokens, parted = take_rows(token, offsets, which)
        following, _ = take_rows(behind, offsets, which)
        return np.repeat(np.arange(len(states)), np.diff(parted)), tokens, following

    def _distinct_candidates(self, states: Ints) -> tuple[Ints, Ints, Ints]:
        """Where the candidates of each state begin; their tokens; the states after."""
        begun, _ = self.parts(states)
        begun[states <= FINISHED] = -1
        parts: list[tuple[Ints, Ints, Ints]] = []
        for beginning in np.unique(begun).tolist():
            rows = np.flatnonzero(begun == beginning)
            if beginning < 0:
                parts.append((rows, np.full(len(rows), self.alphabet.pad), states[rows]))
                continue
            ways = self.ways(beginning)
            after = self.after(beginning, states[rows])[:, ways.of]
            there = after != DEAD
            token = np.broadcast_to(ways.tokens, after.shape)
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
        begun, _ = self.parts(states)
        for beginning in np.unique(begun[states > FINISHED]).tolist():
            rows = np.flatnonzero((states > FINISHED) & (begun == beginning))
            ways = self.ways(beginning)
            at = np.minimum(np.searchsorted(ways.tokens, tokens[rows]), len(ways.tokens) - 1)
            rows, at = rows[ways.tokens[at] == tokens[rows]], at[ways.tokens[at] == tokens[rows]]
            after[rows] = self.after(beginning, states[rows], ways.of[at])
        padded = (states == FINISHED) & (tokens == self.alphabet.pad)
        after[padded] = FINISHED
        return after

    def accepting(self, states: Ints) -> NDArray[np.bool_]:
        begun, positions = self.parts(states)
        covered: NDArray[np.bool_] = (states > FINISHED) & (begun == 0)
        for chain, position in zip(self.chains, positions, strict=True):
            covered &= chain.covers[position]
        covered |= states == FINISHED
        return covered

    def demands(self) -> list[str]:
        """What each chain asks of a text (``Demanding``)."""
        return list(map(str, self.chains))

    def unmet(self, states: Ints) -> NDArray[np.bool_]:
        """bool [B, chains]: which of these a text that ends there does not do."""
        _, positions = self.parts(states)
        each = zip(self.chains, positions, strict=True)
        missing = [~chain.covers[position] for chain, position in each]
        table: NDArray[np.bool_] = np.stack(missing, axis=1) & (states != FINISHED)[:, None]
        return table

    def least(self, states: Ints) -> Ints:
        """int64 [B]: fewer tokens than these cannot write what is missing."""
        begun, positions = self.parts(states)
        left = self._fewest(begun, positions) if self.chains else (begun > 0).astype(np.int64)
        if self._separate is not None:
            demanded = (p for c, p in zip(self.chains, positions, strict=True) if _demanded(c))
            left = np.maximum(left, self._separate(begun, list(demanded)))
        return np.where(states > FINISHED, left, 0)

    @cached_property
    def _fewest(self) -> Fewest:
        return Fewest(self.chains, self._utf8, self._edges)

    @cached_property
    def _separate(self) -> SeparateWords | None:
        """The sum over words, where they are too many for the shortest way through them all."""
        words = [chain for chain in self.chains if _demanded(chain)]
        return SeparateWords(words, self.pieces) if words and self._fewest.parted else None

    def _edges(self, beginning: int) -> tuple[Ints, list[NDArray[np.int32]]]:
        """Of the classes of text that may follow: what each leaves begun, and where they lead."""
        ways = self.ways(beginning)
        return ways.begun[:-1], [reached[:, :-1] for reached in ways.reached]

    def after(self, beginning: int, states: Ints, which: Ints | None = None) -> Ints:
        """int64 [B, classes]: the state after each class; or [B], after the one of each row.

        All states have that begun character.
        """
        ways = self.ways(beginning)
        if which is None:
            rows, which = np.arange(len(states))[:, None], np.arange(len(ways.begun))[None]
        else:
            rows = np.arange(len(states))
        _, positions = self.parts(states)
        parts = zip(ways.reached, positions, strict=True)
        reached = [table[position[rows], which].astype(np.int64) for table, position in parts]
        dead = np.zeros(np.broadcast_shapes(rows.shape, which.shape), dtype=np.bool_)
        for chain, there in zip(self.chains, reached, strict=True):
            if chain.dead.any():
                dead |= chain.dead[there]
        begun = np.broadcast_to(ways.begun[which], dead.shape)
        after = np.where(dead, DEAD, self._numbering.number(begun, reached))
        ends = np.where(self.accepting(states), FINISHED, DEAD)
        return np.where(which == len(ways.begun) - 1, ends[rows], after)

    def ways(self, beginning: int) -> Ways:
        if beginning not in self._ways:
            read, begun = self._utf8.after(beginning)
            place = int(np.searchsorted(read.tokens, self.end))
            reached = [read.through(chain) for chain in self.chains]
            first, of = distinct_columns(begun, reached)
            self._ways[beginning] = Ways(
                np.insert(read.tokens, place, self.end),
                np.insert(of, place, len(first)),
                np.append(begun[first], 0),
                [np.pad(table[:, first], [(0, 0), (0, 1)]) for table in reached],
            )
        return self._ways[beginning]

    def _check(self, number: int, chain: Chain[Any]) -> None:
        """See that a text can be written that this chain accepts."""
        letters = [letter.encode() for letter in chain.letters]
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
            f"this tokenizer cannot write a text that {chain}: choose other words or another "
            "tokenizer"
        )

    def _check_together(self) -> None:
        """See that one text can be all that is asked, as far as ``least`` tells."""
        if int(self.least(self.start(1))[0]) >= FAR:
            raise InputError(
                f"no text that this tokenizer can write {', '.join(map(str, self.chains))} all at "
                "once: ask for less"
            )
