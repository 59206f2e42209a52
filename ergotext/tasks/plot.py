"""Plot chains: energy traces and rank histograms."""

from __future__ import annotations

import os
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ergotext.errors import InputError
from ergotext.support.extras import install

if TYPE_CHECKING:
    from ergotext.samplers.result import Result

BINS = 20


def check_plot(path: Path) -> None:
    """Refuse a plot that could not be drawn, before anything is run.

    Raises
    ------
    InputError
        matplotlib is not installed, or the file cannot be written or is of a kind it cannot draw.
    """
    if find_spec("matplotlib") is None:
        raise InputError(f"matplotlib is not installed; run: {install('plot')}")
    if not os.access(Path(os.path.realpath(path)).parent, os.W_OK) or path.is_dir():
        raise InputError(f"the plot {path} cannot be written; use a writable folder")
    known = figure().canvas.get_supported_filetypes()
    if path.suffix[1:].lower() not in known:
        raise InputError(
            f"cannot save a plot as {path.suffix or 'a file without a suffix'}; use .png"
        )


def save_plot(result: Result, path: Path) -> None:
    """Draw every chain's energy by step, and below it the ranks of its second half among all.

    Where chains agree, the ranks of each are spread evenly.

    References
    ----------
    Vehtari et al. 2021, "Rank-normalization, folding, and localization", section 4.2.
    """
    page = figure()
    upper, lower = page.subplots(2, 1)
    draw_traces(result, upper)
    upper.set(title=result.sampler)
    draws = draw_ranks(result, lower)
    told = result.diagnose()
    page.suptitle(f"R-hat {told.r_hat:.3f}, ESS {told.ess_bulk:.0f} of {draws}")
    page.savefig(path, dpi=120)


def draw_traces(result: Result, axes: Any, every: int = 1) -> None:
    """Every chain's energy by step, or at every so-manieth step."""
    energy = result.energy.numpy()[::every]
    steps = np.arange(len(energy)) * every
    for chain in range(result.chains):
        axes.plot(steps, energy[:, chain], linewidth=0.8, label=f"{chain}")
    axes.axvline(result.warm_up, color="grey", linestyle=":")
    axes.set(xlabel="step", ylabel="energy (nats)")


def draw_ranks(result: Result, axes: Any) -> int:
    """The ranks of each chain's second half among all; how many draws these are."""
    counts = rank_counts(result.energy.numpy()[result.warm_up :])
    edges = np.arange(BINS + 1) / BINS
    for row in counts:
        axes.stairs(row, edges, linewidth=0.9)
    axes.axhline(counts.mean(), color="grey", linestyle=":")
    axes.set(xlabel="rank among all chains", ylabel="draws")
    return round(float(counts.sum()))


def rank_counts(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """float64 [chains, BINS]: in how many draws the rank of values [draws, chains] falls there.

    Draws that tie share their places evenly: they count in part for each bin that these reach.
    """
    order = np.sort(values, axis=None)
    first = np.searchsorted(order, values, side="left") / len(order)
    last = np.searchsorted(order, values, side="right") / len(order)
    edges = np.arange(BINS + 1) / BINS
    within = np.clip(edges[:, None, None], first, last)
    counts: NDArray[np.float64] = (np.diff(within, axis=0) / (last - first)).sum(1).T
    return counts


def figure() -> Any:
    """An empty page."""
    return import_module("matplotlib.figure").Figure(figsize=(8, 7), layout="constrained")
