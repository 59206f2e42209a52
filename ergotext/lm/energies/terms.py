"""Built-in energies: fluency, pseudo-likelihood, length and keywords."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Literal, overload

import torch
from torch import Tensor

from ergotext.errors import InputError
from ergotext.lm.automata.keyword_checks import check_keywords, check_window
from ergotext.lm.automata.keywords import KeywordCoverage
from ergotext.lm.batch import TokenBatch, checked
from ergotext.lm.endings.closing import ClosingTokens, closing_tokens
from ergotext.lm.endings.scorer import EndingScorer
from ergotext.lm.endings.sentence import sentence_end
from ergotext.lm.energies.locks import completed, initial_rows, mark
from ergotext.lm.energies.matches import accepted, pieces_of
from ergotext.lm.energies.term import Custom, Function, Term
from ergotext.lm.masked import MaskedLM
from ergotext.lm.text_scorer import TextScorer
from ergotext.support.words import Keyword, alternatives, check_texts, holds_words

End = Literal["token", "sentence"] | Sequence[int | str]
"""Where a text ends: at the model's end token, with its first sentence, or before some tokens."""


class Fluency(Term):
    """E(x) = −log p(x, end | context) under a causal language model."""

    name = "fluency"
    lowest = 0.0

    def __init__(self, lm: TextScorer) -> None:
        if isinstance(lm, MaskedLM):
            raise InputError(
                "fluency needs a causal language model, but this one is masked; use "
                "pseudo_likelihood(mlm)"
            )
        self.lm = lm

    @property
    def scorer(self) -> TextScorer:
        return self.lm

    @property
    def density(self) -> TextScorer:
        return self.lm

    def __call__(self, batch: TokenBatch) -> Tensor:
        return -self.lm.log_prob(batch)


class PseudoLikelihood(Term):
    """E(x) = −Σ_i log p(x_i | all other tokens) under a masked language model."""

    name = "pseudo-likelihood"
    lowest = 0.0

    def __init__(self, mlm: MaskedLM, whole_words: bool = False) -> None:
        if not isinstance(mlm, MaskedLM):
            raise InputError(
                f"pseudo_likelihood needs a masked language model, got {mlm!r:.80}; load one, such "
                'as load("tiny-masked"), or use fluency(lm) for a causal one'
            )
        self.mlm = mlm
        self.whole_words = whole_words

    @property
    def masked(self) -> MaskedLM:
        return self.mlm

    def bind(self, scorer: TextScorer) -> PseudoLikelihood:
        if not scorer.vocabulary.same_as(self.mlm.vocabulary):
            raise InputError(
                "the masked and the causal model in this sum have different tokenizers, so they "
                "cannot score the same tokens (tiny-masked and tiny-causal share one)"
            )
        return self

    def __call__(self, batch: TokenBatch) -> Tensor:
        return -self.mlm.pseudo_log_prob(batch, self.whole_words)


class Length(Term):
    """E(x) = −log P(n), n the number of generated tokens: a normal law on n = 0, 1, 2, …"""

    name = "length"
    by_length_alone = True

    def __init__(self, mean: float, sd: float) -> None:
        if not (math.isfinite(mean) and mean >= 0):
            raise InputError(f"the mean length must be 0 tokens or more, got {mean}")
        if not (math.isfinite(sd) and sd > 0):
            raise InputError(f"the spread of the length must be > 0, got {sd}")
        self.mean, self.sd = float(mean), float(sd)
        support = torch.arange(int(mean + 40 * sd) + 2, dtype=torch.float64)
        self._log_z = self._exponent(support).logsumexp(0)
        self.lowest = float(self._log_z - self._exponent(support).max())

    def _exponent(self, n: Tensor) -> Tensor:
        return -((n - self.mean) ** 2) / (2 * self.sd**2)

    def __call__(self, batch: TokenBatch) -> Tensor:
        return self._log_z - self._exponent(checked(batch).length.double())


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
        self._scorer = scorer
        self._spelled: list[list[list[int]]] = []
        if scorer is not None:
            spell = scorer.vocabulary.spell
            self._spelled = [[spell(spelling) for spelling in word] for word in self.words]
            check_keywords(self.words, self.without)

    @property
    def scorer(self) -> TextScorer | None:
        return self._scorer

    def bind(self, scorer: TextScorer) -> Keywords:
        limits = self.any_order, self.without, self.words_between
        return self if self._scorer is scorer else Keywords(self.words, *limits, scorer)

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
        )

    def __call__(self, batch: TokenBatch) -> Tensor:
        texts = self._known().decode(batch)
        limits = self.any_order, self.without, self.words_between
        held = torch.tensor([holds_words(t, self.words, *limits) for t in texts], dtype=torch.bool)
        # Bytes that are no text are shown by this sign, and the automaton knows them.
        odd = torch.tensor(["\ufffd" in text for text in texts], dtype=torch.bool)
        if bool((held & odd).any()):
            held[odd] = accepted(self.automaton, batch.select(odd))
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
    def _shown(self) -> list[str]:
        return ["|".join(word) for word in self.words]

    def _known(self) -> TextScorer:
        if self._scorer is None:
            raise InputError(
                "these keywords have no tokenizer yet: add them to fluency(lm), or call "
                "keywords(words).bind(lm)"
            )
        return self._scorer


