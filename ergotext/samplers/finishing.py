"""Near the maximum length, propose only tokens after which a text can finish in time.

An automaton's ``least`` is a bound. Where it is not exact, tokens remain that lead past the
greatest length, and a draw that takes one is lost. Some automata find endings
(``protocols.Ending``), so of some tokens it is known that a text can end in time after them. Of the
others it is not known that it cannot: they keep a small share of the draws, and the weights make up
for that.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ergotext.lm.protocols import Automaton, Ending
from ergotext.support.arrays import Floats, Ints

SHARE = 1e-3
"""Of the draws at each token, what is left to tokens after which no ending in time is known."""
LOG_LOST = -1e4
"""In nats, of every token of a row without a known ending in time, so that smc does not copy it.

More than all that a row which can end may have to write is likely to cost: else rows that write
what is likely and cannot end weigh more than those that write what they must.
"""
LOOKS = 24
"""Kinds of tokens of which it is looked up, for each row and place."""
NEAR = 32
"""Tokens: an ending of n is far off where twice as many and these may still be written."""


def log_trust(
    automaton: Automaton,
    states: Ints,
    room: Ints,
    row: Ints,
    token: Ints,
    after: Ints,
    score: Tensor,
) -> Tensor:
    """float64 [n], nats: a factor of each candidate: 0 where an ending in time is known, else less.

    It depends on what a proposal knows before the draw and on nothing else.

    Parameters
    ----------
    automaton : Automaton
    states, room : int64 [B]
        Of each row: its state, and the tokens that may follow the next one, the end token left out.
    row, token, after : int64 [n]
        The candidates, by rising row.
    score : float64 [n]
        log p of each.
    """
    trust = np.zeros(len(row))
    if not len(row) or is_far(automaton, int(room.min())):
        return torch.from_numpy(trust)
    assert isinstance(automaton, Ending)
    bounds = np.searchsorted(row, np.arange(len(states) + 1))
    for place, (state, left) in enumerate(zip(states.tolist(), room.tolist(), strict=True)):
        mine = slice(bounds[place], bounds[place + 1])
        ending = automaton.ending(state)
        if ending is None or len(ending) > left + 1:
            trust[mine] = LOG_LOST
            continue
        if left >= 2 * len(ending) + NEAR:
            continue
        mass = score[mine].softmax(0).numpy()
        # These are known to lead to the end, and say nothing about others of their kinds.
        on = np.isin(token[mine], (*ending[:1], automaton.end))
        known = on | _known(automaton, left, token[mine], after[mine], np.where(on, 0.0, mass))
        trust[mine] = np.where(known, 0.0, _share(mass, known))
    return torch.from_numpy(trust)


def is_far(automaton: Automaton, room: int) -> bool:
    """Whether all tokens are trusted, with so much room, or for want of anything known."""
    if not isinstance(automaton, Ending):
        return True
    start = automaton.ending(int(automaton.start(1)[0]))
    return start is None or room > 2 * (2 * len(start) + NEAR)


def _share(mass: Floats, known: NDArray[np.bool_]) -> float:
    """log of the factor that leaves ``SHARE`` to what is not known; 0 where nothing else is."""
    some, others = float(mass[known].sum()), float(mass[~known].sum())
    if not (some > 0 and others > 0):
        return 0.0
    return min(0.0, float(np.log(SHARE / (1 - SHARE)) + np.log(some) - np.log(others)))


def _known(
    automaton: Ending, left: int, token: Ints, after: Ints, mass: Floats
) -> NDArray[np.bool_]:
    """bool [n]: tokens of a kind after whose likeliest one an ending in time is known."""
    kinds = np.arange(len(token)) if len(token) <= LOOKS else automaton.kinds()[token]
    each, which = np.unique(kinds, return_inverse=True)
    likely = np.lexsort((-mass, which))
    first = likely[np.searchsorted(which[likely], np.arange(len(each)))]
    weight = np.bincount(which, weights=mass, minlength=len(each))
    order = np.argsort(-weight, kind="stable")
    enough = int(np.searchsorted(np.cumsum(weight[order]), weight.sum() - SHARE))
    looked = order[: 1 + enough][:LOOKS]
    ends = np.zeros(len(each), dtype=bool)
    for kind in looked.tolist():
        ending = automaton.ending(int(after[first[kind]]))
        ends[kind] = ending is not None and len(ending) <= left
    known: NDArray[np.bool_] = ends[which]
    return known
