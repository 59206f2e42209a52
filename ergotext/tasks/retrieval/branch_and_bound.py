"""Find the best keys by branch and bound, scoring only those that can still win.

A log-probability is never above 0, so a key's score is never above its potential.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from ergotext.lm.protocols import Decoding
from ergotext.lm.ragged import take_rows
from ergotext.lm.trie.by_ordinal import keys_numbered
from ergotext.lm.trie.restricted import RestrictedKeys
from ergotext.lm.trie.tree import TokenTrie
from ergotext.samplers.search.tails import numbers
from ergotext.support.arrays import Floats, Ints
from ergotext.tasks.retrieval.schema import ScoredKey


def proven_best(
    decoding: Decoding,
    automaton: TokenTrie | RestrictedKeys,
    ordinals: Sequence[Ints],
    potentials: Sequence[Floats],
    k: int,
    most: int,
) -> list[list[ScoredKey] | None]:
    """The best ``k`` of each question's keys; None where too many would have to be scored.

    The ``k`` keys of highest potential are scored first. What then has a potential above the least
    of these scores may still be better, and if it is ``most`` keys at most, they are scored too.

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
    """
    order = [
        at[np.argsort(-values[at], kind="stable")]
        for values, at in ((values, np.flatnonzero(values > -np.inf)) for values in potentials)
    ]
    found: list[list[ScoredKey]] = [[] for _ in order]

    def score(chosen: list[Ints]) -> None:
        row = np.repeat(np.arange(len(chosen)), [len(at) for at in chosen])
        number = [keys[at] for keys, at in zip(ordinals, chosen, strict=True)]
        flat, offsets = keys_numbered(automaton, row, np.concatenate(number))
        log_prob = keys_log_prob(decoding, row, flat, offsets)
        value = np.concatenate([v[at] for v, at in zip(potentials, chosen, strict=True)])
        scored = zip(row.tolist(), log_prob.tolist(), value.tolist(), strict=True)
        for place, (question, one, more) in enumerate(scored):
            if one > -np.inf:
                tokens = tuple(flat[offsets[place] : offsets[place + 1] - 1].tolist())
                found[question].append(ScoredKey(tokens, one, one + more))
        for one in found:
            one.sort(key=lambda answer: (-answer.score, answer.tokens))
            del one[k:]

    score([at[:k] for at in order])
    least = [one[-1].score if len(one) == k else -np.inf for one in found]
    rivals = [
        at[k:][values[at[k:]] > low]
        for at, values, low in zip(order, potentials, least, strict=True)
    ]
    few = [len(at) <= most for at in rivals]
    score([at if one else at[:0] for at, one in zip(rivals, few, strict=True)])
    return [answers if one else None for answers, one in zip(found, few, strict=True)]


def keys_log_prob(decoding: Decoding, row: Ints, ids: Ints, offsets: Ints) -> Floats:
    """float64 [n]: log p(key, end | its row) of keys; -inf for those the model has no room for."""
    found = np.full(len(row), -np.inf)
    fits = np.flatnonzero(np.diff(offsets) <= decoding.room.numpy()[row])
    if len(fits):
        flat, bounds = take_rows(ids, offsets, fits)
        scores = decoding.rest_log_prob(*map(torch.from_numpy, (row[fits], flat, bounds)))
        found[fits] = np.add.reduceat(numbers(scores), bounds[:-1])
    return found
