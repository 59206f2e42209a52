"""Fit the calibration of a retriever: temperature, and the share of "none of these".

    python training/fit_calibration.py model -i mentions.ergo --facts facts.ergo \
        --invented invented.ergo --kgclue train.json --nlpcc train_2016.jsonl

``mentions.ergo`` is the base of ``fit_mentions.py``. Questions that the base answers: those of both
files as they are, with a wrong letter in the subject or a part of it, and with a description of the
subject; and English ones about ``examples/facts.tsv`` (``questions_known_en.jsonl``), on which the
look-ahead was trained, and about things that do not exist (``questions_invented_en.jsonl``). Those
that it does not answer: the same without their key, and without their subject; questions of two
steps; questions of KgCLUE to the facts; and English ones about other things. One in twenty is of
these (``ABSENT``). Dev questions and those of other tests are never read.
"""

from __future__ import annotations

import argparse
import itertools
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from fit_mentions import misspelt, shortened
from step_questions import every_question, read_facts

import ergotext as et
from ergotext.lm.trie import TokenTrie
from ergotext.lm.trie.lines import Lines, key_text
from ergotext.tasks.datasets.kgclue.data import Question, Triple, read
from ergotext.tasks.evaluation.calibrate import fit
from ergotext.tasks.evaluation.cases import KNOWN, NO_KEY, NO_SUBJECT, NONE, Case, cases
from ergotext.tasks.retrieval.bearing import words_of
from ergotext.tasks.retrieval.calibration import NAME, Calibration
from ergotext.tasks.retrieval.lookahead.learned import Matched
from ergotext.tasks.training.sources import SUBJECT, read_templates

ABSENT = 0.05
"""Share of questions that the base does not answer."""
SHARES = {
    (KNOWN, "kgclue"): 0.31, (KNOWN, "nlpcc"): 0.31, (KNOWN, "described"): 0.10,
    (KNOWN, "renamed"): 0.10, (KNOWN, "rewritten"): 0.08, (KNOWN, "english"): 0.03,
    (KNOWN, "invented"): 0.03, (KNOWN, "own known en"): 0.02, (KNOWN, "own known zh"): 0.01,
    (KNOWN, "made known en"): 0.005, (KNOWN, "made known zh"): 0.005,
    (NO_KEY, ""): 0.16, (NO_SUBJECT, ""): 0.16, (NONE, "english"): 0.10, (NONE, "other base"): 0.04,
    (NONE, "two steps"): 0.12, (NONE, "own steps en"): 0.08, (NONE, "own steps zh"): 0.06,
    (NONE, "made steps en"): 0.08, (NONE, "made steps zh"): 0.06,
    (NONE, "own missing en"): 0.05, (NONE, "own missing zh"): 0.03,
    (NONE, "made missing en"): 0.04, (NONE, "made missing zh"): 0.02,
}  # fmt: skip
"""What each kind counts, of the questions that the base answers and of the others."""
PENALTY = 0.3
ABOUT = {
    "questions": "KgCLUE train, NLPCC 2016, training/questions_{known,invented}_en.jsonl, "
    "questions_steps.tsv, and made ones (step_questions.py)",
    "seed": "0",
    "absent": str(ABSENT),
}
EACH = {"kgclue": 250, "nlpcc": 350, "described": 120, "renamed": 120, "rewritten": 100,
        "two steps": 120, "other base": 60}  # fmt: skip
RARE = 0.01
"""Share of questions that a word must stand in to be a usual one."""
TEMPERATURE = 24.0
"""What features are made with."""


POLITE = frozenset(
    ["tell", "me", "give", "know", "you", "like", "want", "he", "she", "they", "name", "please",
     "show", "find", "麻", "烦", "帮", "查", "描", "述"]
)  # fmt: skip
"""Usual words that templates have few of."""
MADE = 120
"""Questions of each kind that are made of templates, in each language."""


def name_of(answer: Triple) -> str:
    return key_text(answer.subject, answer.predicate).partition("\t")[0]


def usual_words(asked: Iterable[tuple[str, str, str]]) -> frozenset[str]:
    """Words of many questions, of each script; from questions, their names and predicates."""
    counts: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
    sizes = Counter[bool]()
    for question, name, predicate in asked:
        rest = words_of(question.replace(name, " "))
        spaced = 2 * sum(len(word) > 1 for word in rest) > len(rest)
        sizes[spaced] += 1
        counts[spaced].update(set(rest) - set(words_of(predicate)))
    return frozenset(
        word
        for spaced, found in counts.items()
        for word, count in found.items()
        if count >= max(2, RARE * sizes[spaced])
    )


def described(one: Question, trie: TokenTrie, rng: random.Random) -> str:
    """A question that says something of its subject besides."""
    assert one.answer is not None
    name = name_of(one.answer)
    others = [
        pair
        for pair in facts_of(trie, name)
        if pair[0] != one.answer.predicate and len(pair[1]) < 12
    ]
    if not others:
        return one.text
    predicate, value = rng.choice(others)
    way = rng.choice(("{o}的{s}", "{p}是{o}的{s}", "{o}{s}"))
    return one.text.replace(name, way.format(s=name, p=predicate, o=value))


def spread(path: Path) -> list[Question]:
    """Questions with answers, in an order that hangs on their texts alone."""
    known = [one for one in read(path).asked if one.answer is not None]
    return sorted(known, key=lambda one: sha256(one.text.encode()).digest())


