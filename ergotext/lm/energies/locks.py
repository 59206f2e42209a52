"""Lock marks: the tokens of a sequence that belong to a keyword; and where chains start."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ergotext.lm.batch import TokenBatch
from ergotext.lm.protocols import Automaton


def mark(batch: TokenBatch, spelled: Sequence[Sequence[int]], any_order: bool) -> Tensor:
    """int64 [B, L]: k on the tokens that hold keyword k (from 1), 0 elsewhere.

    Keywords in order: each at its first occurrence after the one before. In any order: from left
    to right, the longest keyword not yet placed that fits. A row in which a keyword finds no place
    gets no marks for it.
    """
    marks = [_mark_row(row, spelled, any_order) for row in batch.rows()]
    return TokenBatch.of(marks).padded(batch.width).ids if marks else torch.zeros_like(batch.ids)


def _mark_row(row: tuple[int, ...], spelled: Sequence[Sequence[int]], any_order: bool) -> list[int]:
    marks = [0] * len(row)
    left = list(range(len(spelled)))
    at = 0
    while at < len(row) and left:
        open_ = left if any_order else left[:1]
        fits = [k for k in open_ if row[at : at + len(spelled[k])] == tuple(spelled[k])]
        if not fits:
            at += 1
            continue
        k = max(fits, key=lambda k: (len(spelled[k]), -k))
        marks[at : at + len(spelled[k])] = [k + 1] * len(spelled[k])
        at += len(spelled[k])
        left.remove(k)
    return marks


def initial_rows(spelled: Sequence[Sequence[int]], count: int, any_order: bool) -> list[list[int]]:
    """``count`` rows of the keywords side by side; evenly spaced permutations in any order.

    Only rows in which every keyword is found again: written side by side, two keywords may make a
    third ("ice" and "cream cake" hold "ice cream"). No rows, if no order is free of that.
    """
    total = math.factorial(len(spelled)) if any_order else 1
    tries = min(total, max(count, 720))
    rows = []
    for c in range(tries):
        order = _permutation(len(spelled), c * total // tries)
        row = [token for k in order for token in spelled[k]]
        if len(set(_mark_row(tuple(row), spelled, any_order)) - {0}) == len(spelled):
            rows.append(row)
    return [rows[c * len(rows) // count if count < len(rows) else c % len(rows)]
            for c in range(count)] if rows else []  # fmt: skip


def completed(automaton: Automaton, row: Sequence[int], most: int = 200) -> list[int] | None:
    """A row and the fewest tokens after which it is accepted, as far as ``least`` knows them."""
    ids, state = list(row), automaton.start(1)
    for written in row:
        state = automaton.advance(state, np.array([written]))
    while state[0] >= 0 and len(ids) <= most:
        if automaton.accepting(state)[0]:
            return ids
        _, token, after = automaton.candidates(state)
        if not len(token):
            return None
        nearest = int(automaton.least(after).argmin())
        ids.append(int(token[nearest]))
        state = after[nearest : nearest + 1]
    return None


def _permutation(n: int, index: int) -> list[int]:
    """The permutation of 0 … n−1 with the given lexicographic index (factorial number system)."""
    left = list(range(n))
    order = []
    for size in range(n, 0, -1):
        digit, index = divmod(index, math.factorial(size - 1))
        order.append(left.pop(digit))
    return order
