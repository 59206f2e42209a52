"""Lay out rows in forward passes so that what several begin with stands there once.

Rows that were resampled, or finished by one run, share long beginnings: read as a tree, they are a
fraction of their tokens, and so are attention and the copies of caches.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ergotext.lm.batch import microbatches
from ergotext.lm.decoding.packing import PACK

Row = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Forest:
    """One pass: N trees of at most T new tokens, each after an opening and P tokens read before.

    Each new token attends to the opening, and to what stands above it in its tree.
    """

    rows: list[int]
    """whose new tokens these are"""
    nodes: list[Tensor]
    """int64 [m] of each of these rows: where its new tokens are, among all that are real"""
    ids: Tensor
    """int64 [N, T]"""
    position: Tensor
    """int64 [N, T]: the place of each token in its rows, opening counted"""
    seen: Tensor
    """bool [N, T, opening + P + T]: what a token attends to"""
    real: Tensor
    """bool [N, T]: False on padding"""
    columns: list[list[tuple[int, int, int]]]
    """of each tree: (row, from, to), the runs of tokens read before, side by side"""


@dataclass(eq=False)
class _Tree:
    """Rows of one tree, in the order of their tokens."""

    rows: list[int] = field(default_factory=list)
    own: list[list[int]] = field(default_factory=list)
    """of each row: its new tokens, by their numbers in the tree"""
    known: list[list[int]] = field(default_factory=list)
    """of each row: the columns of what was read before"""
    tokens: list[int] = field(default_factory=list)
    depth: list[int] = field(default_factory=list)
    columns: list[tuple[int, int, int]] = field(default_factory=list)
    width: int = 0

    @property
    def size(self) -> int:
        return self.width + len(self.tokens)

    def add(self, number: int, row: Row, start: int, common: int) -> None:
        """A row of which ``start`` tokens were read, and ``common`` are those of the one before.

        What two rows share was read before for both of them or for neither.
        """
        old = min(common, start)
        known = self.known[-1][:old] if old else []
        if old < start:
            self.columns.append((number, old, start))
            known += range(self.width, self.width + start - old)
            self.width += start - old
        own = self.own[-1][: common - start] if common > start else []
        fresh = range(start + len(own), len(row))
        own += range(len(self.tokens), len(self.tokens) + len(fresh))
        self.tokens += row[fresh.start :]
        self.depth += fresh
        self.rows.append(number)
        self.known.append(known)
        self.own.append(own)


def forests(
    rows: Sequence[Row], starts: Sequence[int], opening: int, budget: int
) -> Iterator[Forest]:
    """The passes that read all rows on from their first ``starts[r]`` tokens; rows differ.

    Those of which nothing is new make one pass without a tree. No pass holds more than ``budget``
    tokens, old and new, but for a single row that does.
    """
    trees: list[_Tree] = []
    before: Row = ()
    whole = [r for r, row in enumerate(rows) if starts[r] == len(row)]
    if whole:
        nothing = torch.zeros(0, 0, dtype=torch.int64)
        none = [nothing[0:0].flatten()] * len(whole)
        yield Forest(whole, none, nothing, nothing, nothing[:, :, None] > 0, nothing > 0, [])
    for number in sorted({*range(len(rows))} - {*whole}, key=rows.__getitem__):
        row, start = rows[number], starts[number]
        common = _common(before, row)
        new = len(row) - max(start, common)
        more = new + max(0, start - common)
        if not trees or len(trees[-1].tokens) + new > PACK or trees[-1].size + more > budget:
            trees.append(_Tree())
            common = 0
        trees[-1].add(number, row, start, common)
        before = row
    for group in microbatches([tree.size for tree in trees], budget):
        yield _laid_out([trees[n] for n in group], opening)


def _common(one: Row, other: Row) -> int:
    """How many tokens two rows begin with alike."""
    shared = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        shared += 1
    return shared


def _laid_out(trees: list[_Tree], opening: int) -> Forest:
    tallest, widest = max(len(t.tokens) for t in trees), max(t.width for t in trees)
    ids = torch.zeros(len(trees), tallest, dtype=torch.int64)
    position, real = torch.zeros_like(ids), torch.zeros_like(ids, dtype=torch.bool)
    seen = torch.zeros(len(trees), tallest, opening + widest + tallest, dtype=torch.bool)
    seen[:, :, :opening] = True  # padding too: attention to nothing at all is not a number
    first, nodes = 0, []
    for n, tree in enumerate(trees):
        count = len(tree.tokens)
        ids[n, :count] = torch.tensor(tree.tokens)
        position[n, :count] = opening + torch.tensor(tree.depth)
        real[n, :count] = True
        for own, known in zip(tree.own, tree.known, strict=True):
            at = torch.tensor(own)
            above = torch.ones(len(own), len(own), dtype=torch.bool).tril()
            seen[n, at[:, None], opening + widest + at] |= above
            seen[n, at[:, None], opening + torch.tensor(known, dtype=torch.int64)] = True
            nodes.append(first + at)
        first += count
    rows = [r for tree in trees for r in tree.rows]
    return Forest(rows, nodes, ids, position, seen, real, [tree.columns for tree in trees])
