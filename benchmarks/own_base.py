"""Whether training pays on a small base of one's own: beside the included model and strings.

    python benchmarks/own_base.py train_2016.jsonl -o runs/ --minutes 5 --seeds 0 1 2

The base holds 300 triples of a file of questions: those of the subjects whose sha256 is lowest, all
triples of a subject together until there are 300. With ``--rivals``, each subject has 6 to 14 other
predicates as well, drawn from the whole file with objects of others, as the bases of NLPCC 2018 are
made: what a question asks for must then be told apart.

With ``--codes`` it is a base with a vocabulary of its own: the triples have the 75 commonest
predicates of the file, each written as a code (P01), and each subject has others of these besides,
with objects of their kind. What a code means only the training questions and the objects say.

For each seed, 200 of the 300 questions are to train with, and 100 to test, by the sha256 of the
seed and the question. ``ergotext train`` sees the first alone; nothing is set but the time. Of the
100 the script prints EMF1 of the first answers, whatever their probability; the same with those
counted as lost that ``ergotext retrieve`` withholds, as "none of these" is likelier; and how many
of 100 questions about other subjects, which the base does not answer, get one all the same.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import time
from collections import Counter, defaultdict
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch

from ergotext.lm.trie.opening import opened
from ergotext.support.arrays import Floats
from ergotext.tasks.datasets.kgclue.data import Question, Triple, read
from ergotext.tasks.datasets.kgclue.metrics import mark
from ergotext.tasks.index import build
from ergotext.tasks.training.retriever.comparison import STRINGS, answers, by_strings
from ergotext.tasks.training.retriever.defaults import INCLUDED
from ergotext.tasks.training.retriever.train import train_retriever

TRIPLES, TRAIN, CODES = 300, 200, 75


@dataclass(frozen=True)
class OwnBase:
    """The questions about the chosen subjects, and the lines of the base."""

    questions: list[Question]
    lines: list[str]


def chosen(every: list[Question], rivals: bool, typed: bool = False) -> OwnBase:
    """The base of the first subjects by their hash; objects of rivals may be their predicates'."""
    about: dict[str, dict[Triple, Question]] = defaultdict(dict)
    for one in every:
        if one.answer is not None:
            about[one.answer.subject].setdefault(one.answer, one)
    kept: dict[Triple, Question] = {}
    for subject in sorted(about, key=digest):
        kept |= about[subject]
        if len(kept) >= TRIPLES:
            break
    triples = dict.fromkeys(kept)
    if rivals:
        rng, answers = random.Random(0), [one.answer for one in every if one.answer is not None]
        for subject in dict.fromkeys(triple.subject for triple in kept):
            own = {triple.predicate for triple in kept if triple.subject == subject}
            for _ in range(rng.randint(6, 14)):
                other = rng.choice(answers)
                if other.predicate not in own:
                    own.add(other.predicate)
                    value = other.object if typed else rng.choice(answers).object
                    triples[Triple(subject, other.predicate, value)] = None
    lines = sorted("\t".join(triple) for triple in triples)
    return OwnBase([*kept.values()][:TRIPLES], lines)


@dataclass(frozen=True)
class Scored:
    """Percentages of each question.

    EMF1; EMF1 of what is shown; of questions that the base does not answer, whether they are.
    """

    first: Floats
    shown: Floats
    wrongly: Floats


@dataclass(frozen=True)
class Scores:
    """Of the new model, and of the included one."""

    new: Scored
    included: Scored


def coded(every: list[Question]) -> list[Question]:
    """Questions about the commonest predicates, which are codes."""
    counts = Counter(one.answer.predicate for one in every if one.answer)
    codes = {p: f"P{number:02}" for number, (p, _) in enumerate(counts.most_common(CODES), 1)}
    return [
        one._replace(answer=one.answer._replace(predicate=codes[one.answer.predicate]))
        for one in every
        if one.answer and one.answer.predicate in codes
    ]


def digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def parted(base: OwnBase, seed: int) -> tuple[list[Question], list[Question]]:
    """Questions to train with, and to test."""
    order = sorted(base.questions, key=lambda one: digest(f"{seed} {one.text}"))
    return order[:TRAIN], order[TRAIN:]


def written(path: Path, asked: list[Question]) -> Path:
    rows = [{"id": one.id, "question": one.text, "answer": str(one.answer)} for one in asked]
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_text(text, encoding="utf-8")
    return path


def run(base: OwnBase, others: list[Question], seed: int, folder: Path, minutes: float) -> Scores:
    """Train as a user would, and score the test questions."""
    folder.mkdir(parents=True)
    (folder / "kb.tsv").write_text("\n".join(base.lines) + "\n", encoding="utf-8")
    index = folder / "kb.ergo"
    build(folder / "kb.tsv", index, tokenizer=INCLUDED)
    first, test = parted(base, seed)
    questions = written(folder / "questions.jsonl", first)
    began, cpu = time.monotonic(), seconds()
    done = train_retriever(questions, index, folder / "mine", minutes=minutes)
    print(done.text())
    print(f"wall {time.monotonic() - began:.0f} s, processor {seconds() - cpu:.0f} s")
    found = {
        name: scored(name, done.index, test, others) for name in (str(folder / "mine"), INCLUDED)
    }
    told = by_strings(opened(done.index, None)[0], [one.text for one in test])
    strings = mark([one.answer for one in test if one.answer], told)
    print(f"seed {seed}: {STRINGS} {100 * strings.emf1.mean():.1f}")
    return Scores(*found.values())


def scored(model: str, index: Path, test: list[Question], others: list[Question]) -> Scored:
    """The scores of a model."""
    told, shown = answers(model, index, [one.text for one in test], "cpu")
    marks = 100 * mark([one.answer for one in test if one.answer], told).emf1
    _, wrongly = answers(model, index, [one.text for one in others], "cpu")
    found = Scored(marks, marks * np.array(shown), 100.0 * np.array(wrongly))
    print(
        f"{model}: EMF1 {found.first.mean():.1f}, shown {found.shown.mean():.1f}; of "
        f"{len(others)} about other subjects answered {sum(wrongly)}",
        flush=True,
    )
    return found


def seconds() -> float:
    """Processor seconds of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("questions", help="JSON lines of questions with triples")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--rivals", action="store_true")
    parser.add_argument("--codes", action="store_true")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    every = read(options.questions).asked
    if options.codes:
        every = coded(every)
    base = chosen(every, options.rivals or options.codes, typed=options.codes)
    about = {one.answer.subject for one in base.questions if one.answer}
    others = [one for one in every if one.answer and one.answer.subject not in about]
    others = sorted(others, key=lambda one: digest(one.text))[: len(base.questions) - TRAIN]
    print(f"{len(base.lines)} triples, {len(base.questions)} questions")
    found = [
        run(base, others, seed, options.output / str(seed), options.minutes)
        for seed in options.seeds
    ]
    for name in ("first", "shown", "wrongly"):
        new, old = (
            np.concatenate([getattr(getattr(one, which), name) for one in found])
            for which in ("new", "included")
        )
        gap = new - old
        error = gap.std(ddof=1) / np.sqrt(len(gap))
        print(
            f"all seeds, {name}: new {new.mean():.2f}, {INCLUDED} {old.mean():.2f}, difference "
            f"{gap.mean():.2f} (standard error {error:.2f})"
        )


if __name__ == "__main__":
    main()
