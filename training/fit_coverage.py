"""Measure how large answer sets must be, and note with what the calibration was fitted.

    python training/fit_coverage.py model -i mentions.ergo --nlpcc train_2016.jsonl

To run after ``fit_calibration.py``, whose questions it does not use: both take those of NLPCC 2016
in an order that hangs on their texts alone, this one from the 3,000th on. Half of the questions are
as they stand there; the others are harder, with the kinds and shares of ``fit_calibration.SHARES``:
with a description of the subject, with a subject in other words than the base has, and with a wrong
letter in it or a part of it. KgCLUE's are left out: the look-ahead was trained on them, so that
sets would come out too small. Dev questions and those of other tests are never read.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import torch
from fit_calibration import described, name_of, spread
from fit_mentions import misspelt, shortened

import ergotext as et
from ergotext.lm.trie import TokenTrie
from ergotext.tasks.datasets.kgclue.data import Question
from ergotext.tasks.evaluation.coverage import measured
from ergotext.tasks.retrieval.calibration import NAME
from ergotext.tasks.retrieval.lookahead.learned import Matched
from ergotext.tasks.retrieval.origin import model_digest

USED = 3000
"""Questions of the file, in this order, that may have been used to fit."""
EACH = {"nlpcc": 800, "described": 250, "renamed": 250, "rewritten": 200}
WHAT = "those of NLPCC 2016 to 400,000 triples that answer them, nearly half of them made harder"


def questions(nlpcc: Path, trie: TokenTrie) -> Iterator[Question]:
    """Questions of each kind about the base."""
    rng = random.Random(0)
    every = spread(nlpcc)[USED:]
    plain, others = every[: EACH["nlpcc"]], every[EACH["nlpcc"] :]
    yield from plain
    yield from [one for one in others if not _held(one)][: EACH["renamed"]]
    held = iter([one for one in others if _held(one)])
    for one in islice(held, EACH["described"]):
        yield one._replace(text=described(one, trie, rng))
    long = (one for one in held if len(_name(one)) >= 4)
    for number, one in enumerate(islice(long, EACH["rewritten"])):
        way = misspelt if number % 3 == 0 else shortened
        yield one._replace(text=one.text.replace(_name(one), way(_name(one), rng)))


def _name(one: Question) -> str:
    assert one.answer is not None
    return name_of(one.answer)


def _held(one: Question) -> bool:
    return _name(one) in one.text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model", type=Path, help="folder of the model and its look-ahead")
    parser.add_argument("-i", "--index", type=Path, required=True, help="of fit_mentions.py")
    parser.add_argument("--nlpcc", type=Path, required=True, help="its questions of 2016")
    options = parser.parse_args()
    torch.set_num_threads(1)
    ahead = Matched.load(options.model)
    about = {"model": model_digest(options.model), "lookahead": ahead.digest}
    done = replace(ahead.calibration, about={**ahead.calibration.about, **about}, sets=None)
    retriever = et.Retriever(et.load(str(options.model), device="cpu"), options.index)
    asked = list(questions(options.nlpcc, retriever.trie))
    sets = measured(retriever, ahead, asked, done, WHAT)
    replace(done, sets=sets).save(options.model / NAME)
    print(f"{sets.count} questions, {sets.first} right at once, {sets.lost} not found")
    for coverage in (0.9, 0.95, 0.98):
        if coverage <= sets.most:
            print(f"{coverage}: entries of {sets.least(coverage):.4f} or more")


if __name__ == "__main__":
    main()
