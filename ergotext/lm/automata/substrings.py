"""Automaton of all substrings of a passage, from its suffix array."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ergotext.errors import InputError
from ergotext.lm.automaton_base import AutomatonBase
from ergotext.lm.key_ids import key_ids
from ergotext.lm.ragged import offsets_of, spread
from ergotext.lm.tokenizers.characters import Alphabet
from ergotext.support.arrays import Ints
from ergotext.support.extras import needed

DEAD, FINISHED = -1, 0
_BITS = 21
_MOST = (1 << _BITS) - 1


class Substrings(AutomatonBase):
    """Accepts the runs of tokens that occur in a passage (``protocols.Automaton``).

    The suffixes that begin with the tokens read are an interval of the sorted suffixes. A state
    is that interval [low, high) and the number d of tokens read, as ``d << 42 | low << 21 |
    high``; 0 is finished, -1 dead.

    Parameters
    ----------
    passage : sequence of int
        Token ids.
    alphabet : Alphabet
    shortest, longest : int
        Fewest and most tokens of a run (no bound on the most if not given).

    Raises
    ------
    InputError
        The passage holds a token that is none of the alphabet, its end token or padding, has more
        than 2,097,151 tokens, or has no run of the length wanted.

    Notes
    -----
    In sorted order, neighbours that share exactly d tokens part two runs of d + 1 tokens. So what
    may follow is read off the places of d among the common prefix lengths: these are kept sorted
    by length and place, and each interval has a range of them.

    References
    ----------
    Manber and Myers 1993, "Suffix arrays", for the intervals; Kasai et al. 2001 for the lengths.
    """

    def __init__(
        self,
        passage: Sequence[int],
        alphabet: Alphabet,
        *,
        shortest: int = 1,
        longest: int | None = None,
    ) -> None:
        self.alphabet = alphabet
        self.shortest = shortest
        self.longest = _MOST if longest is None else longest
        self._ids = np.array(key_ids(passage), dtype=np.int64)
        self._check()
        # Suffixes shorter than any run wanted lead nowhere.
        self._suffixes, common = _sorted_suffixes(self._ids, max(shortest, 1))
        self._count = len(self._suffixes)
        split = common << _BITS | np.arange(1, self._count)
        self._splits = np.sort(split)
        """``shared tokens << 21 | place`` of neighbours place − 1 and place"""

    @property
    def end(self) -> int:
        return self.alphabet.end

    def start(self, count: int) -> Ints:
        return np.full(count, self._count, dtype=np.int64)

    def candidates(self, states: Ints) -> tuple[Ints, Ints, Ints]:
        """Flat int64 arrays (row, token, next state), by rising row and, in it, rising token."""
        depth, low, high = _parts(states)
        going = (states > FINISHED) & (depth < self.longest)
        base = depth << _BITS
        first = np.searchsorted(self._splits, base | low, side="right")
        last = np.searchsorted(self._splits, base | high)
        ways = np.where(going, last - first + 1, 0)
        row = np.repeat(np.arange(len(states)), ways)
        head = offsets_of(ways)[:-1][going]
        begin = np.empty(len(row), dtype=np.int64)
        inner = np.ones(len(row), dtype=bool)
        inner[head] = False
        begin[head] = low[going]
        begin[inner] = self._splits[spread(first[going], ways[going] - 1)] & _MOST
        stop = np.empty_like(begin)
        stop[:-1] = begin[1:]
        stop[head + ways[going] - 1] = high[going]
        token = self._token(begin, depth[row])
        after = _state(depth[row] + 1, begin, stop)
        on = token >= 0
        return self._with_single(states, row[on], token[on], after[on])

    def advance(self, states: Ints, tokens: Ints) -> Ints:
        depth, low, high = _parts(states)
        going = (states > FINISHED) & (depth < self.longest) & (tokens >= 0)
        low, high = np.where(going, low, 0), np.where(going, high, 0)
        begin = self._bisect(depth, tokens, low, high)
        stop = self._bisect(depth, tokens + 1, begin, high)
        after = np.where(begin < stop, _state(depth + 1, begin, stop), DEAD)
        after[(tokens == self.end) & self._may_end(states)] = FINISHED
        stays = (states == DEAD) | (states == FINISHED)
        padded = stays & (tokens == self.alphabet.pad)
        after[padded] = states[padded]
        return after

    def accepting(self, states: Ints) -> NDArray[np.bool_]:
        accepts: NDArray[np.bool_] = self._may_end(states) | (states == FINISHED)
        return accepts

    def least(self, states: Ints) -> Ints:
        """int64 [B]: fewest remaining tokens; exact."""
        depth, _, _ = _parts(states)
        return np.where(states > FINISHED, np.maximum(self.shortest - depth, 0), 0)

    def lone(self, states: Ints) -> NDArray[np.bool_]:
        """bool [B]: where nothing is left but to end: every other run has beginnings that end."""
        depth, low, high = _parts(states)
        last = (high - low == 1) & (self._token(low, depth) < 0)
        alone: NDArray[np.bool_] = self._may_end(states) & (last | (depth >= self.longest))
        return alone

    def rest(self, states: Ints) -> tuple[Ints, Ints]:
        lone = self.lone(states)
        return np.full(int(lone.sum()), self.end, dtype=np.int64), offsets_of(lone)

    def _may_end(self, states: Ints) -> NDArray[np.bool_]:
        may_end: NDArray[np.bool_] = (states > FINISHED) & (_parts(states)[0] >= self.shortest)
        return may_end

    def _token(self, place: Ints, depth: Ints) -> Ints:
        """int64 [n]: the token at this depth of the suffix at this place; -1 after its end."""
        at = self._suffixes[np.minimum(place, self._count - 1)] + depth
        return np.where(at < len(self._ids), self._ids[np.minimum(at, len(self._ids) - 1)], -1)

    def _bisect(self, depth: Ints, wanted: Ints, low: Ints, high: Ints) -> Ints:
        """int64 [B]: the first place of each interval whose next token is not below ``wanted``."""
        for _ in range(int((high - low).max(initial=0)).bit_length()):
            middle = (low + high) // 2
            right = (self._token(middle, depth) < wanted) & (low < high)
            low, high = np.where(right, middle + 1, low), np.where(right, high, middle)
        return low

    def _with_single(
        self, states: Ints, row: Ints, token: Ints, after: Ints
    ) -> tuple[Ints, Ints, Ints]:
        """These candidates, and the end token or padding where it may follow."""
        sink = (states == DEAD) | (states == FINISHED)
        more = np.flatnonzero(sink | self._may_end(states))
        single = np.where(sink[more], self.alphabet.pad, self.end)
        behind = np.where(sink[more], states[more], FINISHED)
        before = np.bincount(row[token < self.end], minlength=len(states))
        begin = offsets_of(np.bincount(row, minlength=len(states)))[:-1]
        at = (begin + before)[more]
        return np.insert(row, at, more), np.insert(token, at, single), np.insert(after, at, behind)

    def _check(self) -> None:
        size, ids = len(self._ids), self._ids
        bad = (ids < 0) | (ids >= self.alphabet.size)
        bad |= (ids == self.end) | (ids == self.alphabet.pad)
        if bad.any():
            at = int(np.flatnonzero(bad)[0])
            raise InputError(
                f"token {ids[at]} at position {at} of the passage is not a text token: give the "
                "ids without end token and padding"
            )
        if size > _MOST:
            raise InputError(
                f"the passage has {size} tokens, but at most {_MOST} are supported: split it"
            )
        if not 0 <= self.shortest <= min(size, self.longest) or not size:
            raise InputError(
                f"a passage of {size} tokens has no runs of {self.shortest} to {self.longest} "
                "tokens: give a longer passage, or other bounds"
            )


def _sorted_suffixes(ids: Ints, shortest: int) -> tuple[Ints, Ints]:
    """Where each suffix of at least so many tokens begins, in their order; [n − 1] shared tokens.

    The second array is of each suffix but the first with the one before it.
    """
    library = needed("pydivsufsort", "automata")
    ranked = np.unique(ids, return_inverse=True)[1].astype(np.uint32)
    order = library.divsufsort(ranked)
    common = library.kasai(ranked, order).astype(np.int64)
    kept = np.flatnonzero(order <= len(ids) - shortest)
    shared = np.minimum.reduceat(common, kept)[:-1] if len(kept) > 1 else common[:0]
    return order[kept].astype(np.int64), shared


def _parts(states: Ints) -> tuple[Ints, Ints, Ints]:
    """Depth, low and high of each state."""
    return states >> 2 * _BITS, states >> _BITS & _MOST, states & _MOST


def _state(depth: Ints, low: Ints, high: Ints) -> Ints:
    return depth << 2 * _BITS | low << _BITS | high
