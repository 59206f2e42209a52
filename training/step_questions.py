"""Questions of two steps, about missing properties, and with an answer, to facts and templates.

``questions_steps.tsv`` has own ones about ``examples/facts.tsv``: their kind (``steps``,
``missing``, ``known``), the question and, where the facts hold the answer, its subject and
predicate and, of two steps, the object between and the second predicate. ``made`` makes more of
templates (``questions_{en,zh}.tsv``).
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ergotext.lm.trie.lines import Lines
from ergotext.tasks.training.sources import SUBJECT, read_templates

KINDS = ("steps", "missing", "known")
_NO_NOUN = ("by", "in", "at", "from", "of", "with", "for", "to", "after", "on")
Facts = Mapping[str, Mapping[str, Sequence[str]]]


class Asked(NamedTuple):
    """A question of a kind and, if the facts hold it, its answer: subject, predicate, …"""

    kind: str
    text: str
    answer: tuple[str, ...]

    @property
    def language(self) -> str:
        return "en" if _latin(self.text) else "zh"


def read_facts(path: Path) -> Facts:
    """Objects by subject and predicate."""
    found: dict[str, dict[str, list[str]]] = defaultdict(dict)
    for line in path.read_text(encoding="utf-8").splitlines():
        subject, predicate, value, *_ = line.split("\t")
        found[subject].setdefault(predicate, []).append(value)
    return found


def read_own(path: Path) -> list[Asked]:
    """The questions of a file like ``questions_steps.tsv``."""
    rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
    return [Asked(kind, text, tuple(filter(None, answer))) for kind, text, *answer in rows]


def made(
    facts: Facts, templates: Mapping[str, Sequence[str]], latin: bool, count: int
) -> list[Asked]:
    """About so many questions of each kind, of templates of each predicate.

    Parameters
    ----------
    facts : mapping
    templates : mapping of str to sequence of str
        Of each predicate questions with ``SUBJECT`` for the subject.
    latin : bool
        Whether about subjects in Latin letters, or the others.
    count : int
        Of two steps there are so many without an answer, and at most so many with one.
    """
    rng = random.Random(7)
    subjects = [one for one in sorted(facts) if _latin(_name(one)) == latin]
    names = sorted(templates)

    def ask(predicate: str, about: str) -> str:
        return rng.choice(templates[predicate]).replace(SUBJECT, about)

    found: list[Asked] = []
    for subject, predicate, value in _chains(facts, subjects, rng):
        inner = f"the {predicate} of {_name(subject)}"
        if not latin:
            inner = _name(subject) + rng.choice(("的", "")) + predicate
        held = facts.get(value, {})
        own = [one for one in held if one in templates]
        answered = sum(len(one.answer) > 0 for one in found)
        if own and answered < count:
            second = rng.choice(own)
            path = (subject, predicate, value, second)
            found.append(Asked("steps", ask(second, inner), path))
        elif len(found) - answered < count:
            second = rng.choice(names)
            if second not in held and second not in facts[subject]:
                found.append(Asked("steps", ask(second, inner), ()))
    for _ in range(count):
        subject, predicate = rng.choice(subjects), rng.choice(names)
        alike = {one for one in names if {*templates[one]} & {*templates[predicate]}}
        if alike.isdisjoint(facts[subject]):
            found.append(Asked("missing", ask(predicate, _name(subject)), ()))
    for _ in range(count):
        subject = rng.choice(subjects)
        if own := [one for one in facts[subject] if one in templates]:
            predicate = rng.choice(own)
            found.append(Asked("known", ask(predicate, _name(subject)), (subject, predicate)))
    return found


def every_question(folder: Path, facts: Facts, count: int) -> list[tuple[str, Asked]]:
    """Those of ``questions_steps.tsv`` in this folder ("own") and made ones, of both languages."""
    found = [("own", one) for one in read_own(folder / "questions_steps.tsv")]
    for language in ("en", "zh"):
        templates = defaultdict(list)
        for one in read_templates([folder / f"questions_{language}.tsv"], Lines()):
            templates[one.predicate].append(one.text)
        found += [("made", one) for one in made(facts, templates, language == "en", count)]
    return found


def _chains(facts: Facts, subjects: Sequence[str], rng: random.Random) -> list[tuple[str, ...]]:
    """Triples whose predicate is a noun, in any order."""
    found = [
        (subject, predicate, value)
        for subject in subjects
        for predicate, values in facts[subject].items()
        for value in values
        if _is_noun(predicate)
    ]
    rng.shuffle(found)
    return found


def _is_noun(predicate: str) -> bool:
    last = predicate.split()[-1]
    verbal = last in _NO_NOUN or last.endswith("ed")
    return not verbal and not predicate.startswith(("number", "year", "first"))


def _name(subject: str) -> str:
    return subject.partition("（")[0]


def _latin(text: str) -> bool:
    return all(ord(char) < 0x3000 for char in text)
