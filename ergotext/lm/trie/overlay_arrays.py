"""Arrays of the additions and removals of an overlay."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ergotext.lm.trie.tree import TokenTrie
from ergotext.support.arrays import Ints


@dataclass(frozen=True, eq=False)
class Changes:
    """Changes as arrays: what was added, and which keys of the base were removed."""

    added: TokenTrie
    removed: Ints
    gone: Ints
    """states of the base through which only removed keys go"""
    both: Ints
    """keys of the base that were not removed, and have objects among the additions"""


def gone_states(base: TokenTrie, keys: list[tuple[int, ...]], removed: Ints) -> Ints:
    """int64 [n], sorted: states that only removed keys pass through.

    Found once for each change; to ask for the range of every candidate at every step would cost
    half a second where the root is wide.
    """
    width = max(map(len, keys), default=0) + 1
    tokens = np.full((len(keys), width), base.alphabet.pad, dtype=np.int64)
    for row, key in zip(tokens, keys, strict=True):
        row[: len(key) + 1] = (*key, base.alphabet.end)
    states = [base.start(len(keys))]
    for column in tokens.T:
        states.append(base.advance(states[-1], column))
    every = np.unique(np.concatenate(states))
    every = every[every >= 0]
    low, high = base.span(every)
    gone: Ints = every[within(removed, low, high) == high - low]
    return gone


def within(ordinals: Ints, low: Ints, high: Ints) -> Ints:
    """int64 [B]: how many of these numbers, which rise, lie in each range."""
    return np.searchsorted(ordinals, high) - np.searchsorted(ordinals, low)
