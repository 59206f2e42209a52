"""Count how often token sequences repeat themselves."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

Text = Sequence[Hashable]
Unit = tuple[int, ...]
"""Tokens that count as one."""
SIZES = (1, 2, 3, 4)


@dataclass(frozen=True)
class Repeats:
    """Repetition in texts of one way of decoding, for n-grams of 1, 2, 3 and 4 tokens.

    Parameters
    ----------
    name : str
    rep : list of float
        rep-n: the share of a text's n-grams that stood in it before, averaged over texts.
    stderr : list of float or None
        Standard error of that mean, the prompts taken as a sample of prompts. None for one alone.
    distinct : list of float
        distinct-n: different n-grams of all texts together over all their n-grams.
    """

    name: str
    rep: list[float]
    stderr: list[float] | None
    distinct: list[float]


def rep_n(text: Text, n: int) -> float:
    """1 − different n-grams / n-grams; 0 where there is none (Welleck et al. 2020)."""
    grams = _grams(text, n)
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def distinct_n(texts: Sequence[Text], n: int) -> float:
    """Different n-grams of all texts over all n-grams (Li et al. 2016); 1 where there is none."""
    grams = [gram for text in texts for gram in _grams(text, n)]
    return len(set(grams)) / len(grams) if grams else 1.0


def repeats(name: str, texts: Sequence[Text]) -> Repeats:
    """Both measures of one set of texts."""
    found = np.array([[rep_n(text, n) for text in texts] for n in SIZES])
    stderr = None
    if len(texts) > 1:
        stderr = (found.std(axis=1, ddof=1) / math.sqrt(len(texts))).tolist()
    distinct = [distinct_n(texts, n) for n in SIZES]
    return Repeats(name, found.mean(axis=1).tolist(), stderr, distinct)


def joined(text: Sequence[Unit], pairs: Sequence[tuple[Unit, Unit]]) -> list[Unit]:
    """The text with each pair of units as one, merged in this order, from left to right."""
    units = list(text)
    for one, two in pairs:
        merged: list[Unit] = []
        open_end = False
        for unit in units:
            if open_end and unit == two:
                merged[-1] = one + two
                open_end = False
            else:
                merged.append(unit)
                open_end = unit == one
        units = merged
    return units


def _grams(text: Text, n: int) -> list[tuple[Hashable, ...]]:
    return [tuple(text[i : i + n]) for i in range(len(text) - n + 1)]
