"""Hard constraint by words that must occur, words that must not, and the number of words."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor

from ergotext.errors import InputError
from ergotext.lm.automata.keyword_checks import check_keywords, check_window
from ergotext.lm.automata.keywords import KeywordCoverage
from ergotext.lm.batch import TokenBatch
from ergotext.lm.energies.locks import completed, initial_rows, mark
from ergotext.lm.energies.matches import is_text, pieces_of
from ergotext.lm.energies.term import Term
from ergotext.lm.text_scorer import TextScorer
from ergotext.support.reprs import called, listed, quoted
from ergotext.support.words import Keyword, alternatives, check_texts, holds_words


class Keywords(Term):
    """0 where a text holds every word and obeys the limits, +inf elsewhere; see ``keywords``."""

    name = "keywords"
    hard = True
    regular = True
    locking = True
    lowest = 0.0

    def __init__(
        self,
        words: Sequence[Keyword],
        any_order: bool = False,
        without: Sequence[str] = (),
        words_between: tuple[int, int] | None = None,
        one_line: bool = False,
        scorer: TextScorer | None = None,
    ) -> None:
        if isinstance(words, str):
            raise InputError(
                f"the keywords must be a list, got the text {words!r}: give [{words!r}]"
            )
        if not words and not without and words_between is None:
            raise InputError("no keywords given; give at least one")
        check_texts(without, "excluded words")
        self.words = [tuple(spelling.strip() for spelling in alternatives(w)) for w in words]
        self.any_order = any_order
        self.without = [word.strip() for word in without]
        check_window(self.words, words_between)
        self.words_between = words_between
        self.one_line = one_line
        self._scorer = scorer
        self._spelled: list[list[list[int]]] = []
        if scorer is not None:
            spell = scorer.vocabulary.spell
            self._spelled = [[spell(spelling) for spelling in word] for word in self.words]
            check_keywords(self.words, self.without)

    def shown(self) -> str:
        between = self.words_between
        return called(
            self.name,
            listed(map(quoted, self._shown), 8),
            "any_order" if self.any_order else "",
            f"without={listed(map(quoted, self.without), 4)}" if self.without else "",
            "" if between is None else f"words={between[0]}–{between[1]}",
        )

    @property
    def scorer(self) -> TextScorer | None:
        return self._scorer

    def bind(self, scorer: TextScorer) -> Keywords:
        if self._scorer is scorer:
            return self
        bound = Keywords(self.words, *self._limits, scorer)
        made = vars(self).get("automaton")
        # Of the same tokenizer the automaton is the same too, and is made once. Where none was
        # made, none is needed, and the tokenizer may be of a kind that has none.
        if made is not None and pieces_of(self._known()) is pieces_of(scorer):
            vars(bound)["automaton"] = made
        return bound

    @property
    def spelled(self) -> list[list[int]]:
        """The tokens of each keyword, in its first spelling."""
        self._known()
        return [spellings[0] for spellings in self._spelled]

    @cached_property
    def automaton(self) -> KeywordCoverage:
        return KeywordCoverage(
            self.words,
            pieces_of(self._known()),
            any_order=self.any_order,
            without=self.without,
            words_between=self.words_between,
            one_line=self.one_line,
        )

    def __call__(self, batch: TokenBatch) -> Tensor:
        texts = self._known().decode(batch)
        limits = self._limits
        held = torch.tensor([holds_words(t, self.words, *limits) for t in texts], dtype=torch.bool)
        held[held.clone()] = is_text(self._known(), batch.select(held))
        return torch.where(held, 0.0, torch.inf).double()

    def initial(self, count: int) -> TokenBatch:
        """The keywords side by side; in differing orders, if any order will do.

        Further tokens follow where these alone are too few words.
        """
        rows = initial_rows(self.spelled, count, self.any_order) if self.words else [[]] * count
        if not rows:
            raise InputError(
                f"the keywords {self._shown} merge with one another in every order tried; remove "
                "one"
            )
        held = torch.isfinite(self(TokenBatch.of(rows))).tolist()
        ended = [
            row if ok else completed(self.automaton, row)
            for row, ok in zip(rows, held, strict=True)
        ]
        ids = TokenBatch.of([row for row in ended if row is not None])
        batch = TokenBatch(ids.ids, ids.length, self.locked(ids))
        sound = torch.isfinite(self(batch))
        for number in self.marks:
            sound &= (batch.locked == number).any(1)
        if not bool(sound.any()):
            raise InputError(
                f"the keywords {self._shown} change when written side by side "
                f"({self._known().decode(TokenBatch.of(rows))[0].strip()!r}); change their order "
                "or spelling, or give an initial text (initial=)"
            )
        return batch.select(sound.nonzero()[torch.arange(count) % int(sound.sum()), 0])

    @property
    def marks(self) -> frozenset[int]:
        return frozenset(range(1, len(self._locks) + 1))

    def locked(self, batch: TokenBatch) -> Tensor:
        return mark(batch, self._locks, self.any_order)

    @property
    def _locks(self) -> list[list[int]]:
        """The tokens of each keyword of one spelling; others may change theirs."""
        self._known()
        return [spellings[0] for spellings in self._spelled if len(spellings) == 1]

    @property
    def _limits(self) -> tuple[bool, list[str], tuple[int, int] | None, bool]:
        return self.any_order, self.without, self.words_between, self.one_line

    @property
    def _shown(self) -> list[str]:
        return ["|".join(word) for word in self.words]

    def _known(self) -> TextScorer:
        if self._scorer is None:
            raise InputError(
                "these keywords have no tokenizer yet: add them to fluency(lm), or call "
                "keywords(words).bind(lm)"
            )
        return self._scorer


def keywords(
    words: Sequence[Keyword],
    any_order: bool = False,
    without: Sequence[str] = (),
    words_between: tuple[int, int] | None = None,
    one_line: bool = False,
) -> Keywords:
    """A hard constraint: every word occurs in the text verbatim, at word boundaries.

    Checked on the decoded text. Weighted samplers write under its automaton
    (``automata.KeywordCoverage``). Chains hold a keyword of one spelling in place, as the tokenizer
    writes it.

    Parameters
    ----------
    words : sequence of (str or sequence of str)
        Words or phrases, or alternatives of which one is enough: ``[("throw", "threw"), "dog"]``.
        One given twice must stand there twice.
    any_order : bool
        Whether the words may come in any order, instead of the one given.
    without : sequence of str
        Words or phrases that must not occur.
    words_between : (int, int), optional
        The number of words of the text, both ends included (counted as ``KeywordCoverage`` says).
    one_line : bool
        Whether the text must have no line break.

    Raises
    ------
    InputError
        Nothing is asked for, a word is empty, has control characters or cannot be spelled by the
        tokenizer, or the words cannot stand together.
    """
    return Keywords(words, any_order, without, words_between, one_line)
