"""Paraphrase a text: fluent texts of the same meaning in other words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ergotext.errors import InputError
from ergotext.lm.batch import TokenBatch
from ergotext.lm.causal import CausalLM
from ergotext.lm.endings.sentence import one_sentence
from ergotext.lm.energies.embedding import (
    BUNDLED,
    SentenceEncoder,
    installed,
    load_encoder,
    similarity,
)
from ergotext.lm.energies.keywords import Keywords, keywords
from ergotext.lm.energies.overlap import difference, kept_words, words_of
from ergotext.lm.energies.term import Sum, Term
from ergotext.lm.energies.terms import End, fluency, length
from ergotext.samplers.result import Result
from ergotext.samplers.texts import Sample
from ergotext.samplers.weighted.result import WeightedResult
from ergotext.samplers.weighted.samples import ZeroWeightError
from ergotext.support.words import check_text, count_words, is_unspaced
from ergotext.tasks.budget import Budget, chained, grown, turned
from ergotext.tasks.kept_parts import kept_parts, same_negation
from ergotext.tasks.rewording import rewording
from ergotext.tasks.selection import alike, per_token
from ergotext.tasks.texts import as_json as records
from ergotext.tasks.write import default_context

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
NOTHING_ELSE = (
    "no other wording was found: all texts of the run have the words of the one given; use more "
    "particles (or steps), or another seed"
)


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
    b = budget or Budget()
    text = text.strip()
    own = lm.given(default_context([text]))
    start = _spelled(text, own)
    same = closeness_of(text, own, encoder, least)
    if meaning is None:
        meaning = MEANING_OF_WORDS if encoder is None else MEANING
    if not meaning > 0:
        raise InputError(f"the weight of meaning must be above 0, got {meaning}")
    single = b.grows and one_sentence(text)
    end: End = "sentence" if single else "token"
    energy = (
        fluency(own, end=end)
        + meaning * same
        + wording * difference(text)
        + length(len(start), SPREAD)
    )
    if not b.grows:
        return chained(
            energy,
            b,
            max_length=2 * len(start) + 10,
            initial=TokenBatch.of([start]),
            progress=progress,
        )
    most = len(start) + math.ceil(3 * SPREAD)
    demanded, negation = _demanded(text, own), same_negation(text).bind(own)
    proposed = rewording(text, lm, most, single=single)
    ahead = demanded + length(len(start), SPREAD)
    # Which of the texts will do is known only when all are there: none is left out before.
    whole: dict[str, Any] = {"threshold": THRESHOLD, "proposal_dtype": "float32", "finals": None}
    found = grown(proposed, ahead, b, most, progress=progress, **whole)
    try:
        return turned(found, energy + demanded + negation, same.bind(own) + negation)
    except ZeroWeightError as error:
        floor = _least(encoder, least)
        raise ZeroWeightError(
            f"none of {found.samples.tries} particles came to a similarity of {floor:g} to the "
            "text without losing its negation or getting one: use more particles, or allow less "
            "similar texts"
        ) from error


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
    if not 0 <= floor <= 1:
        raise InputError(f"the least similarity must be from 0 to 1, got {floor}")
    return kept_words(text, lm, floor) if encoder is None else similarity(text, encoder, floor)


def _least(encoder: SentenceEncoder | None, least: float | None) -> float:
    if least is not None:
        return least
    return LEAST_OF_WORDS if encoder is None else LEAST


def similarity_of(one: Sample, result: Result | WeightedResult) -> float:
    """The similarity of a text that was found, 0 to 1."""
    problem = result.problem
    assert isinstance(problem, Sum)
    name = next(name for name in ("similarity", "kept_words") if name in one.terms)
    weight = problem.parts[problem.names.index(name)][0]
    return math.exp(-one.terms[name] / weight)


def others(result: Result | WeightedResult, text: str, count: int) -> list[Sample]:
    """The ``count`` best texts of a run whose words are not the text's own.

    Those that differ in more than a word from the text and from those before them go first, by
    their energy; with too few of these, others follow.
    """
    own = words_of(text)
    wide = 4 * count if isinstance(result, Result) else len(result.samples)
    every = [s for s in result.best(wide) if words_of(s.text) != own]
    found: list[Sample] = []
    for strict in (True, False):
        for one in every:
            near = any(alike(one.text, other) for other in [text, *(f.text for f in found)])
            if len(found) < count and one not in found and not (strict and near):
                found.append(one)
    return found


def encoder_for(text: str, name: str) -> SentenceEncoder | None:
    """The sentence encoder of that name; ``words``: none; ``auto``: ``minilm`` where it will do.

    That is for a text in a script with spaces (it knows English), if it is installed.
    """
    if not name.strip():
        raise InputError("the similarity is empty; use words, minilm, a folder or a hub id")
    if name == "words" or (name == "auto" and (not installed() or any(map(is_unspaced, text)))):
        return None
    return load_encoder(BUNDLED if name == "auto" else name)


def notes(found: Sequence[Sample], result: Result | WeightedResult) -> list[str]:
    """What a reader is told of each text: similarity, nats a token, energy."""
    return [
        f"similarity {similarity_of(one, result):.2f}, log p {one.log_prob:.1f}, "
        f"{per_token(one):.2f} a token, energy {one.energy:.1f}"
        for one in found
    ]


def as_json(
    found: Sequence[Sample],
    text: str,
    result: Result | WeightedResult,
    ascii_only: bool = False,
) -> str:
    """One JSON object per paraphrase and line."""
    beside = [{"paraphrase_of": text, "similarity": similarity_of(one, result)} for one in found]
    return records(found, beside, ascii_only)


def _spelled(text: str, lm: CausalLM) -> list[int]:
    if not words_of(text):
        raise InputError(f"the text {text!r} has no words to paraphrase")
    vocabulary = lm.vocabulary
    ids = vocabulary.encode(text if is_unspaced(text[0]) else f" {text}")
    if not bool(vocabulary.allowed[ids].all()) or vocabulary.text(ids).strip() != text:
        raise InputError(
            f"this model's tokenizer cannot spell {text!r} (it reads back "
            f"{vocabulary.text(ids).strip()!r}); choose another text or model"
        )
    return ids
