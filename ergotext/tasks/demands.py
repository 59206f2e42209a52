"""What a written sentence must be, checked before a model is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ergotext.errors import InputError
from ergotext.lm.automata.keyword_checks import check_keywords, check_window
from ergotext.support.untrusted import json_of
from ergotext.support.words import Keyword, alternatives, check_texts, check_word, is_unspaced
from ergotext.tasks.budget import Budget

if TYPE_CHECKING:
    from ergotext.lm.energies.terms import End

CONTEXT = "It was a quiet morning in the small town."
CONTEXT_UNSPACED = "那是小镇上一个安静的早晨。"
"""Default context. A language model with nothing before it
thinks ", " or "'s" a likely beginning; after a plain sentence it expects another one."""


LENGTH, LONGEST = 14, 40
"""Mean and greatest length in tokens of texts that are edited."""


@dataclass(frozen=True)
class Demands:
    """What a sentence must be, beside fluent.

    Parameters
    ----------
    in_order : bool
        Whether the keywords must come in the order given.
    without : sequence of str
        Words that must not occur.
    words_between : (int, int), optional
        Least and most words.
    end : "sentence", "token" or a sequence of tokens
        Where a text ends (``fluency``).
    max_length : int, optional
        Most tokens. By default 40 where texts are edited; where they are grown 22, or more for
        long keywords or many words.
    mean_length : float, optional
        Mean of the length prior of texts that are edited (14 tokens); its standard deviation is 1.
    """

    in_order: bool = False
    without: Sequence[str] = ()
    words_between: tuple[int, int] | None = None
    end: End = "sentence"
    max_length: int | None = None
    mean_length: float | None = None

    def lengths_of_edits(self) -> tuple[float, int]:
        """Mean and greatest length in tokens of texts that are edited.

        Raises
        ------
        InputError
            The mean is above the greatest.
        """
        mean = LENGTH if self.mean_length is None else self.mean_length
        most = LONGEST if self.max_length is None else self.max_length
        if mean > most:
            raise InputError(
                f"the mean length ({mean:g}) is above max_length ({most}); lower length, or raise "
                "max_length"
            )
        return mean, most


def check_sets(sets: Sequence[Sequence[Keyword]]) -> None:
    """Raise InputError at a keyword that no model could write; needs none to be loaded."""
    for words in sets:
        if isinstance(words, str | bytes):
            check_texts(words, "keywords")
        for word in words:
            given: Any = word  # whatever a caller may have put there
            spellings = list(given) if isinstance(given, list | tuple) else [given]
            check_texts(spellings, "keywords")
            for spelling in alternatives(spellings):
                check_word(spelling)


def check_demands(sets: Sequence[Sequence[Keyword]], demands: Demands, budget: Budget) -> None:
    """Raise InputError at keyword sets and demands that no text can meet; needs no model."""
    check_sets(sets)
    if not budget.grows:
        demands.lengths_of_edits()
    elif demands.mean_length is not None:
        raise InputError("a mean length goes with the sampler annealing or mh, not smc")
    for words in sets:
        stripped = [tuple(one.strip() for one in alternatives(word)) for word in words]
        check_keywords(stripped, [word.strip() for word in demands.without])
        check_window(stripped, demands.words_between)


def default_context(words: Sequence[Keyword]) -> str:
    """Default context: a plain sentence in English or, for Chinese keywords, in Chinese."""
    return (
        CONTEXT_UNSPACED
        if any(is_unspaced(w.strip()[0]) for each in words for w in alternatives(each) if w.strip())
        else CONTEXT
    )


def parse_keyword_sets(text: str) -> list[list[str]]:
    """Keyword sets from a text with one JSON list of strings a line; blank lines are skipped.

    Raises
    ------
    InputError
        A line is something else (the message gives its number), or there is none at all.
    """
    sets: list[list[str]] = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            words = json_of(line)
        except ValueError:
            words = None
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise InputError(
                f'line {number} is not a JSON list of strings such as ["summer", "beach"]: '
                f"{line[:60]}"
            )
        sets.append(words)
    if not sets:
        raise InputError("no keyword sets on standard input; give one JSON list per line")
    return sets
