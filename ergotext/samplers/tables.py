"""Results as tables for a prompt and a notebook. None of them runs a model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch

from ergotext.lm.batch import TokenBatch
from ergotext.lm.protocols import Energy
from ergotext.samplers.texts import scorer_of
from ergotext.support.reprs import ROWS, Listing

LOOKED_AT = 2_000
"""Rows that a table of so few is chosen from."""
Row = tuple[int, ...]


def texts_of(problem: Energy, rows: Sequence[Row]) -> list[str]:
    """The text of each row; each distinct row is decoded once."""
    each = list(dict.fromkeys(rows))
    texts = [text.strip() for text in scorer_of(problem).decode(TokenBatch.of(each))]
    known = dict(zip(each, texts, strict=True))
    return [known[row] for row in rows]


def energy_table(head: str, problem: Energy, rows: Iterable[tuple[Row, float]]) -> Listing:
    """The first different rows with their energies, which rise."""
    first = dict[Row, float]()
    for row, energy in rows:
        first.setdefault(row, energy)
        if len(first) == ROWS:
            break
    texts = texts_of(problem, list(first))
    shown = [[f"{energy:.2f}", text] for energy, text in zip(first.values(), texts, strict=True)]
    return Listing(head, ["energy", "text (lowest energy first)"], shown)


def weight_table(
    head: str, problem: Energy, rows: Sequence[Row], weights: Sequence[float], energies: Any
) -> Listing:
    """The heaviest texts, each with the share of the weight that its draws have together.

    ``energies`` is [K], or None where they are not known.
    """
    share, energy = dict[Row, float](), dict[Row, float]()
    for number, (row, weight) in enumerate(zip(rows, weights, strict=True)):
        share[row] = share.get(row, 0.0) + weight
        if energies is not None:
            energy[row] = float(energies[number])
    best = sorted(share, key=lambda row: -share[row])[:ROWS]
    columns = ["weight", *(["energy"] if energy else []), "text (heaviest first)"]
    shown = [
        [f"{share[row]:.3f}", *([f"{energy[row]:.2f}"] if energy else []), text]
        for row, text in zip(best, texts_of(problem, best), strict=True)
    ]
    return Listing(head, columns, shown)


def heaviest(weights: torch.Tensor) -> list[int]:
    """The numbers of the draws that a table is made of, the heaviest first."""
    return weights.topk(min(LOOKED_AT, len(weights))).indices.tolist()
