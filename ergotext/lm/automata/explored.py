"""Automaton defined by functions, whose states are explored on demand."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from ergotext.lm.automaton_base import AutomatonBase, check_known, marked
from ergotext.lm.ragged import spread
from ergotext.support.arrays import Ints

Position = TypeVar("Position", bound=Hashable)

DEAD, FINISHED, START = -1, 0, 1
_SHIFT = 32
_TOKEN = (1 << _SHIFT) - 1
_SINK = 0
_MOST_MASKS = 256
"""Rows of tokens whose masks are kept: 12 MiB for 50,000 tokens"""


@dataclass(frozen=True)
class Outlook(Generic[Position]):
    """Known bounds on the distance to an end.

    Parameters
    ----------
    least : function (position) -> int
        Fewer tokens end no sequence from there.
    behind : function (position, int64 [n]) -> int64 [n], optional
        The same after each of some tokens that may follow.
    ending : function (position, token) -> tokens, optional
        A way to the end from after the token (from the position itself, where that is None),
        without the end token; None where none was found.
    kinds : function () -> int64 [V], optional
        Tokens of one number mostly lead to where sequences end alike.
    """

    least: Callable[[Position], int]
    behind: Callable[[Position, Ints], Ints] | None = None
    ending: Callable[[Position, int | None], tuple[int, ...] | None] | None = None
    kinds: Callable[[], Ints] | None = None


@dataclass(frozen=True)
class InWords(Generic[Position]):
    """What is demanded of a sequence, in words.

    Parameters
    ----------
    demands : sequence of str
        Each to follow "a text that" (``Demanding``).
    unmet : function (position) -> sequence of bool, optional
        Which of these a sequence that ends there does not do; by default all that may not end.
    """

    demands: Sequence[str] = ()
    unmet: Callable[[Position], Sequence[bool]] | None = None


class Explored(AutomatonBase, Generic[Position]):
    """An automaton defined by a function from states to next tokens (``Automaton``).

    A state is a plain number: -1 dead, 0 finished, 1 the start, and ``n << 32 | t`` where token t
    leads from the n-th position found. So a state can be named before anybody has looked what it
    is like: the position after it is found when a row comes to stand there, once. Positions that
    are equal are one, however they were come by. What has been found stays; rows are then served
    from flat arrays, all at once.

    Parameters
    ----------
    end, pad : int
    first : Position
        Where every sequence begins.
    follow : function (position, token) -> position
        The position after a token that may follow. It must leave the old one as it was.
    ways : function (position) -> (int64 [n], bool)
        The tokens that may follow, rising, without the end token; and whether it may.
    outlook : Outlook, optional
        Known bounds on the distance to an end.
    recipe : function and its arguments, optional
        What makes such an automaton again: that is what is pickled or copied.
    asked : InWords, optional
        What it demands, in words.

    Notes
    -----
    Not for several threads at once.
    """

    def __init__(
        self,
        end: int,
        pad: int,
        first: Position,
        follow: Callable[[Position, int], Position],
        ways: Callable[[Position], tuple[Ints, bool]],
        outlook: Outlook[Position] | None = None,
        recipe: tuple[Callable[..., Any], tuple[Any, ...]] | None = None,
        asked: InWords[Position] | None = None,
    ) -> None:
        self._end, self._follow, self._ways, self._outlook = end, follow, ways, outlook
        self._recipe, self._asked = recipe, InWords[Position]() if asked is None else asked
        self._first, self._nearest = first, dict[Position, int]()
        self._rows: dict[bytes, int] = {}
        self._edges = Growing([])
        """``row << 32 | token`` of every row of tokens: rising, so that it can be searched"""
        self._bounds = Growing([0])
        """where each row of tokens begins, and ends"""
        self._place: dict[int, int] = {}
        """the place of each position (``place``)"""
        self._alikes: dict[tuple[int, tuple[int, ...] | None], int] = {}
        self._positions: list[Position] = [first]
        self._numbers: dict[Position, int] = {}
        self._row = Growing([self._row_of(np.array([pad]))])
        """the row of tokens of each position; first of all that of the sinks"""
        self._accepts = Growing([0])
        self._masks: dict[tuple[int, int], NDArray[np.bool_]] = {}
        """of rows of tokens, by row and size"""
        self._farthest: dict[int, int] = {}
        """``least`` at most, after any of the tokens of a position"""
        self._known = np.array([DEAD, FINISHED, START])
        self._number = np.array([_SINK, _SINK, self._number_of(first)])
        """the position that each known state, rising, was found to stand for"""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        if self._recipe is None:
            raise TypeError("this automaton is made of functions and cannot be pickled")
        return self._recipe

    def __len__(self) -> int:
        """How many positions have been found."""
        return len(self._positions) - 1

    @property
    def end(self) -> int:
        return self._end

    def start(self, count: int) -> Ints:
        return np.full(count, START, dtype=np.int64)

    def candidates(self, states: Ints) -> tuple[Ints, Ints, Ints]:
        """Flat int64 arrays (row, token, next state), by rising row and, in it, rising token."""
        number = self._found(states)
        row, token = self._tokens(number)
        return row, token, self._behind(states[row], number[row], token)

    def mask(self, states: Ints, size: int) -> NDArray[np.bool_]:
        return marked(len(states), size, *self._tokens(self._found(states)))

    def count(self, states: Ints) -> Ints:
        """int64 [B]: how many tokens may follow each state (``Masking``)."""
        number = self._found(states)
        row = self._row.values[number]
        counts: Ints = self._bounds.values[row + 1] - self._bounds.values[row]
        return counts

    def mask_within(self, states: Ints, size: int, room: int) -> NDArray[np.bool_]:
        """bool [B, size]: tokens after which ``least`` is at most ``room`` (``Masking``)."""
        numbers, which = np.unique(self._found(states), return_inverse=True)
        masks = [self._mask_within(number, size, room) for number in numbers.tolist()]
        return np.stack(masks)[which] if masks else np.zeros((0, size), dtype=np.bool_)

    def advance(self, states: Ints, tokens: Ints) -> Ints:
        number = self._found(states)
        token = np.clip(tokens, 0, _TOKEN)
        wanted = self._row.values[number] << _SHIFT | token
        edges = self._edges.values
        at = np.minimum(np.searchsorted(edges, wanted), len(edges) - 1)
        there = (edges[at] == wanted) & (token == tokens)
        return np.where(there, self._behind(states, number, token), DEAD)

    def accepting(self, states: Ints) -> NDArray[np.bool_]:
        number = self._found(states)
        accepts: NDArray[np.bool_] = (self._accepts.values[number] == 1) | (states == FINISHED)
        return accepts

    def demands(self) -> list[str]:
        """What a sequence must do, in words (``Demanding``); nothing where none were given."""
        return list(self._asked.demands)

    def unmet(self, states: Ints) -> NDArray[np.bool_]:
        """bool [B, K]: which of these a sequence that ends there does not do."""
        refused, count = ~self.accepting(states), len(self._asked.demands)
        if self._asked.unmet is None:
            return np.repeat(refused[:, None], count, axis=1)
        positions = [self._positions[number] for number in self._found(states).tolist()]
        missing = [
            self._asked.unmet(position) if no else [False] * count
            for position, no in zip(positions, refused.tolist(), strict=True)
        ]
        return np.array(missing, dtype=np.bool_).reshape(len(states), count)

    def least(self, states: Ints) -> Ints:
        """int64 [B]: lower bound on the remaining tokens.

        No state is explored for this, so nothing depends on which states were visited before:
        what lies there is bounded from where it begins.
        """
        least = np.zeros(len(states), dtype=np.int64)
        outlook = self._outlook
        if outlook is None:
            return least
        least[states == START] = self._bound(self._first)
        origin = np.where(states > START, states >> _SHIFT, _SINK)
        for number in np.unique(origin[origin != _SINK]).tolist():
            rows, position = np.flatnonzero(origin == number), self._positions[number]
            least[rows] = np.maximum(self._bound(position) - 1, 0)
            if outlook.behind is not None:
                behind = outlook.behind(position, states[rows] & _TOKEN)
                least[rows] = np.maximum(least[rows], behind)
        return least

    def ending(self, state: int) -> tuple[int, ...] | None:
        """Tokens that end a sequence from there; None where none were found (``Ending``)."""
        outlook = self._outlook
        if outlook is None or outlook.ending is None or state == DEAD:
            return None
        if state in (FINISHED, START):
            return () if state == FINISHED else outlook.ending(self._first, None)
        return outlook.ending(self._positions[state >> _SHIFT], state & _TOKEN)

    def kinds(self) -> Ints:
        """int64 [V]: tokens of one number mostly lead to where sequences end alike (``Ending``)."""
        if self._outlook is None or self._outlook.kinds is None:
            return np.zeros(0, dtype=np.int64)
        return self._outlook.kinds()

    def place(self, states: Ints) -> Ints:
        """int64 [B]: one number where the same tokens may follow and one ending is known."""
        numbers, which = np.unique(self._found(states), return_inverse=True)
        for number in numbers.tolist():
            if number not in self._place:
                known = None if number == _SINK else self._ending_of(number)
                key = int(self._row.values[number]), known
                self._place[number] = self._alikes.setdefault(key, len(self._alikes))
        return np.array([self._place[number] for number in numbers.tolist()])[which]

    def _mask_within(self, number: int, size: int, room: int) -> NDArray[np.bool_]:
        mask = self._mask_of(int(self._row.values[number]), size)
        if number == _SINK or self._outlook is None:
            return mask
        if number in self._farthest and self._farthest[number] <= room:
            return mask
        token = self._tokens(np.array([number]))[1]
        least = self.least(self._behind(np.zeros(1, dtype=np.int64), np.array([number]), token))
        self._farthest[number] = int(least.max(initial=0))
        mask = mask.copy()
        mask[token[least > room]] = False
        return mask

    def _mask_of(self, row: int, size: int) -> NDArray[np.bool_]:
        """bool [size]: the tokens of a row."""
        if (row, size) not in self._masks:
            if len(self._masks) == _MOST_MASKS:
                self._masks.clear()
            low, high = self._bounds.values[row : row + 2]
            token = self._edges.values[low:high] & _TOKEN
            check_known(token, size)
            self._masks[row, size] = marked(1, size, np.zeros_like(token), token)[0]
        return self._masks[row, size]

    def _ending_of(self, number: int) -> tuple[int, ...] | None:
        if self._outlook is None or self._outlook.ending is None:
            return None
        return self._outlook.ending(self._positions[number], None)

    def _bound(self, position: Position) -> int:
        assert self._outlook is not None
        if position not in self._nearest:
            self._nearest[position] = self._outlook.least(position)
        return self._nearest[position]

    def _alike(self, states: Ints) -> Ints:
        """int64 [B]: the position, which is looked for behind every token."""
        return np.where(states > START, self._found(np.maximum(states, START)), -1 - states)

    def _tokens(self, number: Ints) -> tuple[Ints, Ints]:
        """Flat arrays (row, token): what may follow each position."""
        which = self._row.values[number]
        low, high = self._bounds.values[which], self._bounds.values[which + 1]
        row = np.repeat(np.arange(len(number)), high - low)
        return row, self._edges.values[spread(low, high - low)] & _TOKEN

    def _behind(self, states: Ints, number: Ints, token: Ints) -> Ints:
        """The state that each of these tokens, which may follow, leads to."""
        behind = np.where(token == self._end, FINISHED, number << _SHIFT | token)
        return np.where(number == _SINK, states, behind)

    def _found(self, states: Ints) -> Ints:
        """int64 [B]: the number of the position that each state stands for."""
        at = np.minimum(np.searchsorted(self._known, states), len(self._known) - 1)
        new = self._known[at] != states
        if new.any():
            self._find(np.unique(states[new]))
            at = np.searchsorted(self._known, states)
        return self._number[at]

    def _find(self, states: Ints) -> None:
        """Explore states, sorted, that were not visited before."""
        numbers = [
            self._number_of(self._follow(self._positions[state >> _SHIFT], state & _TOKEN))
            for state in states.tolist()
        ]
        at = np.searchsorted(self._known, states)
        self._known = np.insert(self._known, at, states)
        self._number = np.insert(self._number, at, numbers)

    def _number_of(self, position: Position) -> int:
        number = self._numbers.get(position)
        if number is None:
            tokens, accepts = self._ways(position)
            if accepts:
                tokens = np.insert(tokens, np.searchsorted(tokens, self._end), self._end)
            self._positions.append(position)
            number = self._numbers[position] = len(self._positions) - 1
            self._row.add(np.array([self._row_of(tokens)]))
            self._accepts.add(np.array([accepts], dtype=np.int64))
        return number

    def _row_of(self, tokens: Ints) -> int:
        """The number of a row of tokens; rows that are equal are kept once."""
        digest = hashlib.blake2b(tokens.astype(np.uint32).tobytes(), digest_size=16).digest()
        row = self._rows.setdefault(digest, len(self._rows))
        if row == len(self._bounds) - 1:
            self._edges.add(row << _SHIFT | tokens)
            self._bounds.add(np.array([len(self._edges)]))
        return row


def surely_empty(automaton: Explored[Position], most: int = 500) -> bool:
    """True if no sequence is accepted; False if that is unknown after so many states."""
    states, before = automaton.start(1), 0
    while len(states) <= most and len(automaton) <= most:
        if automaton.accepting(states).any():
            return False
        if len(automaton) == before:
            return True  # every position that can be reached has been examined
        before = len(automaton)
        _, _, states = automaton.candidates(states)
    return False


class Growing:
    """int64 [n]: values to which others are added, at the price of those alone."""

    def __init__(self, values: list[int]) -> None:
        self._room = np.array(values, dtype=np.int64)
        self._size = len(values)

    def __len__(self) -> int:
        return self._size

    @property
    def values(self) -> Ints:
        """The values added so far; a view that later additions do not change."""
        return self._room[: self._size]

    def add(self, values: Ints) -> None:
        """Append values."""
        size = self._size + len(values)
        if size > len(self._room):
            room = np.empty(2 * size, dtype=np.int64)
            room[: self._size] = self.values
            self._room = room
        self._room[self._size : size] = values
        self._size = size
