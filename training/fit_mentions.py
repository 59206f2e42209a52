"""Fit how mentions of a question are weighed beside the look-ahead, and write mentions.json.

And how far the look-ahead reaches: which mentions need not be read where another one is sure.

The questions are training questions: as they are, with a wrong letter in the subject, with a part
of it, or asked the other way round for their objects. Those that do not hold their subject as they
are count twice. The base must hold their triples, each object in few of them (``base``):

    python training/fit_mentions.py base kb.tsv train_2016.jsonl -o base.tsv
    ergotext index build base.tsv -o base.ergo --tokenizer model
    python training/fit_mentions.py fit model -i base.ergo train.json train_2016.jsonl

Dev questions and those of other tests are never read.
"""

from __future__ import annotations

import argparse
import json
import random
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

import ergotext as et
from ergotext.tasks.datasets.kgclue.data import Question, Triple, read
from ergotext.tasks.retrieval.candidates import Candidates, Spotter
from ergotext.tasks.retrieval.lookahead.learned import Matched
from ergotext.tasks.retrieval.lookahead.mentions import ALIKE, FEATURES, NAME, features
from ergotext.tasks.training.lookahead.pairs import parts

PRIOR = 4.0
"""Nats for subjects that stand as written, beyond the fit: a question out of two of these does not
hold its subject as written, but far fewer of real ones."""
LOST = 1e-3
"""Share of the questions that may lose their answer to the reach."""
SHARES = {
    "plain": 1 / 2,
    "real": 1 / 4,
    "misspelt": 1 / 12,
    "shortened": 1 / 12,
    "reversed": 1 / 12,
}
COMMON = "的一是不了人在有我他这中大来上国家年出时学生地多城区"
WAYS = (
    "谁的{p}是{o}？", "什么的{p}是{o}？", "{p}是{o}的是谁？", "{p}为{o}的是什么？",
    "{o}是谁的{p}？", "{o}是什么的{p}", "哪一个的{p}是{o}呢？",
)  # fmt: skip


@dataclass(frozen=True)
class Lesson:
    """The candidates of a question: look-ahead [n], features [n, F], and the right one."""

    kind: str
    ahead: torch.Tensor
    told: torch.Tensor
    right: int


def variants(question: str, answer: Triple, rng: random.Random) -> Iterator[tuple[str, str]]:
    """A question written in other ways, each with its kind."""
    name, _ = parts(answer.subject)
    yield ("plain" if name in question else "real"), question
    if name in question and len(name) >= 3:
        yield "misspelt", question.replace(name, misspelt(name, rng))
    if name in question and len(name) >= 4:
        yield "shortened", question.replace(name, shortened(name, rng))
    if 3 <= len(answer.object) <= 30 and not re.search("[、；，/;]", answer.object):
        yield "reversed", rng.choice(WAYS).format(p=answer.predicate, o=answer.object)


def misspelt(name: str, rng: random.Random) -> str:
    letters = "abcdefghijklmnopqrstuvwxyz" if name.isascii() else COMMON
    at, way = rng.randrange(len(name)), rng.random()
    return name[:at] + (rng.choice(letters) if way < 0.8 else "") + name[at + (way > 0.2) :]


def shortened(name: str, rng: random.Random) -> str:
    if "·" in name and rng.random() < 0.7:
        return rng.choice([part for part in name.split("·") if part])
    count = max(2, round(len(name) * rng.uniform(0.4, 0.8)))
    if rng.random() < 0.6:
        start = rng.choice([0, len(name) - count, rng.randint(0, len(name) - count)])
        return name[start : start + count]
    return "".join(name[at] for at in sorted(rng.sample(range(len(name)), count)))


def lessons(
    asked: list[Question], spotter: Spotter, ahead: Matched, rng: random.Random
) -> Iterator[Lesson]:
    """Of each question and its variants, if the right key is among the candidates."""
    rows = [
        (kind, text, one.answer)
        for one in asked
        if one.answer is not None
        for kind, text in variants(one.text, one.answer, rng)
    ]
    for first in range(0, len(rows), 32):
        some = rows[first : first + 32]
        texts = [text for _, text, _ in some]
        found, _ = spotter.find(texts, other_letters=True, near="always")
        for (kind, _, answer), keys, scores in zip(
            some, found, ahead.many(texts, found), strict=True
        ):
            right = place(keys, answer)
            if right is not None and scores[right] > -np.inf:
                kept = np.flatnonzero(scores > -np.inf)
                each = np.array([features(mention) for mention in keys.mentions])
                yield Lesson(
                    kind, torch.tensor(scores[kept]), torch.tensor(each[keys.mention[kept]]),
                    int(np.searchsorted(kept, right)),
                )  # fmt: skip


def place(keys: Candidates, answer: Triple) -> int | None:
    """Where the answer's key is among the candidates."""
    name, meaning = parts(answer.subject)
    rest = f"{answer.predicate}\t{meaning}" if meaning else answer.predicate
    for number, one in enumerate(keys.rests):
        if one == rest and keys.mentions[keys.mention[number]].subject == name:
            return number
    return None


