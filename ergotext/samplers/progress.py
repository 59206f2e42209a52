"""Show on a terminal how far a run is, and the best text so far."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, Self, runtime_checkable

import torch
from torch import Tensor

from ergotext.lm.batch import TokenBatch
from ergotext.lm.protocols import NextTokenScorer
from ergotext.support.bars import bar
from ergotext.support.words import as_line

Watch = Callable[[TokenBatch, Tensor, Tensor], None]
"""Is given all texts so far, a number for each (float64 [B], the greatest for the best, -inf for a
dead one), and which are still open (bool [B])."""
LEAST_SECONDS = 0.1
"""Between two looks of the line."""
_LINE = "{n_fmt}/{total_fmt} {unit}s [{elapsed}<{remaining}]{postfix}"


@runtime_checkable
class Watched(Protocol):
    """A sampler that calls ``watch`` after each of its steps, if it is not None."""

    watch: Watch | None


class Bar:
    """A line on stderr, if that is a terminal; it is erased at the end.

    Parameters
    ----------
    scorer : NextTokenScorer, optional
        Decodes the texts; without one none is shown.
    total : int
        Steps.
    unit : str
        What a step is.
    progress : bool
        Whether to show anything.
    initial : int
        Steps that are done.
    """

    def __init__(
        self,
        scorer: NextTokenScorer | None,
        total: int,
        unit: str,
        progress: bool = True,
        initial: int = 0,
    ) -> None:
        self._scorer = scorer
        self._bar = bar(
            total=total,
            initial=initial,
            unit=unit,
            progress=progress,
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
        if self._bar.disable:
            return
        best = _best(merit, open_)
        if best is not None and self._scorer is not None:
            text = self._scorer.decode(texts.select(torch.tensor([best])))[0]
            more = "…" if bool(open_[best]) else ""
            # Nothing in a text may drive the terminal, or break the line.
            self._bar.set_postfix_str(as_line(text) + more, refresh=False)
        self._bar.update(steps)

    def watch(self, texts: TokenBatch, merit: Tensor, open_: Tensor) -> None:
        """One step more (``Watch``)."""
        self.show(1, texts, merit, open_)


def _best(merit: Tensor, open_: Tensor) -> int | None:
    """The best whole text, else the best beginning; None if all are dead."""
    for among in (~open_, open_):
        known = merit.masked_fill(~among, -torch.inf)
        if len(known) and bool(known.max() > -torch.inf):
            return int(known.argmax())
    return None
