"""Restrict a trie to keys given by number."""

from __future__ import annotations

import numpy as np

from ergotext.lm.ragged import offsets_of
from ergotext.lm.trie.restricted import RestrictedKeys
from ergotext.lm.trie.tree import TokenTrie
from ergotext.support.arrays import Ints


def keys_numbered(
    automaton: TokenTrie | RestrictedKeys, inputs: Ints, ordinals: Ints
) -> tuple[Ints, Ints]:
    """Flat int64 tokens, end tokens included, and offsets [n + 1] of the keys with these numbers.

    Within the paths of an input few edges leave a node, so that its keys are come by cheaply.

    Parameters
    ----------
    automaton : TokenTrie or Within
    inputs : int64 [n]
        The input that may go along each key; of no matter for a ``TokenTrie``.
    ordinals : int64 [n]
        The number of each in sorted order.
    """
    if isinstance(automaton, RestrictedKeys):
        trie, state = automaton.trie, automaton.start(automaton.inputs)[inputs]
    else:
        trie, state = automaton, automaton.start(len(inputs))
    rows, tokens = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
    at = np.arange(len(ordinals))
    while len(at):
        edge, token, after = automaton.candidates(state)
        plain = automaton.plain(after) if isinstance(automaton, RestrictedKeys) else after
        low, high = trie.span(plain)
        wanted = ordinals[at[edge]]
        edge, token, after = (a[(low <= wanted) & (wanted < high)] for a in (edge, token, after))
        rows.append(at[edge])
        tokens.append(token)
        rest, offsets = automaton.rest(after)
        rows.append(np.repeat(at[edge], np.diff(offsets)))
        tokens.append(rest)
        going = (token != trie.end) & ~automaton.lone(after)
        at, state = at[edge][going], after[going]
    row, flat = np.concatenate(rows), np.concatenate(tokens)
    order = np.argsort(row, kind="stable")
    return flat[order], offsets_of(np.bincount(row, minlength=len(ordinals)))
