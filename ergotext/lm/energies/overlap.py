"""Word overlap with a reference text as an energy."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import torch

from ergotext.errors import InputError
from ergotext.lm.batch import TokenBatch
from ergotext.lm.causal import CausalLM
from ergotext.lm.energies.term import Term
from ergotext.lm.energies.terms import custom
from ergotext.support.plain_words import words_of
from ergotext.support.words import check_unicode

LONGEST = 4
"""Words of the longest run that counts as repeated."""
LEAST = 0.01
"""Shares below this cost no more: an energy must be finite for a search to leave."""


def repeated(reference: str, text: str) -> float:
    """In [0, 1]: the share of the text's runs of 1 to 4 words that the reference has as well.

    The mean of BLEU's modified n-gram precisions (Papineni et al. 2002, section 2.1) over the
    lengths that the text has runs of. BLEU itself takes their geometric mean, which is 0 wherever
    no run of four is repeated: a search would see no way from there.
    """
    own, other = words_of(text), words_of(reference)
    shares = []
    for n in range(1, min(LONGEST, len(own)) + 1):
        runs, known = _runs(own, n), _runs(other, n)
        shares.append((runs & known).total() / runs.total())
    return sum(shares) / len(shares) if shares else 0.0


def difference(reference: str) -> Term:
    """−log(1 − repeated) in nats: the cost of repeating the reference's words.

    Between 0 and 4.6; Liu et al. 2020, "Unsupervised paraphrasing by simulated annealing",
    equation 6, with ``repeated`` instead of BLEU.

    Parameters
    ----------
    reference : str

    Raises
    ------
    InputError
        The reference has no words.
    """
    _check(reference)
    term = custom(
        lambda texts: [-math.log(max(LEAST, 1.0 - repeated(reference, t))) for t in texts],
        "difference",
    )
    term.lowest, term.reference = 0.0, reference
    return term


def kept_words(reference: str, lm: CausalLM, least: float | None = None) -> Term:
    """−log of the share of the reference's information that the text repeats, in nats.

    A crude replacement for semantic similarity, without a sentence encoder. Each word
    weighs its information under the model, −log p of its tokens; so "the" counts
    little and a name much. Order does not count. Between 0 and 4.6.

    Parameters
    ----------
    reference : str
    lm : CausalLM
    least : float, optional
        Texts that repeat a smaller share are forbidden (+inf).

    Raises
    ------
    InputError
        The reference has no words.
    """
    _check(reference)
    count = Counter(words_of(reference))
    weight = dict(zip(count, _surprise(list(count), lm), strict=True))
    total = sum(weight[word] * times for word, times in count.items())

    def cost(text: str) -> float:
        kept = Counter(words_of(text)) & count
        share = sum(weight[word] * times for word, times in kept.items()) / total
        return closeness(share, least)

    term = custom(lambda texts: [cost(text) for text in texts], "kept_words")
    term.lowest, term.reference = 0.0, reference
    return term


def closeness(share: float, least: float | None = None) -> float:
    """−log of a similarity in nats, at most 4.6; +inf where it is below ``least``."""
    if least is not None and share < least:
        return math.inf
    return -math.log(max(LEAST, min(1.0, share)))


def _surprise(words: Sequence[str], lm: CausalLM) -> list[float]:
    """−log p of each word where a text begins, in nats."""
    batch = TokenBatch.of([lm.vocabulary.spell(word) for word in words])
    log_p = lm.token_log_prob(batch)
    inside = torch.arange(log_p.shape[1]) < batch.length[:, None]
    found: list[float] = (-(log_p * inside).sum(1)).tolist()
    return found


def _check(reference: str) -> None:
    check_unicode(reference)
    if not words_of(reference):
        raise InputError(f"the text {reference!r} has no words to compare with")


def _runs(words: Sequence[str], length: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(words[i : i + length]) for i in range(len(words) - length + 1))
