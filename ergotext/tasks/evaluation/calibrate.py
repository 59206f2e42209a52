"""Fit a calibration: temperature and the share of "none of these", on questions with answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path

import numpy as np
from scipy.optimize import minimize, minimize_scalar

from ergotext.lm.loading import Dtype
from ergotext.support.arrays import Floats
from ergotext.support.bars import busy
from ergotext.support.words import counted
from ergotext.tasks.datasets.kgclue.data import Question, Questions
from ergotext.tasks.evaluation.cases import (
    KNOWN,
    NO_KEY,
    NO_SUBJECT,
    Case,
    cases,
    search_of,
    usable,
)
from ergotext.tasks.evaluation.checks import FEWEST, too_few
from ergotext.tasks.evaluation.coverage import measured
from ergotext.tasks.retrieval.calibration import UNFITTED, Calibration, calibration_file
from ergotext.tasks.retrieval.candidates import Potential
from ergotext.tasks.retrieval.coverage import MOST
from ergotext.tasks.retrieval.loading import opened
from ergotext.tasks.retrieval.lookahead.learned import lookahead_named
from ergotext.tasks.retrieval.lookahead.own import origin
from ergotext.tasks.retrieval.none_features import FEATURES
from ergotext.tasks.retrieval.retriever import Retriever

_SPREAD = 0.5
"""Standard deviation of log T around the temperature that is started from."""
FEWEST_ABSENT = 10
"""Questions that the base does not answer from which on none are made of the others."""
FOLDS = 5
LOWEST = -36.0


def fit(
    found: Sequence[Case],
    weights: Floats,
    start: Calibration,
    *,
    penalty: float = 1.0,
) -> Calibration:
    """The calibration that makes these outcomes likeliest.

    Parameters
    ----------
    found : sequence of Case
    weights : float64 [n]
        What each counts.
    start : Calibration
        Weights are pulled towards its own (or 0), and the temperature towards its temperature. Its
        unit and usual words are those of the features.
    penalty : float
        Of the squared distance of weights from these, halved; in nats.

    Notes
    -----
    P(key i) = P(not none) softmax(s / T)_i and P(none) = σ(w · φ), so that both parts are fitted
    on their own: T by cases whose right key is among the candidates, w by logistic regression.
    """
    own = np.array([start.weights.get(name, 0.0) for name in FEATURES])
    features = np.array([case.features for case in found])
    none = np.array([float(case.right is None) for case in found])
    fixed = np.full(len(FEATURES), penalty)
    fixed[FEATURES.index("one")] = 0.0  # how often there is no answer is the base's own affair

    def loss(w: Floats) -> tuple[float, Floats]:
        odds = features @ w
        off = w - own
        value = weights @ (np.logaddexp(0, odds) - none * odds) + 0.5 * fixed @ off**2
        share = np.exp(-np.logaddexp(0, -odds))
        return float(value), features.T @ (weights * (share - none)) + fixed * off

    fitted = minimize(loss, own, jac=True, method="L-BFGS-B", options={"maxiter": 2000}).x
    temperature = _temperature(found, weights, start.temperature)
    return replace(
        start,
        temperature=temperature,
        weights=dict(zip(FEATURES, fitted.tolist(), strict=True)),
        sets=None,
    )


def _temperature(found: Sequence[Case], weights: Floats, start: float) -> float:
    known = [(c, w) for c, w in zip(found, weights.tolist(), strict=True) if c.right is not None]

    def loss(log_ratio: float) -> float:
        value = 0.5 * (log_ratio / _SPREAD) ** 2
        for case, weight in known:
            scores = case.scores / (start * np.exp(log_ratio))
            value += weight * float(np.logaddexp.reduce(scores) - scores[case.right])
        return value

    return float(start * np.exp(minimize_scalar(loss, bounds=(-2, 2), method="bounded").x))


@dataclass(frozen=True)
class Calibrated:
    """A calibration of one's own base, and what it is worth.

    Parameters
    ----------
    calibration : Calibration
    known, missed, absent : int
        Questions whose answer is among their candidates, those whose answer is not, and those that
        the base is said not to answer.
    before, after : float
        Mean of -log P(what is right), in nats a question: of the calibration that was started from,
        and of this one, fitted on four fifths of the questions and scored on the last, five times.
    """

    calibration: Calibration
    known: int
    missed: int
    absent: int
    before: float
    after: float

    def text(self) -> str:
        """A few lines for people."""
        return (
            f"{counted(self.known, 'question')} with an answer that was found, {self.missed:,} "
            f"without, {self.absent:,} that the base does not answer\n"
            f"temperature {self.calibration.temperature:.3g}; mean loss {self.before:.3f} nats "
            f"before, {self.after:.3f} after (on questions that it was not fitted on)\n"
            f"answer sets: {self._sets()}"
        )

    def _sets(self) -> str:
        sets = self.calibration.sets
        if sets is None:
            return "no questions are left to measure them on; 9 more allow a coverage of 0.9"
        return (
            f"measured on {counted(sets.count, 'other question')}; a coverage of up to "
            f"{sets.most:g} can be promised"
        )


def calibrate(
    retriever: Retriever,
    lookahead: Potential,
    asked: Sequence[Question],
    *,
    start: Calibration,
    none: float = 0.1,
    what: str = "questions of your own",
) -> Calibrated:
    """Fit a calibration to a base by questions about it, and measure answer sets on others.

    Half of the questions are for the fit, and at least so many that ``FEWEST`` of them have an
    answer that is found; sets are measured on the rest, on ``coverage.MOST`` at most. Which half
    one is in, a hash of its text says.

    Parameters
    ----------
    retriever : Retriever
        Of triples.
    lookahead : Potential
    asked : sequence of Question
        Not those that it shall be scored on. Ten or more that the base does not answer (``absent``)
        stand for all such questions, in the share that they have here; if there are fewer, each
        question is also taken as if its key, and its subject, were not in the base.
    start : Calibration
        What weights and temperature are pulled towards, more the fewer questions there are.
    none : float
        The share of questions that the base does not answer, where too few are given.
    what : str
        What questions these are.

    Raises
    ------
    InputError
        Fewer than ``FEWEST`` questions have an answer that is found, or the index has no triples.
    """
    search_of(retriever)
    removed = sum(one.absent for one in asked) < FEWEST_ABSENT
    shuffled = sorted(usable(asked), key=lambda one: blake2b(one.text.encode()).digest())
    found, taken = _for_fit(retriever, lookahead, start, shuffled, removed)
    fitted = shuffled[:taken]
    used = {one.text for one in fitted}
    rest = [one for one in shuffled[taken:] if one.text not in used]
    known = _found(found)
    if known < FEWEST:
        raise too_few(known, "an answer that was found in the index")
    made = [case.kind in (NO_KEY, NO_SUBJECT) for case in found]
    each = none / (1 - none) * (len(found) - sum(made)) / max(1, sum(made))
    weights = np.where(made, each, 1.0)
    part = np.array([case.number % FOLDS for case in found])
    after = np.zeros(len(found))
    for fold in range(FOLDS):
        others, these = np.flatnonzero(part != fold), np.flatnonzero(part == fold)
        partly = fit([found[n] for n in others.tolist()], weights[others], start)
        after[these] = losses([found[n] for n in these.tolist()], partly)
    before = losses(found, start)
    done = fit(found, weights, start)
    if rest:
        done = replace(done, sets=measured(retriever, lookahead, rest, done, what))
    absent = sum(one.absent for one in fitted)
    return Calibrated(
        done,
        known,
        len(fitted) - absent - known,
        absent,
        float(weights @ before / weights.sum()),
        float(weights @ after / weights.sum()),
    )


def _for_fit(
    retriever: Retriever,
    lookahead: Potential,
    start: Calibration,
    asked: Sequence[Question],
    removed: bool,
) -> tuple[list[Case], int]:
    """Cases of the first questions, as many as the fit takes, and how many these are."""
    found: list[Case] = []
    half = max((len(asked) + 1) // 2, len(asked) - MOST)
    taken, stop = 0, half
    while taken < stop:
        for case in cases(retriever, lookahead, start, asked[taken:stop], removed=removed):
            found.append(replace(case, number=case.number + taken))
        taken = stop
        stop = min(len(asked), taken + max(0, FEWEST - _found(found)))
    return found, taken


def _found(some: Sequence[Case]) -> int:
    """How many have an answer that was found."""
    return sum(case.kind == KNOWN and case.right is not None for case in some)


def losses(found: Sequence[Case], calibration: Calibration) -> Floats:
    """float64 [n]: -log P(what is right) of each case, in nats."""
    told = np.zeros(len(found))
    weights = np.array([calibration.weights.get(name, 0.0) for name in FEATURES])
    for number, case in enumerate(found):
        # Without weights, "none of these" is taken to be as rare as float64 tells from never.
        odds = float(case.features @ weights) if calibration.weights else LOWEST
        if case.right is None:
            told[number] = np.logaddexp(0, -odds)
        else:
            scores = case.scores / calibration.temperature
            share = np.logaddexp.reduce(scores) - scores[case.right]
            told[number] = share + np.logaddexp(0, odds)
    return told


def calibrated_index(
    questions: Questions,
    index: Path,
    *,
    model: str,
    lookahead: str,
    none: float,
    device: str,
    dtype: Dtype,
    threads: int | None,
) -> tuple[Calibrated, Path]:
    """Calibrate an index on what ``check_calibration`` read; the result is written beside it.

    Raises
    ------
    InputError
        As ``calibrate``, or the model cannot be used.
    """
    ahead = lookahead_named(lookahead, model)
    assert ahead is not None  # ``check_calibration`` refuses "none"
    retriever = opened(model, index, prompt=None, device=device, dtype=dtype, threads=threads)
    start: Calibration = getattr(ahead, "calibration", UNFITTED)
    with busy(f"calibrating on {counted(len(questions.asked), 'question')}"):
        done = calibrate(
            retriever, ahead, questions.asked, start=start, none=none, what=questions.path.name
        )
    about = {
        **origin(index, model, ahead),
        "questions": questions.digest,
        "known": str(done.known),
    }
    done = replace(done, calibration=replace(done.calibration, about=about))
    path = calibration_file(index)
    done.calibration.save(path)
    return done, path