def fluency(
    lm: TextScorer,
    context: str | None = None,
    end: End = "token",
) -> Fluency:
    """−log p(x, end | context) in nats, under a causal language model.

    Parameters
    ----------
    lm : CausalLM
    context : str, optional
        Text to condition on; it is never edited.
    end : "token", "sentence" or a sequence of tokens
        Where a text ends: at the model's end token; with its first sentence
        (``ergotext.lm.endings.sentence.SentenceEnd``); or before any of some tokens, given as ids
        or as texts of one token each, such as ``[".", "!"]``. The model's end token is always one.

    Notes
    -----
    With a sentence or tokens as the end, p is the model's law of what stands before that place in
    a text that it goes on writing: the probability of the end is the sum of all that ends the
    text there (``ergotext.lm.endings.scorer.EndingScorer``). A text of two sentences has energy
    +inf.

    Raises
    ------
    InputError
        The model is masked; ``end`` is none of these, or no token of this model.
    """
    model = Fluency(lm if context is None else lm.given(context)).lm
    if end == "token":
        return Fluency(model)
    words = model.vocabulary
    if end == "sentence":
        return Fluency(EndingScorer(model, sentence_end(words, model.end_id)))
    if not isinstance(end, list | tuple):
        raise InputError(
            f'end must be "token", "sentence" or a list of tokens that end a text, got {end!r:.60}'
        )
    closing = closing_tokens(end, words, model.end_id)
    return Fluency(EndingScorer(model, ClosingTokens(closing, words.size, model.end_id)))


def pseudo_likelihood(mlm: MaskedLM, whole_words: bool = False) -> PseudoLikelihood:
    """−Σ log p(token | all other tokens) in nats: the pseudo-likelihood under a masked model.

    Salazar et al. 2020, arXiv 1910.14659. It is the energy of a law over texts, and no
    log-probability of one: the conditionals of a masked model come from no joint law. No end
    token is scored, so a length prior decides how long a text is.

    Parameters
    ----------
    mlm : MaskedLM
    whole_words : bool
        Also mask the tokens after it in the same word (Kauf and Ivanova 2023, arXiv 2305.10588).

    Raises
    ------
    InputError
        The model is not a masked language model, or is in a sum with a causal one that has another
        tokenizer.
    """
    return PseudoLikelihood(mlm, whole_words)


def length(mean: float, sd: float = 1.0) -> Length:
    """−log of a discretised normal law over the number of generated tokens.

    Context and end token do not count. Without a length prior a text shrinks to its keywords:
    every further token costs 2 to 4 nats of fluency, so the spread should be small (with sd = 1
    the likeliest single text is 2 to 4 tokens shorter than ``mean``).
    """
    return Length(mean, sd)


def keywords(
    words: Sequence[Keyword],
    any_order: bool = False,
    without: Sequence[str] = (),
    words_between: tuple[int, int] | None = None,
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

    Raises
    ------
    InputError
        Nothing is asked for, a word is empty, has control characters or cannot be spelled by the
        tokenizer, or the words cannot stand together.
    """
    return Keywords(words, any_order, without, words_between)


@overload
def custom(function: Function, name: str = ..., *, of: Literal["tokens"]) -> Custom: ...
@overload
def custom(
    function: Callable[[list[str]], Sequence[float]], name: str = ..., *, of: Literal["text"] = ...
) -> Custom: ...
def custom(
    function: Callable[..., Tensor | Sequence[float]],
    name: str = "custom",
    *,
    of: Literal["text", "tokens"] = "text",
) -> Custom:
    """A function of your own as an energy, in nats: a list of B texts (or a TokenBatch) → [B].

    It must be deterministic; +inf forbids a text.
    """
    return Custom(function, name, of == "text")