def fitted(learned: list[Lesson], penalty: float = 1e-3) -> dict[str, float]:
    """Weights in nats of the look-ahead, by maximum likelihood of the right key."""
    counts = Counter(lesson.kind for lesson in learned)
    ahead = torch.cat([lesson.ahead for lesson in learned])
    told = torch.cat([lesson.told for lesson in learned])
    sizes = torch.tensor([len(lesson.ahead) for lesson in learned])
    row = torch.repeat_interleave(torch.arange(len(learned)), sizes)
    right = sizes.cumsum(0) - sizes + torch.tensor([lesson.right for lesson in learned])
    share = torch.tensor([SHARES[one.kind] / counts[one.kind] for one in learned]).double()
    weights = torch.zeros(len(FEATURES), dtype=torch.float64, requires_grad=True)
    scale = torch.ones(1, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([weights, scale], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        score = scale * ahead + told @ weights
        most = torch.full((len(learned),), -torch.inf, dtype=torch.float64)
        most = most.scatter_reduce(0, row, score.detach(), "amax")
        mass = torch.zeros_like(most).index_add(0, row, (score - most[row]).exp())
        value = (share * (mass.log() + most - score[right])).sum() / share.sum()
        value = value + penalty * (weights**2).sum()
        value.backward()
        return value

    optimizer.step(loss)
    found = dict(zip(FEATURES, (weights / scale).tolist(), strict=True))
    found["exact"] += PRIOR / scale.item()
    return {name: round(value, 4) for name, value in found.items()}


def reach_of(learned: list[Lesson], weights: dict[str, float]) -> float:
    """The least whole number of nats that costs at most ``LOST`` of the questions their answer.

    ``MentionWeights.reach``: keys whose mention does not stand as written are read only if its
    weight and the reach come up to the best of the others.
    """
    vector = torch.tensor([weights[name] for name in FEATURES], dtype=torch.float64)
    needed = []
    for lesson in learned:
        weight = lesson.told @ vector
        score, sure = lesson.ahead + weight, lesson.told[:, FEATURES.index("exact")] == 1
        if not sure[lesson.right] and int(score.argmax()) == lesson.right and sure.any():
            needed.append(float(score[sure].max() - weight[lesson.right]))
    print("most reach needed:", [round(one, 2) for one in sorted(needed)[:-20:-1]])
    return float(np.ceil(sorted(needed)[-1 - int(LOST * len(learned))]))


def write_base(kb: Path, questions: Path, output: Path, rng: random.Random) -> None:
    """The lines of a base, the triples of questions, and six to fourteen rivals of each subject."""
    lines = kb.read_text(encoding="utf-8").splitlines()
    known: dict[str, dict[str, str]] = {}
    for one in read(questions).asked:
        if one.answer is not None:
            known.setdefault(one.answer.subject, {})[one.answer.predicate] = one.answer.object
    more = []
    for subject, own in known.items():
        for _ in range(rng.randint(6, 14)):
            own.setdefault(rng.choice(lines).split("\t")[1], rng.choice(lines).split("\t")[2])
        more += ["\t".join((subject, *pair)) for pair in own.items()]
    rng.shuffle(more)
    output.write_text("\n".join([*lines, *more]) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    what = parser.add_subparsers(dest="what", required=True)
    base, fit = what.add_parser("base"), what.add_parser("fit")
    base.add_argument("kb", type=Path)
    base.add_argument("questions", type=Path)
    base.add_argument("-o", "--output", type=Path, required=True)
    fit.add_argument("model", type=Path, help="folder of the model and its look-ahead")
    fit.add_argument("questions", type=Path, nargs="+")
    fit.add_argument("-i", "--index", type=Path, required=True, help="in the model's tokens")
    fit.add_argument("--each", type=int, default=700, help="questions of each file")
    options, rng = parser.parse_args(), random.Random(0)
    if options.what == "base":
        write_base(options.kb, options.questions, options.output, rng)
        return
    torch.set_num_threads(1)
    lm = et.load(str(options.model), device="cpu")
    spotter = Spotter(et.Retriever(lm, options.index).trie, triples=True)
    ahead = replace(Matched.load(options.model), scale=1.0, mentions=ALIKE)
    asked: list[Question] = []
    for path in options.questions:
        every = list(read(path).asked)
        rng.shuffle(every)
        asked += every[: options.each]
        asked += [
            one for one in every[options.each :]
            if one.answer is not None and parts(one.answer.subject)[0] not in one.text
        ]  # fmt: skip
    learned = list(lessons(asked, spotter, ahead, rng))
    weights = fitted(learned)
    found = {"weights": weights, "reach": reach_of(learned, weights)}
    (options.model / NAME).write_text(json.dumps(found) + "\n", encoding="utf-8")
    print(json.dumps(found, indent=1), Counter(lesson.kind for lesson in learned))


if __name__ == "__main__":
    main()
