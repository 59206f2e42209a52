"""Lower bound on the tokens a text still needs to contain all of some words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from math import prod
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ergotext.lm.automata.chains import KINDS, Chain, kind_of
from ergotext.lm.automata.utf8 import Utf8, completions, run
from ergotext.lm.ragged import offsets_of
from ergotext.lm.tokenizers.characters import points_of
from ergotext.support.arrays import Ints, distinct

FAR = 1 << 20
"""Where no text that holds the words can follow."""
ANY = (1 << KINDS) - 1
Chains: TypeAlias = Sequence[Chain[Any]]
MOST_CODES = 1 << 62
"""States that can be numbered together."""
MOST_EDGES = 1 << 24
"""Ways between states that are examined together; beyond, the words are parted into groups."""


class Edges(NamedTuple):
    """Effect of tokens on chains; tokens with the same effect share a column."""

    begun: Ints
    """int64 [n]: the class of the begun character that each leaves"""
    reached: list[NDArray[np.int32]]
    """int32 [positions, n] of each chain"""

    def distinct(self) -> Edges:
        first, _ = distinct_columns(self.begun, self.reached)
        return Edges(self.begun[first], [reached[:, first] for reached in self.reached])


def distinct_columns(begun: Ints, reached: Sequence[NDArray[np.int32]]) -> tuple[Ints, Ints]:
    """Tokens by their effect on chains: the first of each class; the class of each token."""
    code, size = begun.astype(np.int64), int(begun.max(initial=0)) + 1
    for table in reached:
        for row in table:
            if size * len(table) > MOST_CODES:
                code = np.unique(code, return_inverse=True)[1]
                size = int(code.max(initial=0)) + 1
            code, size = code * len(table) + row, size * len(table)
    _, first, of = np.unique(code, return_index=True, return_inverse=True)
    return first, of


class Beginnings:
    """Begun characters by class.

    0 for none, one for each beginning of a letter of the words, and some for all others, which can
    be completed to no letter of theirs: by the bytes that they miss and the kinds that they may
    come to be of (a bit for each).
    """

    def __init__(self, chains: Chains, utf8: Utf8) -> None:
        self._utf8 = utf8
        letters = {letter for chain in chains for letter in chain.letters}
        parts = {char.encode()[:n] for char in letters for n in range(1, len(char.encode()))}
        self._class = {b"": 0} | {part: n for n, part in enumerate(sorted(parts), 1)}
        self.numbers = [utf8.number_of(part) for part in self._class]
        """the number of the beginning that each class of the first sorts stands for"""
        self._others: dict[tuple[int, int], int] = {}
        self._known = np.zeros(0, dtype=np.int64)

    def classes(self, numbers: Ints) -> Ints:
        """int64 [n]: the class of each number of a beginning."""
        if len(self._known) < len(self._utf8.beginnings):
            known = [self._class_of(part) for part in self._utf8.beginnings]
            self._known = np.array(known, dtype=np.int64)
        return self._known[numbers]

    def settle(self) -> None:
        """Make classes of the beginnings met so far; those met later are put into one of these."""
        going_on = (begun for _, _, begun in self._utf8.going_on())
        met = {*self._utf8.beginnings, *going_on} - self._class.keys()
        kinds = {(left, kinds) for part in met for left, kinds in [_may_become(part)]}
        kinds = {(n, k) for left, k in kinds | {(3, ANY)} for n in range(1, left + 1)}
        # The narrowest first: a beginning is of the first that it may be of.
        order = sorted(kinds | {(n, ANY) for n in (1, 2, 3)}, key=lambda c: (c[1].bit_count(), c))
        self._others = {kind: n for n, kind in enumerate(order, len(self._class))}

    def behind_others(self, chains: Chains) -> list[Edges]:
        """A superset of the next tokens of classes with other prefixes.

        Which character a token completes is not asked, only of which kind it may be.
        """
        going_on, found = sorted(self._utf8.going_on()), list[Edges]()
        for left, kinds in self._others:
            rests = [(text, begun) for n, text, begun in going_on if n == left]
            parts = {n for n, text, begun in going_on if n < left and not (text or begun)}
            columns = [kind for kind in range(ANY.bit_length()) if kinds >> kind & 1]
            classes = [self._class_of(begun) for _, begun in rests] * len(columns)
            classes += [self._others[left - n, kinds] for n in parts]
            reached = []
            for chain in chains:
                ways = _led(chain, [text for text, _ in rests])
                stay = np.repeat(np.arange(len(chain.step), dtype=np.int32)[:, None], len(parts), 1)
                done = [ways[chain.step[:, column]] for column in columns]
                reached.append(np.concatenate([*done, stay], axis=1))
            found.append(Edges(np.array(classes, dtype=np.int64), reached))
        return found

    def _class_of(self, beginning: bytes) -> int:
        if (known := self._class.get(beginning)) is not None:
            return known
        left, kinds = _may_become(beginning)
        return next(n for (m, k), n in self._others.items() if m == left and k & kinds == kinds)


@cache
def _may_become(beginning: bytes) -> tuple[int, int]:
    """Bytes that a character misses, and the kinds that it may be of, as bits."""
    left, points = completions(beginning)
    if left > 2:
        return left, ANY
    return left, sum(1 << kind for kind in set(map(kind_of, points)))


def _led(chain: Chain[Any], texts: Sequence[str]) -> NDArray[np.int32]:
    """int32 [positions, n]: where each text leads from each position."""
    points = points_of("".join(texts)).astype(np.int64)
    offsets = offsets_of(np.array([len(text) for text in texts], dtype=np.int64))
    return run(chain.step, chain.symbols(points) if len(points) else points, offsets)


class Fewest:
    """The tokens that are missing at each state of several chains: none takes fewer.

    The number of tokens on the shortest way to a state in which every chain is covered: words may
    overlap, and a token may write the end of one and the beginning of the next. A lower bound only
    where that way goes through a character, written in parts, that is no letter of the words (what
    it does to words beside it is not asked), and where there are so many words that they are
    parted into groups.

    Parameters
    ----------
    chains : sequence of Chain
    utf8 : Utf8
    edges : function (number of a beginning) -> (begun, reached)
        What the tokens that may follow leave begun, and where they lead in each chain.
    """

    def __init__(
        self,
        chains: Chains,
        utf8: Utf8,
        edges: Callable[[int], tuple[Ints, list[NDArray[np.int32]]]],
    ) -> None:
        self._beginnings = Beginnings(chains, utf8)
        found = [edges(number) for number in self._beginnings.numbers]
        self._beginnings.settle()
        ways = [Edges(self._beginnings.classes(begun), reached) for begun, reached in found]
        ways += self._beginnings.behind_others(chains)
        ways = [way.distinct() for way in ways]
        # Each group has all chains that limit: they tell what there is no room for.
        limits = [number for number, chain in enumerate(chains) if chain.limits]
        waiting = [[number for number, chain in enumerate(chains) if not chain.limits]]
        self._groups: list[_Group] = []
        while waiting:
            which = waiting.pop()
            group = _Group.of(which + limits, chains, ways)
            if group is not None:
                self._groups.append(group)
            elif len(which) > 1:
                waiting += [which[: len(which) // 2], which[len(which) // 2 :]]
            else:
                alone = (_Group.of([number], chains, ways) for number in which + limits)
                self._groups += [group for group in alone if group is not None]

    @property
    def parted(self) -> bool:
        """Whether the words were too many to look for the way through all of them."""
        return len(self._groups) > 1

    def __call__(self, begun: Ints, positions: Sequence[Ints]) -> Ints:
        """int64 [n]: of states with these beginnings and positions in the chains."""
        classes = self._beginnings.classes(begun)
        left = [group.left_at(classes, positions) for group in self._groups]
        most: Ints = np.stack(left).max(axis=0)
        return most


class _Group(NamedTuple):
    """Some of the chains, and what is left at each of their states that can be reached."""

    which: list[int]
    radix: Ints
    known: Ints
    """codes of the states, rising"""
    left: Ints

    @classmethod
    def of(cls, which: list[int], chains: Chains, ways: Sequence[Edges]) -> _Group | None:
        """None if these are too many; a single chain never is."""
        sizes = [len(chains[k].step) for k in which]
        if len(which) > 1 and prod(sizes) * len(ways) > MOST_CODES:
            return None
        few = [Edges(way.begun, [way.reached[k] for k in which]).distinct() for way in ways]
        radix = np.cumprod([1, *sizes]).astype(np.int64)
        most = MOST_EDGES // max(len(way.begun) for way in few) if len(which) > 1 else None
        known = frontier = np.zeros(1, dtype=np.int64)
        while len(frontier):
            frontier = np.setdiff1d(_behind(frontier, radix, few), known, assume_unique=True)
            known = np.sort(np.concatenate([known, frontier]), kind="stable")
            if most is not None and len(known) > most:
                return None
        begun, positions = _parts(known, radix)
        covered = begun == 0
        for k, position in zip(which, positions, strict=True):
            covered &= chains[k].covers[position]
        return cls(which, radix, known, _shortest(known, covered, radix, few))

    def left_at(self, begun: Ints, positions: Sequence[Ints]) -> Ints:
        code = begun * self.radix[-1]
        for k, radix in zip(self.which, self.radix, strict=False):
            code = code + radix * positions[k]
        at = np.minimum(np.searchsorted(self.known, code), len(self.known) - 1)
        return np.where(self.known[at] == code, self.left[at], 0)


def _parts(codes: Ints, radix: Ints) -> tuple[Ints, list[Ints]]:
    sizes = radix[1:] // radix[:-1]
    each = zip(radix[:-1], sizes, strict=True)
    return codes // radix[-1], [codes // place % size for place, size in each]


def _after(codes: Ints, begun: int, radix: Ints, ways: Sequence[Edges]) -> Ints:
    """int64 [n, columns]: the states after these, all of which have that begun character."""
    _, positions = _parts(codes, radix)
    after = np.broadcast_to(ways[begun].begun * radix[-1], (len(codes), len(ways[begun].begun)))
    for place, reached, position in zip(radix, ways[begun].reached, positions, strict=False):
        after = after + place * reached[position]
    return after


def _behind(codes: Ints, radix: Ints, ways: Sequence[Edges]) -> Ints:
    """The states after any of these, rising."""
    begun, none = codes // radix[-1], np.zeros(0, dtype=np.int64)
    found = [none]
    for beginning in np.unique(begun).tolist():
        some = codes[begun == beginning]
        found += [distinct(_after(part, beginning, radix, ways)) for part in _blocks(some)]
    return distinct(np.concatenate(found))


def _shortest(known: Ints, covered: NDArray[np.bool_], radix: Ints, ways: Sequence[Edges]) -> Ints:
    """int64 [states]: tokens from each to one that is covered; ``FAR`` where none is."""
    left: Ints = np.where(covered, 0, FAR).astype(np.int64)
    tables: list[tuple[Ints, NDArray[Any]]] = []
    begun = known // radix[-1]
    for beginning in np.unique(begun).tolist():
        for at in _blocks(np.flatnonzero(begun == beginning)):
            after = np.searchsorted(known, _after(known[at], beginning, radix, ways))
            tables.append((at, after.astype(np.int32)))
    found, step = True, 0
    while found:
        found, step, before = False, step + 1, left.copy()
        for number, (at, after) in enumerate(tables):
            reached = (before[after] < FAR).any(axis=1)
            left[at[reached]] = np.minimum(left[at[reached]], step)
            found |= bool(reached.any())
            tables[number] = at[~reached], after[~reached]
    return left


def _blocks(values: Ints, size: int = 4096) -> list[Ints]:
    return [values[low : low + size] for low in range(0, len(values), size)]
