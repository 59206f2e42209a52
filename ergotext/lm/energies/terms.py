"""Built-in energies: fluency, pseudo-likelihood, length, and a function of your own."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal, overload

import torch
from torch import Tensor

from ergotext.errors import InputError
from ergotext.lm.batch import TokenBatch, checked
from ergotext.lm.endings.closing import ClosingTokens, Cut, closing_tokens
from ergotext.lm.endings.scorer import EndingScorer
from ergotext.lm.endings.sentence import sentence_end
from ergotext.lm.energies.term import Custom, Function, Term
from ergotext.lm.masked import MaskedLM
from ergotext.lm.text_scorer import TextScorer
from ergotext.support.reprs import brief, called

End = Literal["token", "sentence"] | int | Sequence[int | str]
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

    def shown(self) -> str:
        """With the name of the model and where a text ends."""
        model = getattr(self.lm, "shown", None)
        named = brief(self.lm) if model is None else str(model())
        end = f"end={brief(self.lm.rule)}" if isinstance(self.lm, EndingScorer) else ""
        return called(self.name, named, end)

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

    def shown(self) -> str:
        words = "whole_words" if self.whole_words else ""
        return called("pseudo_likelihood", self.mlm.name, words)

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

    def shown(self) -> str:
        return called(self.name, f"{self.mean:g}", "" if self.sd == 1 else f"sd={self.sd:g}")

    def _exponent(self, n: Tensor) -> Tensor:
        return -((n - self.mean) ** 2) / (2 * self.sd**2)

    def __call__(self, batch: TokenBatch) -> Tensor:
        return self._log_z - self._exponent(checked(batch).length.double())


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
    end : "token", "sentence", int or a sequence of tokens
        Where a text ends: at the model's end token; with its first sentence
        (``ergotext.lm.endings.sentence.SentenceEnd``); after so many tokens, in mid-sentence if
        need be; or before any of some tokens, given as ids or as texts of one token each, such as
        ``[".", "!"]``. The model's end token is always one.

    Notes
    -----
    With another end, p is the model's law of what stands before that place in
    a text that it goes on writing: the probability of the end is the sum of all that ends the
    text there (``ergotext.lm.endings.scorer.EndingScorer``). A text of two sentences has energy
    +inf.

    Raises
    ------
    InputError
        The model is masked; ``end`` is none of these, or no token of this model.
    """
    if isinstance(lm, str):
        raise InputError(f"fluency takes a model, got its name: load it, et.load({lm!r:.60})")
    model = Fluency(lm if context is None else lm.given(context)).lm
    if end == "token":
        return Fluency(model)
    words = model.vocabulary
    if end == "sentence":
        return Fluency(EndingScorer(model, sentence_end(words, model.end_id)))
    if isinstance(end, int) and not isinstance(end, bool):
        return Fluency(EndingScorer(model, Cut(end, words.size, model.end_id)))
    if not isinstance(end, list | tuple):
        raise InputError(
            'end must be "token", "sentence", a number of tokens or a list of tokens that end a '
            f"text, got {end!r:.60}"
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
