"""Group questions of like length, with the keys that each may be answered with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ergotext.errors import InputError
from ergotext.lm.tokenizers.token_bytes import Written
from ergotext.lm.trie.schema import Schema
from ergotext.lm.trie.tree import TokenTrie
from ergotext.support.words import counted
from ergotext.tasks.retrieval.candidates import Candidates, Spotter, every_key
from ergotext.tasks.retrieval.masked_keys import MaskedKeys
from ergotext.tasks.retrieval.notes import NAMELESS, NO_SUBJECT
from ergotext.tasks.retrieval.readers import QuestionReader
from ergotext.tasks.retrieval.request import Plan, QuestionGroup
from ergotext.tasks.retrieval.shortlist import potentials_of, shortlisted

USUAL = 64
"""Usual length of a question in tokens; batches of longer ones are smaller."""
MOST_WEIGHED = 1 << 20
"""Maximum number of keys for a look-ahead over all keys."""


@dataclass(frozen=True, eq=False)
class Grouping:
    """Prepares questions for a search, in groups.

    Parameters
    ----------
    reader : QuestionReader or MaskedKeys
        Encodes questions.
    trie : TokenTrie
        With the reader's tokenizer.
    schema : Schema
        Of its keys.
    """

    reader: QuestionReader | MaskedKeys
    trie: TokenTrie
    schema: Schema

    def __call__(self, questions: Sequence[str], plan: Plan) -> Iterator[QuestionGroup]:
        """Questions of like length, those without a subject apart; empty ones are left out."""
        room = self.trie.longest
        read = {n: self.reader.encode(q, room) for n, q in enumerate(questions) if q.strip()}
        order = sorted((n for n in read if read[n]), key=lambda n: len(read[n]))
        while order:
            most = max(1, plan.batch_size * USUAL // max(USUAL, len(read[order[-1]])))
            numbers, order = order[-most:], order[:-most]
            asked = [questions[n] for n in numbers]
            encoded = [read[n] for n in numbers]
            if plan.spans:
                yield from self._spotted(numbers, asked, encoded, plan)
                continue
            each = potentials = None
            if plan.lookahead is not None:
                each = [self._every_key()] * len(asked)
                potentials = potentials_of(plan.lookahead, asked, each)
            yield QuestionGroup(numbers, asked, encoded, each, None, potentials)

    def _spotted(
        self, numbers: list[int], asked: list[str], encoded: list[list[int]], plan: Plan
    ) -> Iterator[QuestionGroup]:
        """The questions that name a subject, and those that name none."""
        found = shortlisted(self.spotter, asked, plan.lookahead)
        some = np.array([len(one) > 0 for one in found.candidates])
        places = np.cumsum(some) - 1
        paths = replace(found.paths, input=places[found.paths.input])
        for has in (True, False):
            rows = np.flatnonzero(some == has).tolist()
            if rows:
                yield QuestionGroup(
                    [numbers[row] for row in rows],
                    [asked[row] for row in rows],
                    [encoded[row] for row in rows],
                    [found.candidates[row] for row in rows] if has else None,
                    paths if has else None,
                    [found.potentials[row] for row in rows]
                    if has and found.potentials is not None
                    else None,
                    searched=has,
                )

    def unanswered(self, question: str) -> tuple[str, ...]:
        """Why a question that is not searched has no answer, and the subjects that may be meant."""
        if self.nameless:
            return NO_SUBJECT, NAMELESS
        names = ", ".join(map(repr, self.spotter.suggestions(question)))
        return (f"{NO_SUBJECT}; the nearest: {names}" if names else NO_SUBJECT,)

    @property
    def nameless(self) -> bool:
        """Whether the index has triples, and nothing to find subjects by that are misspelt."""
        return self.triples and self.trie.names is None

    @property
    def triples(self) -> bool:
        """Whether keys have a subject that questions mention."""
        return self.schema.mention is not None

    @cached_property
    def spotter(self) -> Spotter:
        """Finds subjects in questions."""
        return Spotter(self.trie, self.triples, len(self.schema.key))

    def _every_key(self) -> Candidates:
        """All keys as candidates of a question."""
        if len(self.trie) > MOST_WEIGHED:
            raise InputError(
                f"a look-ahead over all {counted(len(self.trie), 'key')} would take too long: "
                "restrict the search to subjects in the question"
            )
        return self._every

    @cached_property
    def _every(self) -> Candidates:
        written, columns = Written.by(self.reader.keys), len(self.schema.key)
        return every_key(self.trie, written, self.triples, columns)
