"""How much each word of a question bears on an answer: what the look-ahead loses without it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from ergotext.support.words import is_unspaced
from ergotext.tasks.retrieval.candidates import Candidates, Mention, Potential
from ergotext.tasks.retrieval.shortlist import potentials_of

MOST = 16
"""Words of a question that are left out in turn at most: those nearest to the subject."""
_WORD = re.compile(r"\w+")


class Word(NamedTuple):
    """A word of a question, in lower case, and its place there."""

    text: str
    start: int
    stop: int


def words_in(text: str, first: int = 0) -> list[Word]:
    """The words of a text that begins at ``first``; of scripts without spaces, characters."""
    found = []
    for match in _WORD.finditer(text):
        start = match.start()
        for at in range(match.start(), match.end()):
            if is_unspaced(text[at]):
                found += [(start, at)] * (start < at) + [(at, at + 1)]
                start = at + 1
        found += [(start, match.end())] * (start < match.end())
    return [Word(text[a:b].lower(), first + a, first + b) for a, b in found]


def words_of(text: str) -> list[str]:
    """Words in lower case; of scripts without spaces, characters."""
    return [word.text for word in words_in(text)]


@dataclass(frozen=True, eq=False)
class QuestionKey:
    """A question and one of its candidates.

    Parameters
    ----------
    question : str
    keys : Candidates
    key : int
        The number of the one among the candidates.
    """

    question: str
    keys: Candidates
    key: int

    @property
    def mention(self) -> Mention | None:
        """What names its subject."""
        number = int(self.keys.mention[self.key])
        return self.keys.mentions[number] if number >= 0 else None

    def rest(self) -> list[Word]:
        """The words before and after the subject."""
        mention = self.mention or Mention("", 0, 0)
        return [
            *words_in(self.question[: mention.start]),
            *words_in(self.question[mention.stop :], mention.stop),
        ]

    @property
    def spaced(self) -> bool:
        """Whether most words of the question are longer than a character."""
        rest = self.rest()
        return sum(len(word.text) > 1 for word in rest) * 2 > len(rest)

    @property
    def named(self) -> set[str]:
        """The words of the predicate."""
        return set(words_of(self.keys.parted(self.key)[0]))

    def alone(self, question: str, start: int, stop: int) -> tuple[str, Candidates]:
        """The same candidate, alone, for another question whose subject stands there."""
        keys, key = self.keys, self.key
        mention = () if self.mention is None else (replace(self.mention, start=start, stop=stop),)
        only = Candidates(
            keys.trie, keys.ordinals[[key]], mention, np.array([len(mention) - 1]),
            [keys.rests[key]], keys.columns,
        )  # fmt: skip
        return question, only

    def without(self, word: Word) -> tuple[str, Candidates]:
        """The same candidate, alone, for the question without a word."""
        mention = self.mention or Mention("", 0, 0)
        before, after = self.question[: word.start], self.question[word.stop :]
        if before[-1:].isspace() or not before:
            after = after.lstrip()
        gone = len(self.question) - len(before) - len(after)
        back = gone if word.start < mention.start else 0
        return self.alone(before + after, mention.start - back, mention.stop - back)


@dataclass(frozen=True)
class Bearing:
    """How much a question bears on one of its candidates.

    Parameters
    ----------
    words : sequence of (Word, float)
        Some words outside the subject, and what each bears on the candidate: the potential less
        what it is when the word is left out. About 0, or below, for a word that the candidate does
        not explain.
    rest : float
        What all words outside the subject bear together: the potential less that of the subject
        alone. What a mention adds to the potential is not in it.
    """

    words: Sequence[tuple[Word, float]] = ()
    rest: float = 0.0

    def over(self, unit: float) -> Bearing:
        """The same in another unit than nats."""
        return Bearing([(word, value / unit) for word, value in self.words], self.rest / unit)


def bearings(
    lookahead: Potential,
    choices: Sequence[QuestionKey],
    words: Sequence[Sequence[Word]],
    rest: Sequence[bool] | None = None,
) -> list[Bearing]:
    """What some words of each question bear on its candidate, in nats.

    Where a potential is not a number of finite size, nothing bears on it.

    Parameters
    ----------
    lookahead : Potential
        All variants of all questions go to it in one call, if it takes many.
    choices : sequence of QuestionKey
    words : sequence of sequence of Word
        Of the question of each, outside its subject.
    rest : sequence of bool, optional
        For which of them ``Bearing.rest`` is wanted, too; by default for all. It is 0 elsewhere.
    """
    rest = [True] * len(choices) if rest is None else rest
    asked: list[tuple[str, Candidates]] = []
    for choice, some, more in zip(choices, words, rest, strict=True):
        mention = choice.mention or Mention("", 0, 0)
        if some or more:
            asked.append(choice.alone(choice.question, mention.start, mention.stop))
        if more:
            asked.append(choice.alone(mention.text, 0, len(mention.text)))
        asked += [choice.without(word) for word in some]
    told = potentials_of(lookahead, [one for one, _ in asked], [keys for _, keys in asked])
    values = np.concatenate([np.zeros(0), *told])
    found, place = [], 0
    for some, more in zip(words, rest, strict=True):
        count = len(some) + more
        own = values[place : place + count + (count > 0)]
        fall = own[:1] - own[1:] if np.isfinite(own[:1]).all() else np.zeros(count)
        each = np.where(np.isfinite(fall), fall, 0.0).tolist()
        found.append(Bearing(list(zip(some, each[more:], strict=True)), sum(each[:more])))
        place += len(own)
    return found


def nearest(choice: QuestionKey, words: Sequence[Word]) -> list[Word]:
    """At most ``MOST`` of these words, in order: those nearest to the subject."""
    mention = choice.mention or Mention("", 0, 0)
    order = sorted(words, key=lambda w: max(mention.start - w.stop, w.start - mention.stop))
    return sorted(order[:MOST], key=lambda word: word.start)
