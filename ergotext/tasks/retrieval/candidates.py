"""Candidate keys of a question, and their look-ahead potentials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ergotext.lm.ragged import spread
from ergotext.lm.tokenizers.folding import plain_letters
from ergotext.lm.tokenizers.token_bytes import Written
from ergotext.lm.trie.keys import keys_through
from ergotext.lm.trie.mentions import Mentions, Near
from ergotext.lm.trie.restricted import Paths
from ergotext.lm.trie.spotted import Naming, Spotted
from ergotext.lm.trie.states import ROOT
from ergotext.lm.trie.tree import TokenTrie
from ergotext.support.arrays import Ints


@dataclass(frozen=True)
class Mention:
    """A subject mentioned in a question, at ``question[start:stop]`` and maybe elsewhere."""

    text: str
    start: int
    stop: int
    kind: Naming = Naming.EXACT
    """how it names the subject; of a ``VALUE``, it is a value of one key, and names no subject"""
    name: str = field(default="", compare=False)
    """the subject, where the index writes it otherwise"""
    evidence: tuple[float, ...] = field(default=(), compare=False)
    """numbers as ``lm.trie.spotted.EVIDENCE`` names them; none where no names are indexed"""

    @property
    def subject(self) -> str:
        """The subject as the index writes it."""
        return self.name or self.text


@dataclass(frozen=True, eq=False)
class Candidates:
    """Keys that a question may mean, in sorted order.

    Parameters
    ----------
    trie : TokenTrie
    ordinals : int64 [n]
        The numbers of the keys, rising.
    mentions : tuple of Mention
        The subjects found in the question; none where all keys of the index are candidates.
    mention : int64 [n]
        Which of the mentions each key begins with; -1 where none is known.
    rests : list of str [n]
        The part after the subject: predicate and, after a tab, meaning. Of lines that are
        whole keys, nothing where they occur in the question, else all of the line.
    columns : int
        Fields of ``rests`` that the predicate consists of (``lm.trie.schema.Schema.key``).
    """

    trie: TokenTrie
    ordinals: Ints
    mentions: tuple[Mention, ...]
    mention: Ints
    rests: list[str]
    columns: int = 1

    def __len__(self) -> int:
        return len(self.ordinals)

    @property
    def predicates(self) -> list[str]:
        """The predicate of each key; empty where there is none. Several columns are joined."""
        return [self.parted(number)[0] for number in range(len(self))]

    @property
    def meanings(self) -> list[str]:
        """The meaning of each key's subject; empty where there is none."""
        return [self.parted(number)[1] for number in range(len(self))]

    def plain(self, question: str) -> str:
        """The question as who learned from these keys can read it, every letter in its place.

        Letters of full width become usual ones, and traditional characters simplified ones; but not
        where what stands in the keys is written so too.
        """
        told = plain_letters(question)
        if told == question or any(plain_letters(rest) != rest for rest in self.rests):
            return question
        return told

    def parted(self, number: int) -> tuple[str, str]:
        """Predicate and meaning of the key with this number among the candidates."""
        parts = self.rests[number].split("\t")
        return " ".join(parts[: self.columns]), "\t".join(parts[self.columns :])

    def values(self, number: int) -> list[str]:
        """The objects of the key with this number among the candidates."""
        return self.trie.values_at(int(self.ordinals[number]))


@runtime_checkable
class Potential(Protocol):
    """Potential of each key, added to its log-probability."""

    def __call__(self, question: str, keys: Candidates) -> NDArray[np.float64]:
        """float64 [n], nats: one number a candidate; -inf for keys that are out of the question."""


@runtime_checkable
class ManyPotential(Potential, Protocol):
    """A potential that is faster on the keys of many questions together."""

    def many(
        self, questions: Sequence[str], keys: Sequence[Candidates]
    ) -> list[NDArray[np.float64]]:
        """Potentials of the candidates of each question."""


@runtime_checkable
class MentionPotential(ManyPotential, Protocol):
    """A potential that tells likely mentions from others, and needs no others where one is sure."""

    def many(
        self,
        questions: Sequence[str],
        keys: Sequence[Candidates],
        known: Sequence[NDArray[np.float64]] | None = None,
    ) -> list[NDArray[np.float64]]:
        """As ``ManyPotential``; what it said before of some candidates is known, the rest NaN."""

    def settled(self, values: NDArray[np.float64]) -> bool:
        """Whether no subject that a question misspells or shortens could matter.

        ``values`` are the potentials of all keys whose subject stands in the question.
        """