def questions(kgclue: Path, nlpcc: Path, trie: TokenTrie) -> Iterator[tuple[str, list[Question]]]:
    """Questions of each kind about the base."""
    rng = random.Random(0)

    def held(one: Question) -> bool:
        return one.answer is not None and name_of(one.answer) in one.text

    def name(one: Question) -> str:
        assert one.answer is not None
        return name_of(one.answer)

    first, second = spread(kgclue), spread(nlpcc)
    yield "kgclue", first[: EACH["kgclue"]]
    yield "nlpcc", second[: EACH["nlpcc"]]
    yield "renamed", [q for q in second[EACH["nlpcc"] :] if not held(q)][: EACH["renamed"]]
    more = [one for one in first[EACH["kgclue"] : 3000] + second[EACH["nlpcc"] : 3000] if held(one)]
    rng.shuffle(more)
    yield (
        "described",
        [one._replace(text=described(one, trie, rng)) for one in more[: EACH["described"]]],
    )
    rows: list[Question] = []
    for one in more[EACH["described"] : -EACH["two steps"]]:
        if len(rows) < EACH["rewritten"] and len(name(one)) >= 4:
            way = misspelt if len(rows) % 3 == 0 else shortened
            rows.append(one._replace(text=one.text.replace(name(one), way(name(one), rng))))
    yield "rewritten", rows
    pairs = zip(more[-EACH["two steps"] :], more[: EACH["two steps"]], strict=True)
    yield "two steps", [
        one._replace(text=one.text.replace(name(one), step(name(other), trie, rng)), answer=None,
                     absent=True)
        for one, other in pairs
    ]  # fmt: skip
    last = first[-EACH["other base"] :]
    yield "other base", [one._replace(answer=None, absent=True) for one in last]


def step(name: str, trie: TokenTrie, rng: random.Random) -> str:
    return f"{name}的{rng.choice(facts_of(trie, name))[0]}"


def facts_of(trie: TokenTrie, name: str) -> list[tuple[str, str]]:
    """Predicates and first objects of a subject."""
    assert trie.tokenizer is not None
    return [
        (trie.tokenizer.decode(key).split("\t")[1], values[0])
        for key, values in trie.items(name + "\t")
    ]


def weights_of(found: list[tuple[str, Case]]) -> np.ndarray:
    """What each case counts."""
    keys = [(case.kind, "" if case.kind in (NO_KEY, NO_SUBJECT) else kind) for kind, case in found]
    counts = Counter(keys)
    share = {KNOWN: 1 - ABSENT}
    each = [SHARES[key] * share.get(key[0], ABSENT) / counts[key] for key in keys]
    return len(found) * np.array(each) / sum(each)


def step_questions(options: argparse.Namespace) -> dict[str, list[Question]]:
    """Own and made questions of ``step_questions``, by kind and language."""
    found: dict[str, list[Question]] = defaultdict(list)
    number = itertools.count()
    every = every_question(options.templates.parent, read_facts(options.triples), MADE)
    for source, one in every:
        known = one.kind == "known"
        answer = Triple(*one.answer, "") if known else None
        asked = Question(next(number), 0, one.text, answer, absent=not known)
        found[f"{source} {one.kind} {one.language}"].append(asked)
    return found


def gathered(options: argparse.Namespace) -> tuple[Calibration, list[tuple[str, Case]]]:
    """All cases, and the calibration that they were made with."""
    lm, ahead = et.load(str(options.model), device="cpu"), Matched.load(options.model)
    asked = dict(questions(options.kgclue, options.nlpcc, et.Retriever(lm, options.index).trie))
    english = read(options.english).asked
    absent = [one for one in english if one.absent]
    invented = read(options.english.with_name("questions_invented_en.jsonl")).asked
    plain = [
        (q.text, name_of(q.answer), q.answer.predicate)
        for kind in ("kgclue", "nlpcc", "renamed")
        for q in asked[kind]
        if q.answer
    ]
    plain += [
        (one.text, SUBJECT, one.predicate) for one in read_templates([options.templates], Lines())
    ]
    start = Calibration(TEMPERATURE, {}, usual_words(plain) | POLITE, TEMPERATURE)
    found: list[tuple[str, Case]] = []
    for index, some in (
        (options.index, {k: v for k, v in asked.items() if k != "other base"}),
        (
            options.facts,
            {"english": english, "other base": asked["other base"], **step_questions(options)},
        ),
        (options.invented, {"invented": invented, "english": absent}),
    ):
        retriever = et.Retriever(lm, index)
        for kind, each in some.items():
            both = "steps" not in kind and kind not in ("described", "other base")
            found += [(kind, one) for one in cases(retriever, ahead, start, each, removed=both)]
            print(f"{kind}: {len(found):,} cases so far", flush=True)
    return start, found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model", type=Path, help="folder of the model and its look-ahead")
    parser.add_argument("-i", "--index", type=Path, required=True, help="of fit_mentions.py")
    parser.add_argument("--facts", type=Path, required=True, help="index of examples/facts.tsv")
    parser.add_argument("--invented", type=Path, required=True, help="index of invented_en.tsv")
    parser.add_argument("--kgclue", type=Path, required=True, help="its training questions")
    parser.add_argument("--nlpcc", type=Path, required=True, help="its questions of 2016")
    here = Path(__file__).parent
    parser.add_argument("--english", type=Path, default=here / "questions_known_en.jsonl")
    parser.add_argument("--triples", type=Path, default=here.parent / "examples" / "facts.tsv")
    parser.add_argument("--templates", type=Path, default=here / "questions_en.tsv")
    options = parser.parse_args()
    torch.set_num_threads(1)
    start, found = gathered(options)
    done = fit([case for _, case in found], weights_of(found), start, penalty=PENALTY)
    replace(done, about=ABOUT).save(options.model / NAME)
    print(Counter((kind, case.kind, case.right is not None) for kind, case in found))
    print(done.temperature, dict(done.weights))


if __name__ == "__main__":
    main()
