"""Find what a question asks beyond an answer: "the mayor" around "the capital of France"."""

from __future__ import annotations

from dataclasses import dataclass

from ergotext.support.words import is_unspaced
from ergotext.tasks.retrieval.bearing import Bearing, QuestionKey, Word, words_of
from ergotext.tasks.retrieval.candidates import Mention

LEAST = 0.6
"""What a word bears on a candidate, over the temperature, if the candidate explains it."""
SHARE = 0.3
"""The same, as a share of what the most important word bears."""
BESIDE = 2.7
"""The same, beside words of the predicate, which are important."""
_ASKING = frozenset("谁哪几什多何如")
"""Characters of Chinese question words, which stand where the answer would."""
_ARTICLE, _OF = "the", ["of", "the"]
_POSSESSIVE = ("的", "'s", "\u2019s")


@dataclass(frozen=True)
class Nesting:
    """How a question parts into a subject with its predicate, and what is asked of that.

    Parameters
    ----------
    start, stop : int
        The inner part: from the first to the last of the subject and the words that the candidate
        explains ("capital of France").
    explained : int
        How many words it explains.
    outer : list of Word
        Words beyond, that nothing explains and that are not usual; none unless the inner part is
        a phrase of its own.
    possessed : bool
        Whether the words around the inner part make it the owner of what they ask for.
    """

    start: int
    stop: int
    explained: int
    outer: list[Word]
    possessed: bool


def nesting(choice: QuestionKey, bearing: Bearing, usual: frozenset[str]) -> Nesting:
    """The parts of a question for one of its candidates.

    Parameters
    ----------
    choice : QuestionKey
    bearing : Bearing
        Over the temperature of features, of words that are not usual; those of the predicate may
        be left out.
    usual : frozenset of str
        Words that questions consist of, whatever they ask.
    """
    mention = choice.mention or Mention("", 0, 0)
    _, meaning = choice.keys.parted(choice.key)
    named, others = choice.named - usual, {*words_of(meaning), *words_of(mention.subject)}
    explained = [word for word in choice.rest() if word.text in named]
    least = max(LEAST, SHARE * max((value for _, value in bearing.words), default=0.0))
    if explained:
        least = max(least, BESIDE)
    odd = [(word, value) for word, value in bearing.words if word.text not in named]
    explained += [word for word, value in odd if value >= least]
    left = [w for w, value in odd if value < least and w.text not in others]
    start = min([mention.start, *(word.start for word in explained)])
    stop = max([mention.stop, *(word.stop for word in explained)])
    before = words_of(choice.question[:start])
    inside = choice.question[mention.stop : stop]
    if start < mention.start and before[-1:] == [_ARTICLE]:
        outer = [word for word in left if word.start >= stop or word.stop <= start]
    elif stop > mention.stop and _ASKING.isdisjoint(inside):
        outer = [word for word in left if word.start >= stop]
    else:
        outer = []
    outer = [word for word in outer if _ASKING.isdisjoint(word.text)]
    outer = [word for word in outer if not _joined(word, outer, explained)]
    possessed = before[-2:] == _OF or choice.question[stop:].startswith(_POSSESSIVE)
    return Nesting(start, stop, len(explained), outer, possessed and bool(outer))


def _joined(word: Word, outer: list[Word], explained: list[Word]) -> bool:
    """Whether a lone character ends the word that an explained one begins."""
    if not is_unspaced(word.text[0]) or word.start not in {one.stop for one in explained}:
        return False
    return word.stop not in {one.start for one in outer}
