"""Weigh the candidates of questions with known answers, to fit a calibration to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ergotext.errors import InputError
from ergotext.lm.protocols import Decoding
from ergotext.lm.trie.mentions import Near
from ergotext.lm.trie.restricted import RestrictedKeys
from ergotext.lm.trie.schema import Schema
from ergotext.support.arrays import Floats, Ints
from ergotext.tasks.datasets.kgclue.data import Question, Triple
from ergotext.tasks.retrieval.answers import ScoredKey
from ergotext.tasks.retrieval.bearing import QuestionKey
from ergotext.tasks.retrieval.branch_and_bound import MOST_SCORED, proven_best
from ergotext.tasks.retrieval.calibration import Calibration
from ergotext.tasks.retrieval.candidates import Candidates, MentionPotential, Potential
from ergotext.tasks.retrieval.retriever import Retriever
from ergotext.tasks.retrieval.search import KeySearch
from ergotext.tasks.retrieval.shortlist import Shortlist, potentials_of, shortlisted

AT_ONCE = 32
FAR = 10.0
"""Temperatures below the best from which on candidates are left out of a fit."""
KNOWN, NO_KEY, NO_SUBJECT, NONE = "known", "no key", "no subject", "none"
"""Kinds of cases: as asked; without the key that answers; without its subject; not in the base."""


@dataclass(frozen=True, eq=False)
class Case:
    """A question, what its candidates score, and which of them is right.

    Parameters
    ----------
    number : int
        Of the question.
    kind : str
    scores : float64 [n], nats
        Falling.
    right : int, optional
        Which of them is of the right key; None if none is.
    features : float64 [len(FEATURES)]
    """

    number: int
    kind: str
    scores: Floats
    right: int | None
    features: Floats


def cases(
    retriever: Retriever,
    lookahead: Potential,
    calibration: Calibration,
    asked: Sequence[Question],
    *,
    removed: bool = True,
) -> Iterator[Case]:
    """Weigh the candidates of questions, as ``Retriever.retrieve`` does.

    Parameters
    ----------
    retriever : Retriever
        Of triples.
    lookahead : Potential
    calibration : Calibration
        The unit and usual words that features are made with.
    asked : sequence of Question
        Those whose answer is unknown are left out.
    removed : bool
        Also each question as if its key, and its subject, were not in the base.

    Yields
    ------
    Case
        None where nothing would be answered.
    """
    search = search_of(retriever)
    spotter = retriever.spotter
    near: Near = "always" if isinstance(lookahead, MentionPotential) else "else"
    asked = usable(asked)
    for first in range(0, len(asked), AT_ONCE):
        some = asked[first : first + AT_ONCE]
        texts = [one.text for one in some]
        encoded = [search.reader.encode(text, retriever.trie.longest) for text in texts]
        decoding = search.reader.read(encoded)
        found = [shortlisted(spotter, texts, lookahead)]
        if removed:
            every, paths = spotter.find(texts, other_letters=True, near=near)
            less = [
                _without(keys, _subject(keys, one, retriever.schema))
                for keys, one in zip(every, some, strict=True)
            ]
            found.append(Shortlist(less, paths, potentials_of(lookahead, texts, less)))
        for removing, short in enumerate(found):
            weighed = _weighed(decoding, retriever, some, short, lookahead, calibration)
            for row, one in enumerate(weighed):
                yield from one.cases(first + row, calibration, bool(removing), removed)


def search_of(retriever: Retriever) -> KeySearch:
    """What a calibration is fitted to; InputError if a retriever has no such thing."""
    if not isinstance(retriever.search, KeySearch) or not retriever.triples:
        raise InputError("a calibration takes an index of triples, and decode beam")
    return retriever.search


def usable(asked: Sequence[Question]) -> list[Question]:
    """Questions that are not empty, and of which it is known what is right."""
    return [one for one in asked if one.text.strip() and (one.answer or one.absent)]


def _weighed(
    decoding: Decoding,
    retriever: Retriever,
    asked: Sequence[Question],
    short: Shortlist,
    lookahead: Potential,
    calibration: Calibration,
) -> list[_Weighed]:
    """The candidates of each question that may count, scored."""
    keys = short.candidates
    if not any(map(len, keys)):
        return []
    potentials = [
        _likely(values, _place(each, one.answer, retriever.schema), calibration.unit)
        for values, each, one in zip(short.potentials or [], keys, asked, strict=True)
    ]
    automaton = RestrictedKeys(retriever.trie, short.paths, len(asked))
    numbers = [each.ordinals for each in keys]
    told = proven_best(decoding, automaton, numbers, potentials, MOST_SCORED, MOST_SCORED)
    each = zip(asked, keys, potentials, told, strict=True)
    return [
        _Weighed(one, own, values, best or [], retriever.schema, lookahead)
        for one, own, values, best in each
    ]


@dataclass(frozen=True, eq=False)
class _Weighed:
    """A question with its candidates, best first."""

    asked: Question
    keys: Candidates
    potentials: Floats
    best: list[ScoredKey]
    schema: Schema
    lookahead: Potential

    def cases(
        self, number: int, calibration: Calibration, removing: bool, removed: bool
    ) -> Iterator[Case]:
        ordinals = [self.keys.trie.ordinal(one.tokens) for one in self.best]
        order = np.searchsorted(self.keys.ordinals, np.array(ordinals, dtype=np.int64))
        place = _place(self.keys, self.asked.answer, self.schema)
        found = [] if place is None else np.flatnonzero(order == place).tolist()
        right = found[0] if found else None
        if removing:
            yield from self._case(number, calibration, NO_SUBJECT, order, None)
            return
        kind = NONE if self.asked.absent else KNOWN
        yield from self._case(number, calibration, kind, order, right)
        if removed and right is not None:
            rests = [self.keys.rests[at].partition("\t")[0] for at in order.tolist()]
            same = np.array(rests) == rests[right]
            same &= self.keys.mention[order] == self.keys.mention[order[right]]
            yield from self._case(number, calibration, NO_KEY, order, None, ~same)

    def _case(
        self,
        number: int,
        calibration: Calibration,
        kind: str,
        order: Ints,
        right: int | None,
        kept: NDArray[np.bool_] | None = None,
    ) -> Iterator[Case]:
        scores = np.array([one.score for one in self.best])
        if kept is not None:
            order, scores = order[kept], scores[kept]
        if not len(order):
            return
        choice = QuestionKey(self.keys.plain(self.asked.text), self.keys, int(order[0]))
        (bearing,) = calibration.bearings(self.lookahead, [choice])
        potential = float(self.potentials[order[0]])
        features = calibration.features(choice, potential, scores, bearing)
        yield Case(number, kind, scores, right, features)


def _likely(potentials: Floats, right: int | None, temperature: float) -> Floats:
    """The same without wrong candidates that weigh next to nothing: most time goes to them."""
    least = potentials.max(initial=-np.inf) - FAR * temperature
    kept = potentials >= least
    if right is not None:
        kept[right] = True
    return np.where(kept, potentials, -np.inf)


def _place(keys: Candidates, answer: Triple | None, schema: Schema) -> int | None:
    """Which candidate is the answer's key, whose columns are joined as answers join them."""
    if answer is None:
        return None
    for place, (rest, mention) in enumerate(zip(keys.rests, keys.mention.tolist(), strict=True)):
        if mention >= 0 and (parts := schema.parts(f"{keys.mentions[mention].subject}\t{rest}")):
            subject, *key = parts
            if (subject, " ".join(key)) == (answer.subject, answer.predicate):
                return place
    return None


def _subject(keys: Candidates, asked: Question, schema: Schema) -> str | None:
    """The subject of an answer, if it is among the mentions."""
    if asked.answer is None:
        return None
    name = schema.key_text(asked.answer.subject).partition("\t")[0]
    return name if any(mention.subject == name for mention in keys.mentions) else None


def _without(keys: Candidates, subject: str | None) -> Candidates:
    """Candidates of other subjects; none where nothing is taken away."""
    left = [n for n, one in enumerate(keys.mentions) if subject and one.subject != subject]
    number = np.full(len(keys.mentions) + 1, -1)
    number[left] = np.arange(len(left))
    mention = number[keys.mention]
    rows = np.flatnonzero(mention >= 0)
    return replace(
        keys,
        ordinals=keys.ordinals[rows],
        mentions=tuple(keys.mentions[n] for n in left),
        mention=mention[rows],
        rests=[keys.rests[row] for row in rows.tolist()],
    )
