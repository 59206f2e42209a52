"""Memo of key-value caches and hidden states of a causal model, looked up by prefix."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from torch import Tensor

MOST_HELD = 32_768
"""Positions that ``hold`` keeps at most: 256 rows of 128 tokens, 1.5 GB for SmolLM2."""


@dataclass(frozen=True, eq=False)
class RowCache:
    """Hidden states and key-value cache of one row of n tokens.

    ``hidden[i]`` predicts token i of the row; ``hidden[n]`` predicts the end token.
    """

    tokens: tuple[int, ...]
    keys_values: Tensor
    """[layers, 2, heads, n, head width]; what stands before every row is kept once, elsewhere"""
    hidden: Tensor
    """[n + 1, D], after the final norm"""
    log_z: Tensor
    """float32 [n + 1]: log-normaliser of each prediction"""
    token_log_prob: Tensor
    """float64 [n + 1], on the CPU: log p(token i | what is before it), the end token last"""


class PrefixMemo:
    """The most recent row caches, looked up by prefix.

    Keys are complete prefixes, never their last tokens or their lengths: the hidden states of a
    position depend on everything before it.

    Parameters
    ----------
    root : Reading
        The reading of the empty row: start token and context alone. Never dropped.
    capacity : int
        Token positions kept, summed over readings; the least recently used go first. ``hold`` can
        ask for more.
    score_capacity : int
        Rows whose scores are kept, also when their reading is gone: 8 bytes a token, and towards
        the end of an annealing run half of all proposals have been seen before.
    """

    def __init__(self, root: RowCache, capacity: int, score_capacity: int = 20_000) -> None:
        self.root = root
        self.capacity = capacity
        self.score_capacity = score_capacity
        self._scores: OrderedDict[tuple[int, ...], Tensor] = OrderedDict()
        self._held = 0
        self._size = 0
        self._readings: OrderedDict[tuple[int, ...], RowCache] = OrderedDict()
        self._by_prefix: dict[tuple[int, ...], RowCache] = {}

    def exact(self, tokens: tuple[int, ...]) -> RowCache | None:
        """The reading of exactly this row, marked as just used."""
        if not tokens:
            return self.root
        reading = self._readings.get(tokens)
        if reading is not None:
            self._readings.move_to_end(tokens)
        return reading

    def longest(self, tokens: tuple[int, ...]) -> tuple[RowCache, int]:
        """A reading that shares the longest prefix with the row, and how many tokens it shares."""
        for shared in range(len(tokens), 0, -1):
            reading = self._by_prefix.get(tokens[:shared])
            if reading is not None:
                return reading, shared
        return self.root, 0

    def score(self, tokens: tuple[int, ...]) -> Tensor | None:
        """float64 [n + 1]: log p of each token and of the end, if the row was ever read."""
        return self._scores.get(tokens)

    def hold(self, positions: int) -> None:
        """Keep at least so many positions from now on.

        Rows that were read together are in memory at once anyway. If some of them had gone before
        all are read on by a token, these would be read anew at every step.
        """
        self._held = min(positions, MOST_HELD)

    def put(self, reading: RowCache) -> None:
        """Keep a reading, dropping the least recently used ones beyond the capacity."""
        tokens = reading.tokens
        self._scores.setdefault(tokens, reading.token_log_prob)
        if len(self._scores) > self.score_capacity:
            self._scores.popitem(last=False)
        if not tokens or tokens in self._readings:
            return
        self._readings[tokens] = reading
        self._size += len(tokens)
        for end in range(1, len(tokens) + 1):
            self._by_prefix[tokens[:end]] = reading
        while self._size > max(self.capacity, self._held) and len(self._readings) > 1:
            self._drop(next(iter(self._readings)))

    def clear(self) -> None:
        self._readings.clear()
        self._by_prefix.clear()
        self._scores.clear()
        self._size = self._held = 0

    def _drop(self, tokens: tuple[int, ...]) -> None:
        reading = self._readings.pop(tokens)
        self._size -= len(tokens)
        for end in range(1, len(tokens) + 1):
            if self._by_prefix.get(tokens[:end]) is reading:
                del self._by_prefix[tokens[:end]]
