"""Entity linking: the titles of an index that marked mentions of texts mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ergotext.errors import InputError
from ergotext.lm.trie.tree import TokenTrie
from ergotext.support.words import check_texts
from ergotext.tasks.retrieval.answers import Answers
from ergotext.tasks.retrieval.branch_and_bound import proven_best
from ergotext.tasks.retrieval.marked import MARKS, MarkedText, check_marks, parse_marked
from ergotext.tasks.retrieval.mention_table import MentionTable, TableEntry, Titles
from ergotext.tasks.retrieval.probability import exact_mass
from ergotext.tasks.retrieval.readers import QuestionReader
from ergotext.tasks.retrieval.request import Plan, QuestionGroup
from ergotext.tasks.retrieval.results import Hits
from ergotext.tasks.retrieval.retriever import PREFIXES, Retriever
from ergotext.tasks.retrieval.search import KeySearch


@dataclass(frozen=True)
class LinkedMention:
    """A marked mention of a text, and the titles that it may mean.

    Parameters
    ----------
    text : str
        The mention.
    start, stop : int
        Where it stands in the text without its marks.
    hits : Hits
        The titles, best first, and notes: that the mention table does not have the mention, or that
        only a part of the text was read.
    """

    text: str
    start: int
    stop: int
    hits: Hits

    @property
    def title(self) -> str | None:
        """The best title; None if there is none, or none above the threshold."""
        return self.hits[0].text if self.hits else None


def link(
    retriever: Retriever,
    texts: Sequence[str],
    table: Titles | MentionTable | str | Path | None = None,
    *,
    marks: tuple[str, str] = MARKS,
    k: int = 5,
    beams: int | None = None,
    prefixes: int = PREFIXES,
    temperature: float = 1.0,
    threshold: float = 0.0,
    batch_size: int = 32,
    progress: bool = True,
) -> list[list[LinkedMention]]:
    """Link the marked mentions of texts to the titles of an index.

    The model reads the text with one mention marked at a time, so that a text with several mentions
    is read several times; a text that is too long for it is cut on both sides of the mention.

    A mention that the table has is compared with its titles only: each is scored, so the order is
    exact, and ``probability`` is normalised over these titles. Any other mention is searched for
    among all titles, as ``Retriever.retrieve`` does; with a table, a note says so.

    Parameters
    ----------
    retriever : Retriever
        Of a model that writes titles (an encoder-decoder, or a causal model with a prompt), over an
        index of titles: a line each, built with ``--columns key``.
    texts : sequence of str
        Each with one or more marked mentions.
    table : mapping, MentionTable or path, optional
        The titles that each mention may mean: a dict, or a file of lines with a mention, a tab and
        a title.
    marks : pair of str
        What stands before and after a mention, as the model was trained to read it.
    k, beams, prefixes, temperature, threshold, batch_size, progress
        As for ``Retriever.retrieve``; a question is a text with one mention.

    Returns
    -------
    list of list of LinkedMention
        For each text its mentions, in order.

    Raises
    ------
    InputError
        Marks are unbalanced, nested or missing, or a mention is empty or alone longer than the
        model reads; a title of the table is not in the index; the index holds triples; or as
        ``Retriever.retrieve``.
    ModelError
        The model gives NaN.

    References
    ----------
    De Cao et al. 2021, "Autoregressive Entity Retrieval", section 3.1.
    """
    check_marks(marks)
    check_texts(texts, "texts")
    asked = _questions(retriever, texts, table, marks)
    flat = [one for some in asked for one in some]
    found = _over_titles(retriever, flat).retrieve(
        [one.question for one in flat], k, beams=beams, spans=False, prefixes=prefixes,
        temperature=temperature, threshold=threshold, batch_size=batch_size,
        progress=progress,
    )  # fmt: skip
    linked = iter([one.linked(hits) for one, hits in zip(flat, found, strict=True)])
    return [[next(linked) for _ in some] for some in asked]


@dataclass(frozen=True, eq=False)
class _MarkedQuestion:
    """A mention, what the model reads of it, and what the mention table has."""

    mention: MarkedText
    question: str
    entry: TableEntry | None
    notes: tuple[str, ...]

    def linked(self, hits: Hits) -> LinkedMention:
        """With what was found, and the notes of both."""
        hits.notes = self.notes + hits.notes
        return LinkedMention(self.mention.mention, self.mention.start, self.mention.stop, hits)


def _over_titles(retriever: Retriever, asked: Sequence[_MarkedQuestion]) -> Retriever:
    """The same retriever, in which a question with an entry in the table has its titles only."""
    if not isinstance(retriever.search, KeySearch):
        raise InputError('linking takes a retriever with decode "beam": this one has "mlm"')
    entries = {one.question: one.entry for one in asked if one.entry is not None}
    same = copy(retriever)
    same.search = _TitleSearch(retriever.search.reader, retriever.search.trie, entries)
    return same


def _questions(
    retriever: Retriever,
    texts: Sequence[str],
    table: Titles | MentionTable | str | Path | None,
    marks: tuple[str, str],
) -> list[list[_MarkedQuestion]]:
    """What is asked about each text."""
    if retriever.triples:
        raise InputError(
            "this index holds triples, but mentions are linked to titles: build an index with one "
            "title per line (ergotext index build --columns key)"
        )
    known = _table(table, retriever.trie)
    return [
        [_asked(one, retriever, known, name) for one in parse_marked(text, marks, name)]
        for text, name in ((text, f"text {n}") for n, text in enumerate(texts, 1))
    ]


def _table(
    table: Titles | MentionTable | str | Path | None, trie: TokenTrie
) -> MentionTable | None:
    if isinstance(table, MentionTable):
        table.check(trie)
    if table is None or isinstance(table, MentionTable):
        return table
    if isinstance(table, (str, Path)):
        return MentionTable.read(table, trie)
    return MentionTable(trie, table)


def _asked(
    mention: MarkedText, retriever: Retriever, table: MentionTable | None, name: str
) -> _MarkedQuestion:
    notes: list[str] = []
    entry = None if table is None else table.find(mention.mention)
    if table is not None and entry is None:
        notes.append(f"the mention table has no {mention.mention!r}: all titles were searched")
    elif entry is not None and entry.other:
        notes.append(f"the mention table writes {mention.mention!r} in other letters")
    # A reader of one's own need not say what it takes.
    fits = getattr(retriever.reader, "fits", lambda *_: True)
    room = retriever.trie.longest
    read = mention.shortened(lambda question: bool(fits(question, room)))
    if read is None:
        raise InputError(
            f"{name}: the mention {mention.mention!r:.60} alone is longer than the model reads: "
            "mark a shorter one"
        )
    if read is not mention:
        notes.append(
            f"the text is longer than the model reads: {len(read.plain):,} of its "
            f"{len(mention.plain):,} characters were read, around the mention"
        )
    return _MarkedQuestion(mention, read.question, entry, tuple(notes))


class _TitleSearch(KeySearch):
    """Ranks the titles that a table has for a question; searches all keys for the others."""

    def __init__(
        self, reader: QuestionReader, trie: TokenTrie, entries: Mapping[str, TableEntry]
    ) -> None:
        super().__init__(reader, trie)
        self.entries = entries

    def __call__(self, group: QuestionGroup, plan: Plan) -> list[Answers]:
        """For each question the best of its titles, or of all keys."""
        found: list[Answers | None] = [None] * len(group.encoded)
        some = [question in self.entries for question in group.questions]
        for has, search in ((True, self._ranked), (False, super().__call__)):
            rows = [row for row, one in enumerate(some) if one == has]
            if rows:
                part = replace(
                    group,
                    numbers=[group.numbers[row] for row in rows],
                    questions=[group.questions[row] for row in rows],
                    encoded=[group.encoded[row] for row in rows],
                )
                for row, answers in zip(rows, search(part, plan), strict=True):
                    found[row] = answers
        return [answers for answers in found if answers is not None]

    def _ranked(self, group: QuestionGroup, plan: Plan) -> list[Answers]:
        """Every title of each question's entry, scored."""
        ordinals = [self.entries[question].ordinals for question in group.questions]
        most = max(map(len, ordinals))
        flat = [np.zeros(len(one)) for one in ordinals]
        decoding = self.reader.read(group.encoded)
        found = []
        for best in proven_best(decoding, self.trie, ordinals, flat, most, most):
            scored = best or []  # of which there are never more than ``most``
            log_prob = np.array([one.log_prob for one in scored])
            mass = exact_mass(log_prob / plan.temperature)
            found.append(Answers(scored[: plan.k], True, mass))
        return found
