"""Answer questions of two steps: the object of one entry is the subject of the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from ergotext.lm.trie.schema import Schema
from ergotext.lm.trie.tree import TokenTrie
from ergotext.support.arrays import Floats
from ergotext.tasks.retrieval.bearing import Bearing, QuestionKey, bearings
from ergotext.tasks.retrieval.calibration import PATHS, Calibration
from ergotext.tasks.retrieval.candidates import Candidates, Mention, Potential
from ergotext.tasks.retrieval.nesting import Nesting, nesting
from ergotext.tasks.retrieval.request import QuestionGroup
from ergotext.tasks.retrieval.results import Answers
from ergotext.tasks.retrieval.shortlist import potentials_of

FIRST, VALUES, SECOND = 4, 4, 64
"""Entries that are tried as the first step, objects of each, and entries of each object."""
GATE = 0.05
"""Probability of "none of these" from which on paths are looked for."""
RARE = 0.01
"""Probability of a path that is not worth saying."""
_QUOTES = "《》〈〉「」『』“”\"'"
"""What encloses the name of a work where it is an object, but not where it is a subject."""


@dataclass(frozen=True, eq=False)
class EntryPath:
    """Two entries, the second of which is about an object of the first.

    Parameters
    ----------
    first : QuestionKey
        The question, and the first entry among its candidates.
    value : str
        The object between them.
    second : QuestionKey
        The question with the object in the place of its inner part ("the mayor of Paris" for "the
        mayor of the capital of France"), and the second entry among those of the object.
    features : float64 [len(PATHS)]
        What its odds hang on.
    """

    first: QuestionKey
    value: str
    second: QuestionKey
    features: Floats


@dataclass(frozen=True)
class TwoSteps:
    """Finds paths of two entries.

    Parameters
    ----------
    trie : TokenTrie
        With the tokenizer of its keys.
    schema : Schema
        Of its keys.
    lookahead : Potential
    calibration : Calibration
    """

    trie: TokenTrie
    schema: Schema
    lookahead: Potential
    calibration: Calibration

    def shares(
        self, group: QuestionGroup, answers: Sequence[Answers]
    ) -> dict[int, tuple[list[tuple[EntryPath, float]], float]]:
        """For questions that may be of two steps the paths, and what is left for "none of these".

        They share the probability of "none of these" (``Calibration``); paths below ``RARE`` are
        left out. Only questions are looked at for which it is ``GATE`` or more.

        Parameters
        ----------
        group : QuestionGroup
        answers : sequence of Answers
            Of each of its questions.
        """
        if not self.calibration.paths or group.candidates is None or group.potentials is None:
            return {}
        chosen = {}
        for number, one in enumerate(answers):
            if one.best and one.none >= GATE:
                keys = group.candidates[number]
                first = np.flatnonzero(keys.ordinals == self.trie.ordinal(one.best[0].tokens))
                chosen[number] = QuestionKey(group.questions[number], keys, int(first[0]))
        paths = self([*chosen.values()], [group.potentials[number] for number in chosen])
        weights, found = np.array([self.calibration.paths[name] for name in PATHS]), {}
        for number, some in zip(chosen, paths, strict=True):
            odds = np.append([path.features @ weights for path in some], 0.0)
            share = answers[number].none * np.exp(odds - np.logaddexp.reduce(odds))
            likely = [(p, s) for p, s in zip(some, share[:-1].tolist(), strict=True) if s >= RARE]
            if likely:
                left = answers[number].none - sum(each for _, each in likely)
                found[number] = (sorted(likely, key=lambda one: -one[1]), left)
        return found

    def __call__(
        self, choices: Sequence[QuestionKey], potentials: Sequence[Floats]
    ) -> list[list[EntryPath]]:
        """The likeliest path by each first entry and object, for each question; maybe none.

        Parameters
        ----------
        choices : sequence of QuestionKey
            Questions with their best candidates: first steps are entries of the same mention.
        potentials : sequence of float64 [n], nats
            Of all candidates of each.
        """
        firsts: list[tuple[int, QuestionKey, list[tuple[str, Candidates]]]] = []
        for number, (choice, values) in enumerate(zip(choices, potentials, strict=True)):
            firsts += [(number, *one) for one in self._firsts(choice, values)]
        told = self._borne([first for _, first, _ in firsts])
        seconds: list[tuple[int, QuestionKey, Bearing, str, str, Candidates]] = []
        for (number, first, targets), bearing in zip(firsts, told, strict=True):
            parts = nesting(first, bearing)
            if parts.explained and parts.outer:
                seconds += [
                    (number, first, bearing, value, *_outer(first, parts, keys))
                    for value, keys in targets
                ]
        found: list[list[EntryPath]] = [[] for _ in choices]
        weighed = potentials_of(
            self.lookahead, [one[4] for one in seconds], [one[5] for one in seconds]
        )
        second = [
            QuestionKey(one[4], one[5], int(np.argmax(values)))
            for one, values in zip(seconds, weighed, strict=True)
        ]
        for (number, first, own, value, *_), choice, values, bearing in zip(
            seconds, second, weighed, self._borne(second), strict=True
        ):
            features = path_features(own, bearing, values / self.calibration.unit)
            found[number].append(EntryPath(first, value, choice, features))
        return found

    def _borne(self, choices: Sequence[QuestionKey]) -> list[Bearing]:
        words = [self.calibration.content(choice) for choice in choices]
        told = bearings(self.lookahead, choices, words)
        return [one.over(self.calibration.unit) for one in told]

    def _firsts(
        self, choice: QuestionKey, potentials: Floats
    ) -> list[tuple[QuestionKey, list[tuple[str, Candidates]]]]:
        """The likeliest entries of the same mention with objects that are subjects, and these."""
        keys, found = choice.keys, []
        same = np.flatnonzero(keys.mention == keys.mention[choice.key])
        for row in same[np.argsort(-potentials[same], kind="stable")].tolist():
            if len(found) == FIRST or potentials[row] == -np.inf:
                break
            targets = []
            for value in keys.values(row)[:VALUES]:
                entries = self._about(value)
                if len(entries):
                    targets.append((value, entries))
            if targets:
                found.append((QuestionKey(choice.question, keys, row), targets))
        return found

    def _about(self, value: str) -> Candidates:
        """The entries whose subject is an object, maybe without its quotes."""
        for text in dict.fromkeys((value, value.strip(_QUOTES))):
            name, _, meaning = self.schema.key_text(text).partition("\t")
            if not name:
                continue
            texts = {}
            for key in islice(self.trie.keys(f"{name}\t"), SECOND):
                assert self.trie.tokenizer is not None
                rest = self.trie.tokenizer.decode(key).partition("\t")[2]
                ordinal = self.trie.ordinal(key)
                if ordinal is not None and (not meaning or rest.endswith(f"\t{meaning}")):
                    texts[ordinal] = rest
            if texts:
                order = sorted(texts)
                return Candidates(
                    self.trie, np.array(order), (Mention(name, 0, len(name)),),
                    np.zeros(len(order), dtype=np.int64), [texts[one] for one in order],
                    len(self.schema.key),
                )  # fmt: skip
        return Candidates(self.trie, np.zeros(0, dtype=np.int64), (), np.zeros(0, np.int64), [])


def _outer(first: QuestionKey, parts: Nesting, keys: Candidates) -> tuple[str, Candidates]:
    """The question about an object, and the entries about it."""
    (mention,) = keys.mentions
    name, start = mention.text, parts.start
    question = f"{first.question[:start]}{name}{first.question[parts.stop :]}"
    placed = replace(mention, start=start, stop=start + len(name))
    return question, replace(keys, mentions=(placed,))


def path_features(first: Bearing, second: Bearing, potentials: Floats) -> Floats:
    """float64 [len(PATHS)]: what is known of a path.

    Parameters
    ----------
    first : Bearing
        What the question bears on the first entry, over the temperature of features.
    second : Bearing
        What the question about the object bears on the second.
    potentials : float64 [n]
        Of all entries of the object, over the same temperature.
    """
    falling = np.sort(potentials)[::-1]
    margin = float(falling[0] - falling[1]) if len(falling) > 1 else 4.0
    word = max((value for _, value in second.words), default=0.0)
    return np.array([1.0, first.rest / 3, second.rest / 3, word / 3, min(4.0, margin) / 3])
