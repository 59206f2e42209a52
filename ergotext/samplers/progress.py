"""Show how far a run is, and the best text so far: on a terminal, or to a function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, Self, TypeAlias, runtime_checkable

import torch
from torch import Tensor

from ergotext.lm.batch import TokenBatch
from ergotext.lm.protocols import NextTokenScorer
from ergotext.support.bars import bar
from ergotext.support.words import as_line


@dataclass(frozen=True, eq=False)
class Growth:
    """All texts of a sampler that grows them, after a token.

    Parameters
    ----------
    batch : TokenBatch
        [B]
    merit : float64 [B]
        The greatest for the best text, -inf for a dead one.
    open : bool [B]
        Which are not finished.
    parent : int64 [B]
        The place of the text, before this token, that each goes on from.
    log_weight : float64 [B]
        In nats; -inf for a dead one.
    """

    batch: TokenBatch
    merit: Tensor
    open: Tensor
    parent: Tensor
    log_weight: Tensor


Watch = Callable[[Growth], None]
"""Is told after each token."""


@dataclass(frozen=True)
class Stage:
    """How far a run is.

    Parameters
    ----------
    done, total : int
        Steps or tokens; there may be fewer in the end.
    unit : str
        What they are.
    text : str
        The best so far; empty if there is none.
    whole : bool
        Whether this text is finished.
    """

    done: int
    total: int
    unit: str
    text: str
    whole: bool


Progress: TypeAlias = bool | Callable[[Stage], None]
"""Whether to show how far a run is, or a function that is told instead after each step. What it
raises ends the run."""
LEAST_SECONDS = 0.1
"""Between two looks of the line."""
_LINE = "{n_fmt}/{total_fmt} {unit}s [{elapsed}<{remaining}]{postfix}"


@runtime_checkable
class Watched(Protocol):
    """A sampler that calls ``watch`` after each of its steps, if it is not None."""

    watch: Watch | None


class Bar:
    """A line on stderr, if that is a terminal, erased at the end; or calls of a function.

    Parameters
    ----------
    scorer : NextTokenScorer, optional
        Decodes the texts; without one none is shown.
    total : int
        Steps.
    unit : str
        What a step is.
    progress : bool or callable
        Whether to show anything, or what is told instead (``Progress``).
    initial : int
        Steps that are done.
    """

    def __init__(
        self,
        scorer: NextTokenScorer | None,
        total: int,
        unit: str,
        progress: Progress = True,
        initial: int = 0,
    ) -> None:
        self._scorer = scorer
        self._tell = progress if callable(progress) else None
        self._done, self._total, self._unit = initial, total, unit
        self._bar = bar(
            total=total,
            initial=initial,
            unit=unit,
            progress=progress is True,
            leave=False,
            mininterval=LEAST_SECONDS,
            dynamic_ncols=True,
            bar_format=_LINE,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Erase the line."""
        self._bar.close()

    def show(self, steps: int, texts: TokenBatch, merit: Tensor, open_: Tensor) -> None:
        """So many steps more, and the best of these texts: a whole one if there is any."""
        self._done += steps
        if self._bar.disable and self._tell is None:
            return
        best, text, whole = best_of(merit, open_), "", False
        if best is not None and self._scorer is not None:
            text = self._scorer.decode(texts.select(torch.tensor([best])))[0]
            whole = not bool(open_[best])
            # Nothing in a text may drive the terminal, or break the line.
            self._bar.set_postfix_str(as_line(text) + "…" * (not whole), refresh=False)
        self._bar.update(steps)
        if self._tell is not None:
            self._tell(Stage(self._done, self._total, self._unit, text.strip(), whole))

    def watch(self, grown: Growth) -> None:
        """One step more (``Watch``)."""
        self.show(1, grown.batch, grown.merit, grown.open)


def best_of(merit: Tensor, open_: Tensor) -> int | None:
    """The best whole text, else the best beginning; None if all are dead."""
    for among in (~open_, open_):
        known = merit.masked_fill(~among, -torch.inf)
        if len(known) and bool(known.max() > -torch.inf):
            return int(known.argmax())
    return None
