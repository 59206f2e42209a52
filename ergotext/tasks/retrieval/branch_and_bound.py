"""Prove the best keys of questions by branch and bound."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ergotext.lm.protocols import Decoding
from ergotext.lm.trie.by_ordinal import keys_numbered
from ergotext.lm.trie.restricted import RestrictedKeys
from ergotext.lm.trie.tree import TokenTrie
from ergotext.support.arrays import Floats, Ints
from ergotext.tasks.retrieval.answers import ScoredKey
from ergotext.tasks.retrieval.probability import keys_log_prob

MOST_SCORED = 1024
"""Keys of a question that are scored at most for a calibrated probability."""
NEGLIGIBLE = 1e-4
"""What the keys that are not scored for a probability weigh together at most, beside the best."""


def proven_best(
    decoding: Decoding,
    automaton: TokenTrie | RestrictedKeys,
    ordinals: Sequence[Ints],
    potentials: Sequence[Floats],
    k: int,
    most: int,
    temperature: float | None = None,
) -> list[list[ScoredKey] | None]:
    """The best ``k`` of each question's keys; None where too many would have to be scored.

    By branch and bound: a log-probability is never above 0, so a key's score is never above its
    potential. The ``k`` keys of highest potential are scored first. What then has a potential
    above the least of these scores may still be better, and if it is ``most`` keys at most, they
    are scored too.

    Parameters
    ----------
    decoding : Decoding
        One row a question, nothing written yet.
    automaton : TokenTrie or Within
        Holds the keys.
    ordinals, potentials : sequence of int64 [n] and float64 [n]
        For each question the numbers of its keys and their potentials, in nats; keys of -inf are
        out of the question.
    k, most : int
    temperature : float, optional
        T. Of at most ``MOST_SCORED`` keys also those are scored and returned that count in the sum
        of exp(score / T): all others weigh, by their potentials, at most ``NEGLIGIBLE`` times the
        best together.
    """
    order = [
        at[np.argsort(-values[at], kind="stable")]
        for values, at in ((values, np.flatnonzero(values > -np.inf)) for values in potentials)
    ]
    found: list[list[ScoredKey]] = [[] for _ in order]

    def score(chosen: list[Ints]) -> None:
        keys = [of[at] for of, at in zip(ordinals, chosen, strict=True)]
        values = [of[at] for of, at in zip(potentials, chosen, strict=True)]
        for best, more in zip(found, _scored_keys(decoding, automaton, keys, values), strict=True):
            best += more
            best.sort(key=lambda answer: (-answer.score, answer.tokens))

    score([at[:k] for at in order])
    rivals, few, kept = [], [], []
    for at, values, best in zip(order, potentials, found, strict=True):
        least = best[k - 1].score if len(best) >= k else -np.inf
        count, limit = int((values[at] > least).sum()), k
        if temperature is not None and len(at) <= MOST_SCORED:
            highest = best[0].score if best else -np.inf
            count, limit = max(count, _weighty(values[at], highest, temperature)), len(at)
        rivals.append(at[k:count])
        few.append(limit > k or count - k <= most)
        kept.append(limit)
    score([at if one else at[:0] for at, one in zip(rivals, few, strict=True)])
    return [
        answers[:count] if one else None
        for answers, one, count in zip(found, few, kept, strict=True)
    ]


def few_enough(potentials: Floats) -> bool:
    """Whether ``proven_best`` scores all keys of these potentials that count in a sum."""
    return int((potentials > -np.inf).sum()) <= MOST_SCORED


def _weighty(falling: Floats, best: float, temperature: float) -> int:
    """How many of falling potentials it takes so that the rest is negligible beside the best."""
    rest = np.logaddexp.accumulate(falling[::-1] / temperature)[::-1]
    return int((rest > best / temperature + math.log(NEGLIGIBLE)).sum())


def _scored_keys(
    decoding: Decoding,
    automaton: TokenTrie | RestrictedKeys,
    ordinals: Sequence[Ints],
    potentials: Sequence[Floats],
) -> list[list[ScoredKey]]:
    """The keys of each question with these numbers; those of probability 0 are left out."""
    row = np.repeat(np.arange(len(ordinals)), [len(keys) for keys in ordinals])
    flat, offsets = keys_numbered(automaton, row, np.concatenate(ordinals))
    log_prob = keys_log_prob(decoding, row, flat, offsets)
    found: list[list[ScoredKey]] = [[] for _ in ordinals]
    scored = zip(row.tolist(), log_prob.tolist(), np.concatenate(potentials).tolist(), strict=True)
    for place, (question, one, more) in enumerate(scored):
        if one > -np.inf:
            tokens = tuple(flat[offsets[place] : offsets[place + 1] - 1].tolist())
            found[question].append(ScoredKey(tokens, one, one + more))
    return found
