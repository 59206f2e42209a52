"""Answer questions of two steps: the object of one entry is the subject of the next."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ergotext.lm.trie.schema import Schema
from ergotext.support.arrays import Floats
from ergotext.tasks.retrieval.answers import Answers
from ergotext.tasks.retrieval.bearing import Bearing, QuestionKey, bearings
from ergotext.tasks.retrieval.calibration import PATHS, Calibration
from ergotext.tasks.retrieval.candidates import Candidates, Mention, Potential, Spotter
from ergotext.tasks.retrieval.nesting import Nesting, nesting
from ergotext.tasks.retrieval.request import QuestionGroup
from ergotext.tasks.retrieval.shortlist import potentials_of

LOOKED_AT, FIRST, VALUES, SECOND = 8, 4, 4, 64
"""Entries whose objects are looked up, that are tried as the first step, objects of each, and
entries of each object."""
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
    spotter : Spotter
        Of the index.
    schema : Schema
        Of its keys.
    lookahead : Potential
    calibration : Calibration
    """

    spotter: Spotter
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
                first = np.flatnonzero(
                    keys.ordinals == self.spotter.trie.ordinal(one.best[0].tokens)
                )
                chosen[number] = QuestionKey(
                    keys.plain(group.questions[number]), keys, int(first[0])
                )
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
        rows = [
            _likeliest(choice, values) for choice, values in zip(choices, potentials, strict=True)
        ]
        about = self._about(
            dict.fromkeys(value for some in rows for _, values in some for value in values)
        )
        firsts: list[tuple[int, QuestionKey, list[tuple[str, Candidates]]]] = []
        for number, (choice, some) in enumerate(zip(choices, rows, strict=True)):
            steps = [(row, [(v, about[v]) for v in values if v in about]) for row, values in some]
            for row, targets in [one for one in steps if one[1]][:FIRST]:
                firsts.append((number, QuestionKey(choice.question, choice.keys, row), targets))
        told = self._borne([first for _, first, _ in firsts])
        seconds: list[tuple[int, QuestionKey, Bearing, str, str, Candidates]] = []
        for (number, first, targets), bearing in zip(firsts, told, strict=True):
            parts = nesting(first, bearing, self.calibration.usual)
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

    def _about(self, values: Iterable[str]) -> dict[str, Candidates]:
        """The entries whose subject is an object, maybe without its quotes, where there are any."""
        # As it stands comes last, as that counts where both are subjects.
        texts = [(value, text) for value in values for text in (value.strip(_QUOTES), value)]
        names = [self.schema.key_text(text).partition("\t") for _, text in texts]
        entries, _ = self.spotter.find([name for name, _, _ in names])
        found = {}
        for (value, _), (name, _, meaning), keys in zip(texts, names, entries, strict=True):
            whole = [n for n, mention in enumerate(keys.mentions) if mention.text == name]
            rows = np.flatnonzero(np.isin(keys.mention, whole))
            ends = [not meaning or keys.rests[row].endswith(f"\t{meaning}") for row in rows]
            rows = rows[np.array(ends, dtype=np.bool_)][:SECOND]
            if len(rows):
                found[value] = Candidates(
                    keys.trie, keys.ordinals[rows], (Mention(name, 0, len(name)),),
                    np.zeros(len(rows), dtype=np.int64), [keys.rests[row] for row in rows.tolist()],
                    keys.columns,
                )  # fmt: skip
        return found


def _likeliest(choice: QuestionKey, potentials: Floats) -> list[tuple[int, list[str]]]:
    """The likeliest candidates of the same mention, and their objects."""
    keys = choice.keys
    same = np.flatnonzero(keys.mention == keys.mention[choice.key])
    order = same[np.argsort(-potentials[same], kind="stable")][:LOOKED_AT].tolist()
    return [(row, keys.values(row)[:VALUES]) for row in order if potentials[row] > -np.inf]


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
