"""Scores of a new retriever beside those of the included one and of string matching."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from ergotext.lm.loading import load
from ergotext.lm.trie.lines import subject_and_predicate
from ergotext.lm.trie.opening import opened
from ergotext.lm.trie.tree import TokenTrie
from ergotext.support.arrays import Floats
from ergotext.support.words import counted
from ergotext.tasks.datasets.kgclue.data import Question, Triple
from ergotext.tasks.datasets.kgclue.metrics import Marks, mark
from ergotext.tasks.retrieval.candidates import Candidates, Spotter
from ergotext.tasks.retrieval.lookahead.learned import lookahead_named
from ergotext.tasks.retrieval.lookahead.strings import StringMatch
from ergotext.tasks.retrieval.notes import WITHHELD
from ergotext.tasks.retrieval.retriever import Retriever
from ergotext.tasks.training.retriever.defaults import INCLUDED
from ergotext.tasks.training.retriever.own_index import index_for

STRINGS = "string matching"
MOST_KEYS = 1_000_000
SURE = 2.0
"""Standard errors from which on a difference is said to be one."""


@dataclass(frozen=True)
class Comparison:
    """Marks of the same questions by several retrievers.

    Parameters
    ----------
    marks : dict of str to Marks
        By the name of the retriever; the new one first.
    """

    marks: dict[str, Marks]

    def scores(self) -> dict[str, dict[str, float]]:
        """EMF1 and its kin in percent, by retriever."""
        return {name: marks.scores() for name, marks in self.marks.items()}

    def difference(self, other: str) -> tuple[float, float]:
        """EMF1 of the new one less that of another, and its standard error, in percent."""
        new = next(iter(self.marks.values()))
        each: Floats = 100 * (new.emf1 - self.marks[other].emf1)
        spread = float(each.std(ddof=1)) if len(each) > 1 else math.nan
        return float(each.mean()), spread / math.sqrt(len(each))

    def text(self) -> str:
        """A table, and which is better."""
        told, count = self.scores(), len(next(iter(self.marks.values())).exact)
        widest = max(map(len, told))
        lines = [f"{counted(count, 'question')} that nothing was chosen by:"]
        for name, scores in told.items():
            values = (f"{key} {scores[key]:5.1f}" for key in ("EMF1", "EM_S", "EM_P"))
            lines.append(f"  {name:<{widest}}  {'  '.join(values)}")
        return "\n".join([*lines, *(self._verdict(name) for name in [*told][1:2])])

    def _verdict(self, other: str) -> str:
        gap, error = self.difference(other)
        new = next(iter(self.marks))
        if gap == 0:
            return f"{new} and {other} score the same"
        better, worse = (new, other) if gap > 0 else (other, new)
        said = f"{better} is better than {worse} by {abs(gap):.1f} (standard error {error:.1f})"
        if abs(gap) < SURE * error:
            return f"{said}, which may be chance: more questions would tell"
        return said if gap > 0 else f"{said}: give more questions, or use {other}"


def compare(
    folder: Path, index: Path, questions: Sequence[Question], device: str
) -> Comparison | None:
    """Score a new model, the included one, and string matching; None without an answer to score by.

    Parameters
    ----------
    folder : Path
        Of the new model.
    index : Path
        In the new model's tokens. If those of the included one are others, and there are more than
        ``MOST_KEYS`` keys to be written in these, it is left out.
    questions : sequence of Question
    device : str
    """
    known = [(one.text, one.answer) for one in questions if one.answer is not None]
    if not known:
        return None
    texts, gold = [text for text, _ in known], [answer for _, answer in known]
    told = {str(folder): answers(str(folder), index, texts, device)[0]}
    with TemporaryDirectory() as place:
        other = index_for(index, INCLUDED, Path(place), most=MOST_KEYS)
        if other is not None:
            told[INCLUDED] = answers(INCLUDED, other, texts, device)[0]
    told[STRINGS] = by_strings(opened(index, None)[0], texts)
    return Comparison({name: mark(gold, some) for name, some in told.items()})


def answers(
    model: str, index: Path, texts: Sequence[str], device: str
) -> tuple[list[str], list[bool]]:
    """The first answer of a model to each question, and whether ``retrieve`` shows it."""
    retriever = Retriever(load(model, device=device), index)
    ahead = lookahead_named("auto", model)
    found = retriever.retrieve(texts, 1, lookahead=ahead, threshold=0.0)
    told = []
    for hits in found:
        values = [*hits[0].fields.values(), next(iter(hits[0].values), "")] if hits else []
        told.append(str(Triple(*values)) if values else "")
    return told, [bool(hits) and not hits.none >= WITHHELD for hits in found]


def by_strings(trie: TokenTrie, texts: Sequence[str]) -> list[str]:
    """The entry that string matching alone finds for each question."""
    match = StringMatch()
    found, _ = Spotter(trie, triples=True).find(texts)
    return [
        _entry(keys, int(np.argmax(match(text, keys)))) if len(keys) else ""
        for text, keys in zip(texts, found, strict=True)
    ]


def _entry(keys: Candidates, number: int) -> str:
    mention = keys.mentions[keys.mention[number]]
    parts = subject_and_predicate(f"{mention.subject}\t{keys.rests[number]}")
    return str(Triple(*parts, next(iter(keys.values(number)), ""))) if parts else ""
