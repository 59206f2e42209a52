"""A retriever without a model: the predicate of the subject that shares most with the question."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from rapidfuzz.distance import Indel

from ergotext.lm.trie import load
from ergotext.lm.trie.lines import subject_and_predicate
from ergotext.tasks.evaluation.workers import Ask
from ergotext.tasks.retrieval.results import Hit


class UnanswerableError(RuntimeError):
    """What a model may fail with at one question."""


def ask(index: str, questions: Sequence[str]) -> list[list[Hit]]:
    """Hits of questions; ``fails`` fails its whole batch, ``nothing`` has no answer."""
    if any("fails" in question for question in questions):
        raise UnanswerableError("no idea\nat all")
    trie = load(index)
    keys = list(trie.keys())
    found = []
    for question in questions:
        hits = []
        for key in keys:
            text = trie.tokenizer.decode(key)
            subject, predicate = subject_and_predicate(text)
            if subject.partition("（")[0] in question and "nothing" not in question:
                score = Indel.normalized_similarity(predicate, question)
                fields = {"subject": subject, "predicate": predicate}
                hits.append(
                    Hit(text, fields, trie.objects(key), score, -1.0, score, math.nan, math.nan)
                )
        found.append(sorted(hits, key=lambda hit: -hit.score))
    return found


def make(index: str, log: str | None = None) -> Ask:
    """Loads it, and notes in which process."""
    if log is not None:
        with Path(log).open("a", encoding="utf-8") as file:
            file.write(f"{os.getpid()}\n")
    return partial(ask, index)


def none(index: str) -> Ask:
    """Cannot be loaded."""
    raise UnanswerableError(f"no model for {index}")
