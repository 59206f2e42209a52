"""How well calibrated a retriever's answers are, beside a perfect forecaster with the same numbers.

    python benchmarks/calibration.py answers model/ kb.ergo dev.json shift.jsonl unanswerable.jsonl
    python benchmarks/calibration.py sets model/ kb.ergo held_out.jsonl
    python benchmarks/calibration.py alone model/ kb.ergo dev.json

``answers``: of each file of questions the scores, forced and withheld; the expected calibration
error, and between which values it would lie, 95 times in a hundred, if every answer were right with
exactly its probability; and the share answered at 95% precision. Questions with an empty answer are
not answered by the base: how many get an answer, and with what probability.

``sets``: how often answer sets hold the right entry, and how large they are. First with the stored
calibration as it is; then, over 100 random halves of the file, with sets that were measured on one
half and are scored on the other. If the search did not find the right entries of more questions
than may be missed, nothing can be promised; in how many of the splits is said.

``alone``: whether any temperature can mend the probability that the model alone gives its answer.
The answer is chosen by model and look-ahead together, its probability is p(key | question)^(1/T)
over that of all keys of the base. Over fewer keys, the candidates of the question alone, it can
only be higher: the mean of these over the questions is a bound, and the expected calibration error
is at least how often answers are right less that bound (by the triangle inequality over its bins).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from ergotext import Retriever, load, load_lookahead
from ergotext.lm.seq2seq import Seq2SeqLM
from ergotext.support.arrays import Floats
from ergotext.tasks.datasets.kgclue.data import Triple, read
from ergotext.tasks.datasets.kgclue.metrics import mark
from ergotext.tasks.evaluation.calibration import abstention, reliability
from ergotext.tasks.evaluation.coverage import SetOutcome, outcomes
from ergotext.tasks.retrieval.candidates import Spotter
from ergotext.tasks.retrieval.coverage import SetScores
from ergotext.tasks.retrieval.lookahead.learned import Matched
from ergotext.tasks.retrieval.notes import WITHHELD
from ergotext.tasks.retrieval.results import Hit
from ergotext.tasks.training.seq2seq.dev import DevSet
from ergotext.tasks.training.seq2seq.scoring import Coder

TEMPERATURES = (0.01, 0.03, 0.1, 0.3, 0.5, 1, 1.5, 2, 3, 4, 8, 16, 32)


LEVELS = (0.9, 0.95, 0.98)
SPLITS = 100


def perfect(probability: Floats, count: int = 2000) -> tuple[float, float]:
    """Between which values 95% of the calibration errors of a perfect forecaster lie."""
    rng = np.random.default_rng(0)
    errors = [
        reliability(probability, rng.random(len(probability)) < probability).error
        for _ in range(count)
    ]
    low, high = np.quantile(errors, [0.025, 0.975])
    return float(low), float(high)


def at_precision(probability: Floats, right: NDArray[np.bool_], precision: float) -> float:
    """The largest share of questions of which so many are right, the surest first."""
    curve = abstention(probability, right.astype(float))
    return float(curve.share[curve.score >= precision].max(initial=0.0))


def answers(retriever: Retriever, ahead: Matched, path: str, limit: int | None) -> None:
    every = read(path).asked
    count = min(limit or len(every), len(every))
    asked = [every[number * len(every) // count] for number in range(count)]
    texts = [one.text for one in asked]
    hits = retriever.retrieve(texts, 1, lookahead=ahead, threshold=0)
    probability = np.array([one[0].probability if one else 0.0 for one in hits])
    answered = np.array([bool(one) and not one.none >= WITHHELD for one in hits])
    absent = np.array([one.absent for one in asked])
    if absent.any():
        p = probability[absent]
        print(
            f"{path}: {absent.sum()} questions that the base does not answer: "
            f"{(answered & absent).sum()} answered; forced, {(p >= 0.5).sum()} with probability "
            f"0.5 or more, {(p >= 0.9).sum()} with 0.9"
        )
    gold = [one.answer for one in asked if one.answer is not None]
    if not gold:
        return
    known = ~absent
    told = [_entry(one) for one, some in zip(hits, known, strict=True) if some]
    marks = mark(gold, told)
    p, kept = probability[known], answered[known]
    lost = ~kept & (p > 0)
    low, high = perfect(p)
    print(
        f"{path}: {len(gold)} questions, EMF1 {100 * marks.emf1.mean():.1f}, "
        f"{100 * (marks.emf1 * kept).mean():.1f} if withheld answers are lost "
        f"({lost.sum()} withheld, {(lost & marks.right).sum()} of them right); calibration error "
        f"{reliability(p, marks.right).error:.3f}, a perfect forecaster {low:.3f} to {high:.3f}; "
        f"mean probability {p.mean():.3f}, right {marks.right.mean():.3f}; at 95% precision "
        f"{100 * at_precision(p, marks.right, 0.95):.0f}% answered"
    )


def sets(retriever: Retriever, ahead: Matched, path: str, limit: int | None) -> None:
    every = read(path).asked
    count = min(limit or len(every), len(every))
    asked = [every[number * len(every) // count] for number in range(count)]
    found = outcomes(retriever, ahead, asked, ahead.calibration)
    stored = ahead.calibration.sets
    print(f"{path}: {len(found)} questions")
    for level in LEVELS:
        if stored is not None and level <= stored.most:
            held, size = scored(found, stored.least(level))
            print(f"  {level}, as stored: coverage {held:.3f}, mean size {size:.2f}")
        print(f"  {level}, {SPLITS} splits: {split(found, level)}")


def scored(found: Sequence[SetOutcome], least: float) -> tuple[float, float]:
    """Coverage and mean size of sets."""
    told = np.array([one.set(least) for one in found], dtype=float)
    return float(told[:, 1].mean()), float(told[:, 0].mean())


def split(found: Sequence[SetOutcome], level: float) -> str:
    """Coverage and size where sets are measured on one random half, and scored on the other."""
    rng = np.random.default_rng(0)
    told = []
    for _ in range(SPLITS):
        order = rng.permutation(len(found)).tolist()
        first, second = order[: len(order) // 2], order[len(order) // 2 :]
        measured = SetScores.of(found[number].told for number in first)
        if level <= measured.most:
            told.append(scored([found[number] for number in second], measured.least(level)))
    if not told:
        return "cannot be promised in any"
    held, size = np.array(told).T
    error = held.std(ddof=1) / np.sqrt(len(told)) if len(told) > 1 else np.nan
    return (
        f"coverage {held.mean():.4f} (standard error {error:.4f}; {held.min():.3f} to "
        f"{held.max():.3f}), mean size {size.mean():.2f}; in {SPLITS - len(told)} splits it cannot "
        "be promised"
    )


def _entry(hits: Sequence[Hit]) -> str:
    return str(Triple(*hits[0].fields.values(), hits[0].values[0])) if hits else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["answers", "sets", "alone"])
    parser.add_argument("model", help="folder, or the name of one in the package")
    parser.add_argument("index", help="in the model's tokens")
    parser.add_argument("questions", nargs="+")
    parser.add_argument("--limit", type=int, help="questions of each file, spread evenly over it")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    lm, ahead = load(options.model, device="cpu"), load_lookahead(options.model)
    assert isinstance(lm, Seq2SeqLM) and lm.tokenizer is not None
    retriever = Retriever(lm, options.index)
    for path in options.questions:
        if options.what == "answers":
            answers(retriever, ahead, path, options.limit)
        elif options.what == "sets":
            sets(retriever, ahead, path, options.limit)
        else:
            alone(lm, retriever, ahead, path)


def alone(lm: Seq2SeqLM, retriever: Retriever, ahead: Matched, path: str) -> None:
    trie = retriever.trie
    assert lm.tokenizer is not None
    seen = DevSet.of(read(path).asked, trie)
    keys, _ = Spotter(trie, triples=True).find(seen.questions)
    told = [""] * len(keys)
    highest = np.zeros((len(TEMPERATURES), len(keys)))
    for number, scores in seen.log_prob(lm.model, Coder(lm.tokenizer)):
        log_prob = scores.double()
        best = int(np.argmax(log_prob.numpy() + ahead(seen.questions[number], keys[number])))
        told[number] = str(seen.rivals[number].answers[best])
        for row, temperature in zip(highest, TEMPERATURES, strict=True):
            row[number] = (log_prob / temperature).softmax(0)[best]
    right = mark(seen.gold, told).right.mean()
    print(f"{len(keys)} questions, {100 * right:.2f}% right\n")
    print("| temperature | mean probability at most | calibration error at least |")
    print("|---|---|---|")
    for temperature, mean in zip(TEMPERATURES, highest.mean(1), strict=True):
        print(f"| {temperature:g} | {mean:.3f} | {max(right - mean, 0):.3f} |")


if __name__ == "__main__":
    main()
