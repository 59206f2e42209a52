"""Distance from each node of a trie to the nearest end of a key."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ergotext.lm.tokenizers.characters import Alphabet
from ergotext.support.arrays import Ints

FAR = 1 << 20
"""No key continues from there."""


class LevelArrays(Protocol):
    """The arrays of ``TrieStates``, level by level."""

    @property
    def token(self) -> NDArray[Any]: ...
    @property
    def target(self) -> NDArray[Any]: ...
    @property
    def alphabet(self) -> Alphabet: ...
    @property
    def nodes(self) -> int: ...
    @property
    def finished(self) -> int: ...
    @property
    def longest(self) -> int: ...
    def edges(self, nodes: Ints, /) -> tuple[Ints, Ints]: ...
    def tail_lengths(self, position: Ints, /) -> Ints: ...


def nearest(trie: LevelArrays) -> Ints:
    """int64 [M]: the fewest tokens, end tokens left out, from each inner node to the end of a key.

    From the last level up: what a node leads to has a number above its own.
    """
    found = np.full(trie.nodes, FAR, dtype=np.int64)
    levels, low, high = [], 0, min(1, trie.nodes)
    for _ in range(trie.longest + 1):
        if low >= high:
            break
        levels.append((low, high))
        begin, stop = trie.edges(np.array([low, high - 1]))
        target = trie.target[begin[0] : stop[1]].astype(np.int64)
        children = target[(target >= 0) & (target < trie.nodes)]
        low, high = high, max(high, int(children.max(initial=-1)) + 1)
    for low, high in reversed(levels):
        begin, stop = trie.edges(np.arange(low, high))
        if not len(begin) or stop[-1] <= begin[0]:
            continue
        edge = np.arange(begin[0], stop[-1])
        token, target = trie.token[edge], trie.target[edge].astype(np.int64)
        far = np.full(len(edge), FAR, dtype=np.int64)
        inner = (target >= 0) & (target < trie.nodes)
        far[inner] = 1 + found[target[inner]]
        tail = (target >= trie.nodes) & (target < trie.finished)
        far[tail] = trie.tail_lengths(target[tail] - trie.nodes)
        far[token == trie.alphabet.end] = 0
        some = np.flatnonzero(stop > begin)
        found[low + some] = np.minimum.reduceat(far, begin[some] - begin[0])
    return found
