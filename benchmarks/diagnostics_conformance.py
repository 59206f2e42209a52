"""R-hat, effective sample sizes and Monte Carlo errors against those of R's posterior on Blocker.

    python benchmarks/diagnostics_conformance.py FOLDER

FOLDER holds two chains of Stan's Blocker example, ``blocker.1.csv`` and ``blocker.2.csv``, and the
figures of R's posterior for them, ``reference_posterior.csv`` (arviz-devs/arviz, its history at
tests/saved_models/stan_diagnostics). Prints of each figure how many of 48 quantities agree.
"""

from __future__ import annotations

import argparse
import csv
import math
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ergotext.samplers.diagnostics import ess_bulk, ess_tail, mcse, r_hat

FIGURES: dict[str, Callable[[NDArray[np.float64]], float]] = {
    "rhat_rank": r_hat,
    "ess_bulk": ess_bulk,
    "ess_tail": ess_tail,
    "mcse_mean": mcse,
}
"""Ours by their names in posterior's table."""
CLOSE = 1e-6
"""Relative difference up to which two figures agree."""


def blocker(folder: Path) -> tuple[dict[str, int], list[str]]:
    """How many quantities agree, by figure; and a line for each that does not."""
    lines = [
        [line for line in path.read_text(encoding="utf-8").splitlines() if line[:1] != "#"]
        for path in (folder / "blocker.1.csv", folder / "blocker.2.csv")
    ]
    names = lines[0][0].split(",")
    chains = np.stack([np.loadtxt(rows[1:], delimiter=",") for rows in lines], axis=1)
    with (folder / "reference_posterior.csv").open(encoding="utf-8", newline="") as file:
        reference = {row[""]: row for row in csv.DictReader(file)}
    agree, differ = dict.fromkeys(FIGURES, 0), []
    for quantity, theirs in reference.items():
        values = chains[:, :, names.index(quantity)]
        for name, figure in FIGURES.items():
            ours, wanted = figure(values), float(theirs[name])
            if math.isclose(ours, wanted, rel_tol=CLOSE):
                agree[name] += 1
            else:
                differ.append(f"{name} of {quantity}: {ours:.6g}, posterior {wanted:.6g}")
    return agree, differ


def report(agree: dict[str, int], differ: Iterable[str], quantities: int = 48) -> str:
    """One line a figure, and those that differ."""
    lines = [f"{name}: {count} of {quantities} agree" for name, count in agree.items()]
    return "\n".join([*lines, *differ])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("folder", type=Path)
    print(report(*blocker(parser.parse_args().folder)))
