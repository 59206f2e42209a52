"""The section of a report on a question: what was found in it, compared, answered or withheld."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ergotext.lm.trie.spotted import Naming
from ergotext.support.words import counted
from ergotext.tasks.report.branches import PathStep, key_path
from ergotext.tasks.report.page import rendered
from ergotext.tasks.retrieval.candidates import Candidates, Mention
from ergotext.tasks.retrieval.request import Plan, QuestionGroup
from ergotext.tasks.retrieval.results import Hit, Hits, between
from ergotext.tasks.retrieval.retriever import Retriever
from ergotext.tasks.retrieval.search import KeySearch

COMPARED, PATHS = 12, 3
"""Entries that are compared, and whose way is shown, at most."""
KINDS = {
    Naming.EXACT: "as the index writes it",
    Naming.OTHER: "in other letters",
    Naming.NEAR: "misspelt or shortened",
    Naming.VALUE: "an object of the entry, not its subject",
}


@dataclass(frozen=True)
class ComparedEntry:
    """An entry with what its probability is made of.

    Parameters
    ----------
    hit : Hit
    probability : str
        As it is printed; empty where it is not known.
    share : float
        Its middle, 0 where it is not known.
    ahead : float, optional
        What the look-ahead adds to log p, in nats.
    path : sequence of PathStep
        Empty where it is not shown.
    """

    hit: Hit
    probability: str
    share: float
    ahead: float | None
    path: Sequence[PathStep] = ()

    @property
    def objects(self) -> str:
        """The values of the entry, or of the second of two."""
        return " | ".join((self.hit.then or self.hit).values)

    @property
    def entry(self) -> str:
        """The fields of the entry, and of the second of two."""
        told = [*self.hit.fields.values()]
        if self.hit.then is not None:  # whose subject is the object of the first
            told += [" | ".join(self.hit.values), *[*self.hit.then.fields.values()][1:]]
        return " · ".join(told)


def section(retriever: Retriever, question: str, hits: Hits, asked: Mapping[str, Any]) -> str:
    """HTML of a question.

    Parameters
    ----------
    retriever : Retriever
    question : str
    hits : Hits
        What the command prints.
    asked : mapping
        The options of ``Retriever.retrieve`` that led to it.
    """
    group = _group(retriever, question, asked)
    searched = group is not None and group.searched
    wide = _wide(retriever, question, asked) if searched else Hits()
    answered = {_name(hit) for hit in hits}
    others = [hit for hit in wide if _name(hit) not in answered]
    paths = PATHS if hits else 1
    compared = [
        _compared(retriever, group, hit, asked, shown=at < paths)
        for at, hit in enumerate([*hits, *others][: max(COMPARED, len(hits))])
    ]
    candidates = None if group is None or group.candidates is None else group.candidates[0]
    none = hits.none if not math.isnan(hits.none) else wide.none
    values = {
        "question": _marked(question, hits.mentions),
        "answers": compared[: len(hits)],
        "withheld": not hits and bool(compared),
        "notes": hits.notes,
        "restricted": hits.restricted,
        "mentions": [
            (one, KINDS[one.kind], _count(candidates, number))
            for number, one in enumerate(hits.mentions)
        ],
        "compared": compared,
        "unlisted": None if math.isnan(none) else none,
        "how": _how(retriever, hits, wide, candidates),
        "ahead": asked.get("lookahead") is not None,
        "promise": None if hits.answer_set is None else hits.answer_set.guarantee,
    }
    return rendered("answers.html", values)


def _name(hit: Hit) -> tuple[str, str]:
    return hit.text, "" if hit.then is None else hit.then.text


def _group(retriever: Retriever, question: str, asked: Mapping[str, Any]) -> QuestionGroup | None:
    """The question as it was searched; None for one that is empty."""
    ahead = asked.get("lookahead")
    plan = Plan(1, 1, ahead, 0, 1.0, None, 1, asked["spans"])
    return next(iter(retriever.grouping([question], plan)), None)


def _wide(retriever: Retriever, question: str, asked: Mapping[str, Any]) -> Hits:
    """More entries, and those of a question without an answer, that the answers are beside."""
    k = max(COMPARED, asked["k"])
    beams = max(k, asked.get("beams") or 0)
    more = {**asked, "k": k, "beams": beams, "threshold": 0.0, "coverage": None}
    return retriever.retrieve([question], progress=False, **more)[0]


def _compared(
    retriever: Retriever,
    group: QuestionGroup | None,
    hit: Hit,
    asked: Mapping[str, Any],
    shown: bool,
) -> ComparedEntry:
    low, high = hit.probability_low, hit.probability_high
    known = not math.isnan(hit.score) and asked.get("lookahead") is not None
    path: Sequence[PathStep] = ()
    if shown and hit.then is None and group is not None:
        path = _path(retriever, group, hit)
    return ComparedEntry(
        hit,
        between(low, high),
        0.0 if math.isnan(low) else (low + high) / 2,
        hit.score - hit.log_prob if known else None,
        path,
    )


def _path(retriever: Retriever, group: QuestionGroup, hit: Hit) -> list[PathStep]:
    """None for a masked model, which writes no key token by token."""
    if not isinstance(retriever.search, KeySearch):
        return []
    return key_path(retriever.search.reader, retriever.trie, group, hit.tokens)


def _entries(count: int) -> str:
    return "1 entry" if count == 1 else f"{count:,} entries"


def _count(candidates: Candidates | None, number: int) -> str:
    return "" if candidates is None else _entries(int((candidates.mention == number).sum()))


def _marked(question: str, mentions: Sequence[Mention]) -> list[tuple[bool, str]]:
    """The question in parts, each with whether a mention stands there."""
    inside = [False] * len(question)
    for one in mentions:
        inside[one.start : one.stop] = [True] * (one.stop - one.start)
    parts: list[tuple[bool, str]] = []
    for on, char in zip(inside, question, strict=True):
        if parts and parts[-1][0] == on:
            parts[-1] = (on, parts[-1][1] + char)
        else:
            parts.append((on, char))
    return parts


def _how(retriever: Retriever, hits: Hits, wide: Hits, candidates: Candidates | None) -> str:
    """One line on the search."""
    every = _entries(len(retriever.trie))
    if not (hits or wide):
        return f"The index has {every}."
    among = f"all {every}"
    if candidates is not None and hits.restricted:
        few = counted(len(candidates), "candidate")
        among = f"{few} of {every}"
    proven = "proven to be the best" if (hits.exact if hits else wide.exact) else "the best found"
    return f"Searched {among}; the order is {proven}."
