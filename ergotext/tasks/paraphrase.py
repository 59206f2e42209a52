"""Paraphrase a text by annealing over fluency, similarity and difference of wording."""

from __future__ import annotations

from collections.abc import Sequence

from ergotext.errors import InputError
from ergotext.lm.batch import TokenBatch
from ergotext.lm.causal import CausalLM
from ergotext.lm.energies.embedding import (
    BUNDLED,
    SentenceEncoder,
    installed,
    load_encoder,
    similarity,
)
from ergotext.lm.energies.overlap import difference, kept_words, words_of
from ergotext.lm.energies.term import Sum
from ergotext.lm.energies.terms import fluency, length
from ergotext.samplers.result import Result
from ergotext.samplers.texts import Sample
from ergotext.support.words import check_text, is_unspaced
from ergotext.tasks.budget import Budget, chained
from ergotext.tasks.texts import as_json as records
from ergotext.tasks.write import default_context

MEANING, WORDING = 40.0, 10.0
"""Weights of closeness of meaning and difference of wording beside a fluency of 3 to 4 nats a
token: a cosine of 0.8 for 0.9 costs a token, and so does repeating a third of the runs more."""
SPREAD = 3.0
"""Standard deviation of the length, in tokens, about that of the text."""


def paraphrase(
    text: str,
    lm: CausalLM,
    budget: Budget | None = None,
    *,
    encoder: SentenceEncoder | None = None,
    meaning: float = MEANING,
    wording: float = WORDING,
    progress: bool = True,
) -> Result:
    """Look for fluent texts that mean the same in other words, starting from the text itself.

    Parameters
    ----------
    text : str
    lm : CausalLM
    budget : Budget, optional
    encoder : SentenceEncoder, optional
        Sentence encoder for similarity; without one, word overlap is used.
    meaning, wording : float
        Weights of closeness of meaning and of difference of wording.

    Returns
    -------
    Result
        ``others(result, text, n)`` are the n best.

    Raises
    ------
    InputError
        The text has no words, or holds what the model cannot spell.

    References
    ----------
    Liu et al. 2020, "Unsupervised paraphrasing by simulated annealing" (UPSA), section 3.1, for
    the objective. The chain here accepts by energies of whole texts and exact proposal ratios.
    """
    check_text(text, "what is paraphrased")
    b = budget or Budget("annealing")
    text = text.strip()
    own = lm.given(default_context([text]))
    start = _spelled(text, own)
    energy = energy_of(text, own, encoder, meaning, wording, len(start))
    return chained(
        energy,
        b,
        max_length=2 * len(start) + 10,
        initial=TokenBatch.of([start]),
        progress=progress,
    )


def energy_of(
    text: str,
    lm: CausalLM,
    encoder: SentenceEncoder | None,
    meaning: float,
    wording: float,
    tokens: int,
) -> Sum:
    """The energy that ``paraphrase`` minimises."""
    same = kept_words(text, lm) if encoder is None else similarity(text, encoder)
    return fluency(lm) + meaning * same + wording * difference(text) + length(tokens, SPREAD)


def others(result: Result, text: str, count: int) -> list[Sample]:
    """The ``count`` best texts of a run whose words are not the text's own, in its order."""
    own = words_of(text)
    return [s for s in result.best(4 * count) if words_of(s.text) != own][:count]


def encoder_for(text: str, name: str) -> SentenceEncoder | None:
    """The sentence encoder of that name; ``words``: none; ``auto``: ``minilm`` where it will do.

    That is for a text in a script with spaces (it knows English), if it is installed.
    """
    if not name.strip():
        raise InputError("the similarity is empty; use words, minilm, a folder or a hub id")
    if name == "words" or (name == "auto" and (not installed() or any(map(is_unspaced, text)))):
        return None
    return load_encoder(BUNDLED if name == "auto" else name)


def as_json(found: Sequence[Sample], text: str, ascii_only: bool = False) -> str:
    """One JSON object per paraphrase and line."""
    return records(found, [{"paraphrase_of": text}] * len(found), ascii_only)


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
