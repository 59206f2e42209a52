"""Plot the reliability diagram and the abstention curve."""

from __future__ import annotations

from pathlib import Path

from ergotext.tasks.evaluation.calibration import Abstention, Reliability
from ergotext.tasks.plot import figure


def save_diagram(told: Reliability, abstaining: Abstention, path: Path) -> None:
    """Plot accuracy by probability, and EMF1 by share answered.

    ``tasks.plot.check_plot`` says whether ``path`` is of a kind that can be drawn.
    """
    page = figure()
    upper, lower = page.subplots(2, 1)
    there = told.count > 0
    upper.plot([0, 1], [0, 1], color="grey", linestyle=":")
    upper.bar(
        told.edges[:-1][there], told.accuracy[there], width=1 / len(told.count), align="edge",
        alpha=0.4, label="right",
    )  # fmt: skip
    upper.plot(told.confidence[there], told.accuracy[there], marker="o", label="mean of the bin")
    upper.set(xlabel="probability of the first hit", ylabel="share right", xlim=(0, 1), ylim=(0, 1))
    upper.legend(loc="upper left")
    upper.set_title(f"expected calibration error {told.error:.3f}, {told.count.sum():,} questions")
    lower.plot(abstaining.share, abstaining.score)
    lower.set(xlabel="share of questions answered", ylabel="EMF1 of these", xlim=(0, 1))
    page.savefig(path, dpi=120)
