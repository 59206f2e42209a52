"""The error of a run whose draws all have weight zero."""

from __future__ import annotations

import torch

from ergotext.samplers.demanded import shortfall
from ergotext.samplers.target import Target
from ergotext.samplers.weighted.rollout import GrownRows
from ergotext.samplers.weighted.samples import ZeroWeightError
from ergotext.support.words import counted


def check_met(target: Target, rows: GrownRows, tries: int | None = None) -> None:
    """Raise ZeroWeightError, with what was not met, if all rows have weight zero.

    Parameters
    ----------
    target : Target
    rows : GrownRows
    tries : int, optional
        Of all draws, where these are the last of more.
    """
    if bool((rows.log_weight > -torch.inf).any()):
        return
    count = len(rows.open)
    last = "" if tries in (None, count) else f"of the last {count} "
    raise ZeroWeightError(
        f"all {tries or count} draws have weight zero: within "
        f"{counted(target.max_length, 'token')} {last}"
        f"{shortfall(target.automaton, rows.batch, rows.state < 0)}; allow more tokens "
        "(max_length), use more draws or particles, or demand less"
    )
