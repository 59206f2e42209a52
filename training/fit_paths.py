"""Fit how likely a path of two entries is the answer, where no single entry is.

    python training/fit_paths.py model

To run after ``fit_calibration.py``. The questions are those of two steps of ``step_questions.py``
to ``examples/facts.tsv``, whole and without the second entries of half of these questions.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from fit_calibration import MADE
from scipy.optimize import minimize
from step_questions import Asked, Facts, every_question, read_facts

import ergotext as et
from ergotext.support.arrays import Floats
from ergotext.tasks.index import build
from ergotext.tasks.retrieval.bearing import QuestionKey
from ergotext.tasks.retrieval.calibration import NAME, PATHS
from ergotext.tasks.retrieval.lookahead.learned import Matched
from ergotext.tasks.retrieval.retriever import Retriever
from ergotext.tasks.retrieval.shortlist import shortlisted
from ergotext.tasks.retrieval.two_steps import EntryPath, TwoSteps

PENALTY = 0.3


def outcomes(
    retriever: Retriever, ahead: Matched, asked: Sequence[Asked], facts: Facts
) -> Iterator[tuple[Floats, int | None]]:
    """The features [n, len(PATHS)] of the paths of each question, and which is right, if any."""
    steps = TwoSteps(retriever.spotter, retriever.schema, ahead, ahead.calibration)
    short = shortlisted(retriever.spotter, [one.text for one in asked], ahead)
    assert short.potentials is not None
    for one, keys, values in zip(asked, short.candidates, short.potentials, strict=True):
        if not len(keys):
            continue
        (found,) = steps([QuestionKey(one.text, keys, int(np.argmax(values)))], [values])
        if found:
            right = [n for n, path in enumerate(found) if is_answer(path, one, facts)]
            yield np.array([path.features for path in found]), (right or [None])[0]


def is_answer(path: EntryPath, asked: Asked, facts: Facts) -> bool:
    """Whether a path is that of a question, and its second entry is in the base."""
    if len(asked.answer) < 4:
        return False
    _, first, value, second = asked.answer
    told = (path.first.keys.parted(path.first.key)[0], path.value,
            path.second.keys.parted(path.second.key)[0])  # fmt: skip
    return told == (first, value, second) and second in facts.get(value, {})


def fit(found: Sequence[tuple[Floats, int | None]]) -> Floats:
    """v of P(path i | no single entry) = exp(v · ψ_i) / (1 + Σ exp(v · ψ))."""
    fixed = np.full(len(PATHS), PENALTY)
    fixed[0] = 0.0

    def loss(v: Floats) -> tuple[float, Floats]:
        value, slope = 0.5 * fixed @ v**2, fixed * v
        for features, right in found:
            odds = np.append(features @ v, 0.0)
            total = np.logaddexp.reduce(odds)
            value += total - odds[len(features) if right is None else right]
            slope = slope + features.T @ np.exp(odds[:-1] - total)
            if right is not None:
                slope = slope - features[right]
        return float(value), slope

    done: Floats = minimize(loss, np.zeros(len(PATHS)), jac=True, method="L-BFGS-B").x
    return done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model", type=Path, help="folder of the model and its look-ahead")
    here = Path(__file__).parent
    parser.add_argument("--triples", type=Path, default=here.parent / "examples" / "facts.tsv")
    options = parser.parse_args()
    torch.set_num_threads(1)
    facts, ahead = read_facts(options.triples), Matched.load(options.model)
    asked = [one for _, one in every_question(here, facts, MADE) if one.kind != "known"]
    lm = et.load(str(options.model), device="cpu")
    found: list[tuple[Floats, int | None]] = []
    with TemporaryDirectory() as folder:
        for less in (False, True):
            left = {one: dict(held) for one, held in facts.items()}
            if less:
                for one in asked:
                    if len(one.answer) == 4 and sha256(one.text.encode()).digest()[0] % 2:
                        left[one.answer[2]].pop(one.answer[3], None)
            lines, index = Path(folder) / "facts.tsv", Path(folder) / "facts.ergo"
            rows = [(s, p, o) for s, held in left.items() for p in held for o in held[p]]
            lines.write_text("".join("\t".join(row) + "\n" for row in rows), encoding="utf-8")
            build(lines, index, tokenizer=str(options.model))
            found += outcomes(et.Retriever(lm, index), ahead, asked, left)
    fitted = fit(found)
    weights = {name: round(value, 4) for name, value in zip(PATHS, fitted.tolist(), strict=True)}
    replace(ahead.calibration, paths=weights).save(options.model / NAME)
    print(len(found), sum(right is not None for _, right in found), weights)


if __name__ == "__main__":
    main()
