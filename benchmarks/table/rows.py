"""Rows of the table: two sides that do the same work, timed alternately."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

Side = Callable[[int], float]
"""Does the work of a round (its number, from 0), and says how much that was."""


@dataclass(frozen=True)
class Scale:
    """How large the rows are made.

    Parameters
    ----------
    quick : bool
        Sizes cut down, so that every row runs in CI.
    rounds : int
    threads : int
    cpu : bool
        Whether seconds are CPU seconds, which other work on the machine changes less.
    peers : Path, optional
        A folder with packages that are compared with and are not installed here.
    """

    quick: bool = False
    rounds: int = 5
    threads: int = 1
    cpu: bool = False
    peers: Path | None = None

    def of(self, whole: int, quick: int) -> int:
        """A size, of the whole table or of the quick one."""
        return quick if self.quick else whole


@dataclass(frozen=True)
class Row:
    """A row of the table.

    Parameters
    ----------
    name, unit : str
        ``unit`` is what a second is full of, such as ``tokens``; more is better.
    ours : callable
    beside : dict of str to callable or str
        Other ways to do the same, by their names; a text says why there is none.
    """

    name: str
    unit: str
    ours: Side
    beside: dict[str, Side | str] = field(default_factory=dict)


@dataclass(frozen=True)
class Measured:
    """What a row came to, beside one of the others; rates are medians of the rounds."""

    subject: str
    name: str
    unit: str
    ours: float
    peer: str
    theirs: float | None = None
    ratio: float | None = None
    least: float | None = None
    most: float | None = None

    def record(self) -> dict[str, Any]:
        return asdict(self)

    def cells(self) -> list[str]:
        """The row as it is printed."""
        if self.ratio is None:
            return [self.name, self.unit, shown(self.ours), self.peer, "", "", ""]
        spread = f"{self.least:.2f}–{self.most:.2f}"
        theirs = shown(self.theirs or 0.0)
        return [
            self.name, self.unit, shown(self.ours), self.peer, theirs, f"{self.ratio:.2f}", spread,
        ]  # fmt: skip


def shown(rate: float) -> str:
    """A rate in three figures."""
    return f"{rate:,.0f}" if rate >= 100 else f"{rate:.3g}"


def measure(subject: str, row: Row, scale: Scale) -> Iterator[Measured]:
    """Time a row: every side once for nothing, then all in turn, round by round."""
    sides = {"ours": row.ours} | {n: side for n, side in row.beside.items() if callable(side)}
    if not scale.quick:
        for side in sides.values():
            side(0)
    rates: dict[str, list[float]] = {name: [] for name in sides}
    clock = time.process_time if scale.cpu else time.perf_counter
    for number in range(1, 1 + scale.rounds):
        for name, side in sides.items():
            gc.collect()
            began = clock()
            done = side(number)
            rates[name].append(done / (clock() - began))
    ours = statistics.median(rates["ours"])
    absent = [f"{name}: {side}" for name, side in row.beside.items() if isinstance(side, str)]
    if len(sides) == 1:
        yield Measured(subject, row.name, row.unit, ours, "; ".join(absent))
    for name, theirs in rates.items():
        if name == "ours":
            continue
        ratios = [a / b for a, b in zip(rates["ours"], theirs, strict=True)]
        yield Measured(
            subject, row.name, row.unit, ours, name, statistics.median(theirs),
            statistics.median(ratios), min(ratios), max(ratios),
        )  # fmt: skip
