"""Calibration: expected calibration error, temperature scaling, abstention."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from ergotext.errors import InputError
from ergotext.support.arrays import Floats
from ergotext.tasks.plot import figure

BINS = 15
LOWEST, HIGHEST = 2.0**-5, 2.0**5
"""Temperatures that are looked for."""
_ROUNDED = 2.0**-53
"""What float64 tells from 1."""


@dataclass(frozen=True)
class Reliability:
    """Reliability diagram: mean probability and accuracy in bins of equal width.

    Parameters
    ----------
    edges : float64 [BINS + 1]
    count : int64 [BINS]
    confidence, accuracy : float64 [BINS]
        Means in each bin; NaN where it is empty.
    """

    edges: Floats
    count: NDArray[np.int64]
    confidence: Floats
    accuracy: Floats

    @property
    def error(self) -> float:
        """Expected calibration error: the mean distance of the two, weighted by count."""
        there = self.count > 0
        apart = np.abs(self.accuracy - self.confidence)[there]
        return float(apart @ self.count[there] / self.count.sum())


@dataclass(frozen=True)
class Abstention:
    """Abstention curve: score by share answered, least certain questions dropped first.

    Parameters
    ----------
    threshold : float64 [M]
        Probabilities that occur, falling; a question is answered from there on.
    share : float64 [M]
        Of questions answered.
    score : float64 [M]
        Their mean score.
    """

    threshold: Floats
    share: Floats
    score: Floats


def reliability(probability: Floats, right: NDArray[np.bool_]) -> Reliability:
    """Compare probabilities [N] with outcomes [N].

    A bin holds what is above its lower edge, up to and with its upper one; the first also 0.

    Raises
    ------
    InputError
        There are none, not as many of both, or some are no probabilities.

    References
    ----------
    Guo et al. 2017, "On calibration of modern neural networks", equations 2, 3 and 5.
    """
    _check(probability, right)
    edges = np.arange(BINS + 1) / BINS
    place = np.clip(np.searchsorted(edges, probability, side="left") - 1, 0, BINS - 1)
    count = np.bincount(place, minlength=BINS)
    with np.errstate(invalid="ignore"):
        confidence = np.bincount(place, probability, BINS) / count
        accuracy = np.bincount(place, right, BINS) / count
    return Reliability(edges, count, confidence, accuracy)


def abstention(probability: Floats, score: Floats) -> Abstention:
    """The score [N] of what is answered, for every share that a threshold can make.

    Questions of one probability are answered or left together.

    Raises
    ------
    InputError
        There are none, not as many of both, or some are no probabilities.

    References
    ----------
    El-Yaniv and Wiener 2010, "On the foundations of noise-free selective classification".
    """
    _check(probability, score)
    order = np.argsort(-probability, kind="stable")
    falling, gained = probability[order], score[order].astype(np.float64).cumsum()
    answered = np.arange(1, len(order) + 1)
    last = np.append(falling[1:] != falling[:-1], True)
    return Abstention(falling[last], answered[last] / len(order), gained[last] / answered[last])


def fit_temperature(
    probability_at: Callable[[float], Floats], right: NDArray[np.bool_], precision: float = 0.01
) -> float:
    """The maximum-likelihood temperature, between ``LOWEST`` and ``HIGHEST``.

    Parameters
    ----------
    probability_at : callable
        From a temperature to float64 [N], the probability of the first hit of each question, such
        as a retriever gives on training questions. It is asked some twenty times.
    right : bool [N]
        Whether that hit was right.
    precision : float
        Of log T.

    Raises
    ------
    InputError
        There is no question, not as many of both, or some are no probabilities.

    Notes
    -----
    The likelihood is that of N throws of coins. A scan over powers of two finds the valley, Brent's
    method its bottom. What is as good as certain and does not come true is charged as one part in
    2^53, the least that float64 tells from it.

    References
    ----------
    Guo et al. 2017, section 4.2: temperature scaling.
    """

    def loss(log_temperature: float) -> float:
        """In nats a question."""
        p = probability_at(float(np.exp(log_temperature)))
        _check(p, right)
        came = np.where(right, p, 1 - p)
        return float(-np.log(np.maximum(came, _ROUNDED)).mean())

    scan = np.log(2) * np.arange(np.log2(LOWEST), np.log2(HIGHEST) + 1)
    at = int(np.argmin([loss(each) for each in scan]))
    low, high = float(scan[max(at - 1, 0)]), float(scan[min(at + 1, len(scan) - 1)])
    close = {"xatol": precision}
    found = minimize_scalar(loss, bounds=(low, high), method="bounded", options=close)
    return float(np.exp(found.x))


def _check(probability: Floats, other: NDArray[np.generic]) -> None:
    if len(probability) != len(other) or not len(probability):
        raise InputError(f"{len(probability)} probabilities do not match {len(other)} outcomes")
    if not ((probability >= 0) & (probability <= 1)).all():
        raise InputError("probabilities must be between 0 and 1; some of these are not")


def save_diagram(
    told: Reliability, abstaining: Abstention, path: Path, graded: str = "EMF1"
) -> None:
    """Plot accuracy by probability, and the score called ``graded`` by share answered.

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
    lower.set(xlabel="share of questions answered", ylabel=f"{graded} of these", xlim=(0, 1))
    page.savefig(path, dpi=120)
