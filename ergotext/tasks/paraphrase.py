"""Paraphrase a text: fluent texts of the same meaning in other words."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from ergotext.errors import InputError
from ergotext.lm.batch import TokenBatch
from ergotext.lm.causal import CausalLM
from ergotext.lm.endings.sentence import one_sentence
from ergotext.lm.energies.embedding import (
    SentenceEncoder,
    similarity,
)
from ergotext.lm.energies.keywords import Keywords, keywords
from ergotext.lm.energies.overlap import difference, kept_words
from ergotext.lm.energies.term import Term
from ergotext.lm.energies.terms import End, Fluency, fluency, length
from ergotext.samplers.options import check_window
from ergotext.samplers.result import Result
from ergotext.samplers.weighted.result import WeightedResult
from ergotext.samplers.weighted.samples import ZeroWeightError
from ergotext.support.words import check_text, count_words, is_unspaced
from ergotext.tasks.budget import REWORDED, Budget
from ergotext.tasks.demands import default_context
from ergotext.tasks.given import check_wordings
from ergotext.tasks.kept_parts import kept_parts, same_negation
from ergotext.tasks.rewording import rewording
from ergotext.tasks.searching import chained, found_or_not, grown, only, turned

MEANING, MEANING_OF_WORDS, WORDING = 200.0, 40.0, 10.0
"""Weights of similarity by an encoder, of similarity by the words themselves, and of difference of
wording, beside a fluency of 2 to 4 nats a token. A cosine of 0.96 for 0.98 costs a token, and so
does repeating a third of the runs more. Words that are kept and words that differ are at odds, so
kept ones weigh less."""
LEAST, LEAST_OF_WORDS = 0.8, 0.3
"""Similarities below which a text is no paraphrase, by an encoder and by words."""
SPREAD = 3.0
"""Standard deviation of the length, in tokens, about that of the text."""
FEWEST, MOST = 0.75, 1.34
"""Words of a text that is grown, as a share of those given: shorter ones leave something out."""
THRESHOLD = 0.1
"""Particles are resampled late, as their weights do not know of meaning: the more of them differ,
the more there is to choose from."""


def paraphrase(
    text: str,
    lm: CausalLM,
    budget: Budget | None = None,
    *,
    encoder: SentenceEncoder | None = None,
    meaning: float | None = None,
    wording: float = WORDING,
    least: float | None = None,
    progress: bool = True,
) -> Result | WeightedResult:
    """Look for fluent texts that mean the same in other words.

    The energy is fluency, closeness of meaning, difference of wording, and a length about that of
    the text; texts that are not close enough are forbidden. Particles (smc) are proposed by the
    same model after the text and examples of rewording (``rewording``). They keep names, numbers
    and quotations (``kept_parts``), have about as many words as the text, and a negation if it has
    one; their weights are those of exp(−E). Chains start from the text itself and edit it, and
    nothing is held.

    Parameters
    ----------
    text : str
    lm : CausalLM
    budget : Budget, optional
    encoder : SentenceEncoder, optional
        Sentence encoder for similarity; without one, word overlap is used.
    meaning : float, optional
        Weight of closeness of meaning, above 0: 200, or 40 without an encoder.
    wording : float
        Weight of difference of wording.
    least : float, optional
        Least similarity, 0 to 1: by default a cosine of 0.8, or 0.3 without an encoder.

    Returns
    -------
    WeightedResult or Result
        Of particles or of chains; ``others(result, text, n)`` are the n best.

    Raises
    ------
    InputError
        The text has no words, or holds what the model cannot spell; the least similarity is
        outside [0, 1], or the weight of meaning is not above 0.
    ZeroWeightError
        No particle came close enough to the text.

    References
    ----------
    Liu et al. 2020, "Unsupervised paraphrasing by simulated annealing" (UPSA), section 3.1, for
    the objective. The chain here accepts by energies of whole texts and exact proposal ratios.
    """
    check_text(text, "what is paraphrased")
    found = paraphrase_all(
        [text], lm, budget,
        encoders=[encoder], meaning=meaning, wording=wording, least=least, progress=progress,
    )  # fmt: skip
    return only(found)


def paraphrase_all(
    texts: Sequence[str],
    lm: CausalLM,
    budget: Budget | None = None,
    *,
    encoders: Sequence[SentenceEncoder | None] | None = None,
    meaning: float | None = None,
    wording: float = WORDING,
    least: float | None = None,
    progress: bool = True,
) -> Iterator[Result | WeightedResult | ZeroWeightError]:
    """``paraphrase`` for several texts; all are checked before time is spent on the first.

    Where no particle came close enough to a text, the error stands for its result, and the others
    go on.

    Parameters
    ----------
    texts : sequence of str
    lm : CausalLM
    budget : Budget, optional
    encoders : sequence of (SentenceEncoder or None), optional
        One for each text (``encoders_for``).
    """
    check_wordings(texts, least)
    if meaning is not None and not meaning > 0:
        raise InputError(f"the weight of meaning must be above 0, got {meaning}")
    b = budget or Budget()
    encoders = encoders or [None] * len(texts)
    problems = [
        _problem(text.strip(), lm, b, _Wish(encoder, meaning, wording, least))
        for text, encoder in zip(texts, encoders, strict=True)
    ]
    return found_or_not(lambda problem: _found(problem, b, progress), problems)


class _Wish(NamedTuple):
    """What a paraphrase must be."""

    encoder: SentenceEncoder | None
    meaning: float | None
    wording: float
    least: float | None

    @property
    def floor(self) -> float:
        """The least similarity."""
        return _least(self.encoder, self.least)


class _Rewording(NamedTuple):
    """A text to paraphrase, in the tokens of a model."""

    text: str
    own: CausalLM
    start: list[int]
    proposed: Fluency | None
    """Of texts that are grown."""
    end: End
    max_length: int
    wish: _Wish


def _problem(text: str, lm: CausalLM, budget: Budget, wish: _Wish) -> _Rewording:
    """What is cheap to make of a text; InputError if the model has no room for it."""
    own = lm.given(default_context([text]))
    start = _spelled(text, own)
    single = budget.grows and one_sentence(text)
    end: End = "sentence" if single else "token"
    if not budget.grows:
        check_window(fluency(own), most := 2 * len(start) + 10)
        return _Rewording(text, own, start, None, end, most, wish)
    most = len(start) + math.ceil(3 * SPREAD)
    proposed = rewording(text, lm, most, single=single)
    check_window(proposed, most)
    return _Rewording(text, own, start, proposed, end, most, wish)


def _found(problem: _Rewording, budget: Budget, progress: bool) -> Result | WeightedResult:
    text, own, start, proposed, end, most, wish = problem
    same = closeness_of(text, own, wish.encoder, wish.least)
    usual = MEANING_OF_WORDS if wish.encoder is None else MEANING
    energy = (
        fluency(own, end=end)
        + (usual if wish.meaning is None else wish.meaning) * same
        + wish.wording * difference(text)
        + length(len(start), SPREAD)
    )
    if proposed is None:
        return chained(energy, budget, most, initial=TokenBatch.of([start]), progress=progress)
    demanded, negation = _demanded(text, own), same_negation(text).bind(own)
    ahead = demanded + length(len(start), SPREAD)
    # Which of the texts will do is known only when all are there: none is left out before.
    whole: dict[str, Any] = {"threshold": THRESHOLD, "proposal_dtype": "float32", "finals": None}
    many = budget if budget.particles else replace(budget, particles=REWORDED)
    found = grown(proposed, ahead, many, most, progress=progress, **whole)
    nothing = (
        f"came to a similarity of {wish.floor:g} to the text without losing its negation or "
        "getting one: use more particles, or allow less similar texts"
    )
    return turned(found, energy + demanded + negation, same.bind(own) + negation, nothing)


def _demanded(text: str, lm: CausalLM) -> Keywords:
    """What particles must keep, and how many words they may have."""
    count = count_words(text)
    window = max(1, math.ceil(FEWEST * count)), max(count + 2, math.floor(MOST * count))
    return keywords(kept_parts(text, lm), True, (), window, one_line=True).bind(lm)


def closeness_of(
    text: str, lm: CausalLM, encoder: SentenceEncoder | None, least: float | None = None
) -> Term:
    """−log of the similarity to a text in nats, +inf below the least.

    Raises
    ------
    InputError
        The least similarity is outside [0, 1].
    """
    floor = _least(encoder, least)
    return kept_words(text, lm, floor) if encoder is None else similarity(text, encoder, floor)


def _least(encoder: SentenceEncoder | None, least: float | None) -> float:
    if least is not None:
        return least
    return LEAST_OF_WORDS if encoder is None else LEAST


def _spelled(text: str, lm: CausalLM) -> list[int]:
    vocabulary = lm.vocabulary
    ids = vocabulary.encode(text if is_unspaced(text[0]) else f" {text}")
    if not bool(vocabulary.allowed[ids].all()) or vocabulary.text(ids).strip() != text:
        raise InputError(
            f"this model's tokenizer cannot spell {text!r} (it reads back "
            f"{vocabulary.text(ids).strip()!r}); choose another text or model"
        )
    return ids