class Spotter:
    """Finds the keys whose subjects (or which themselves) occur in questions.

    Parameters
    ----------
    trie : TokenTrie
    triples : bool
        Whether keys are subject, predicate and meaning; else they are looked for as wholes.
    columns : int
        Fields of a key that the predicate consists of.

    Raises
    ------
    InputError
        As ``lm.trie.mentions.Mentions``.
    """

    def __init__(self, trie: TokenTrie, triples: bool, columns: int = 1) -> None:
        self.trie, self.columns = trie, columns
        self.triples = triples
        self._mentions = Mentions(trie, whole=not triples)

    def find(
        self, questions: Sequence[str], other_letters: bool = False, near: Near = "never"
    ) -> tuple[list[Candidates], Paths]:
        """The candidates of each question, maybe none, and the trie paths to them.

        With ``other_letters`` also of subjects that the index writes in other letters
        and, by ``near``, of subjects that a question misspells or shortens, and keys one of whose
        values stands in it (``Mentions.find``).
        """
        return self.candidates(questions, self._mentions.find(questions, other_letters, near))

    def spot(self, questions: Sequence[str]) -> Spotted:
        """The subjects that stand in questions, in other letters too."""
        return self._mentions.find(questions, other_letters=True)

    def nearer(self, questions: Sequence[str], spotted: Spotted) -> Spotted:
        """What was spotted, and what ``find`` adds with ``near="always"``."""
        return self._mentions.nearer(questions, spotted, range(len(questions)))

    def candidates(
        self, questions: Sequence[str], found: Spotted
    ) -> tuple[list[Candidates], Paths]:
        """The candidates of each question by the spans that were found, and the paths to them."""
        states, first, index = np.unique(found.state, return_index=True, return_inverse=True)
        low, high = self.trie.span(states)
        ordinals, rests = self._rests(states, found.token[first])
        places = np.searchsorted(ordinals, low), high - low
        names = self._names(low, np.unique(index[found.kind != Naming.EXACT]))
        bounds = np.searchsorted(found.text, np.arange(len(questions) + 1)).tolist()
        each = []
        for question, begin, stop in zip(questions, bounds[:-1], bounds[1:], strict=True):
            # The same subject elsewhere has the same state: its first place counts, and before all
            # others one where it stands as the index writes it.
            order = np.argsort(found.kind[begin:stop], kind="stable")
            state, first_one = np.unique(index[begin:stop][order], return_index=True)
            at = order[first_one]
            mentions = _mentioned(question, found, begin + at, [names[s] for s in state.tolist()])
            starts, sizes = places[0][state], places[1][state]
            order = np.argsort(starts)
            rows = spread(starts[order], sizes[order])
            mention = np.repeat(order, sizes[order])
            texts = [rests[row] for row in rows.tolist()]
            each.append(
                Candidates(self.trie, ordinals[rows], mentions, mention, texts, self.columns)
            )
        return each, found.paths

    def suggestions(self, question: str) -> list[str]:
        """Subjects that are written least unlike what stands in a question."""
        return self._mentions.suggestions(question)

    def _names(self, keys: Ints, some: Ints) -> list[str]:
        """The subjects of some of these keys, and nothing for the others."""
        names = [""] * len(keys)
        for number, text in zip(some.tolist(), self._mentions.key_texts(keys[some]), strict=True):
            names[number] = text.partition("\t")[0] if self.triples else text
        return names

    def _rests(self, states: Ints, tokens: Ints) -> tuple[Ints, list[str]]:
        """The keys through these states, and what stands in them after the first tab."""
        inside = states < self.trie.finished
        ordinals, ids, offsets = keys_through(self.trie, states[inside])
        low, high = self.trie.span(states[inside])
        order = np.argsort(low)
        closing = np.repeat(tokens[inside][order], (high - low)[order])
        written = self._mentions.written.texts(
            np.insert(ids, offsets[:-1], closing), offsets + np.arange(len(offsets))
        )
        rests = [text.removeprefix("\t") for text in written]
        whole = self.trie.span(states[~inside])[0]  # lines that end here
        # A key that one question means by its value may be one of a subject in another.
        all_, order = np.unique(np.concatenate([ordinals, whole]), return_index=True)
        if self.triples:
            rests += [text.partition("\t")[2] for text in self._mentions.key_texts(whole)]
        else:
            rests += [""] * len(whole)
        return all_, [rests[row] for row in order.tolist()]


def _mentioned(
    question: str, found: Spotted, rows: Ints, names: Sequence[str]
) -> tuple[Mention, ...]:
    """The mentions in these rows."""
    columns = (found.start, found.stop, found.kind, found.evidence)
    each = zip(*(column[rows].tolist() for column in columns), names, strict=True)
    return tuple(
        Mention(question[a:b], a, b, Naming(kind), name if kind else "", tuple(told))
        for a, b, kind, told, name in each
    )


def every_key(trie: TokenTrie, written: Written, triples: bool, columns: int = 1) -> Candidates:
    """All keys of a trie as candidates, no mention known of any."""
    ordinals, ids, offsets = keys_through(trie, np.array([ROOT]))
    texts = written.texts(ids, offsets)
    rests = [text.partition("\t")[2] for text in texts] if triples else texts
    return Candidates(trie, ordinals, (), np.full(len(ordinals), -1), rests, columns)
