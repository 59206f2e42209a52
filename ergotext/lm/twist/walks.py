"""Let a model write in an automaton, to learn the twist of it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from ergotext.lm.protocols import Automaton, NextTokenScorer
from ergotext.lm.twist.automata import CURIOUS, AutomatonTwist
from ergotext.lm.twist.hazards import Categorical, powered
from ergotext.lm.twist.places import PlaceGraph
from ergotext.support.arrays import Floats, Ints

ROWS, ROUNDS = 16, 3
"""Texts that are written side by side to learn from, and how often."""
NEWER = 4.0
"""How much more the texts of a round count than those of the one before, which knew less."""


def learned(
    automaton: Automaton,
    scorer: NextTokenScorer,
    log_length: Floats,
    categorical: Categorical,
    *,
    power: float = 1.0,
    rows: int = ROWS,
    rounds: int = ROUNDS,
) -> AutomatonTwist:
    """The twist of an automaton by texts that the model writes in it.

    Each round writes with the twist of the rounds before.

    Parameters
    ----------
    automaton : Automaton
    scorer : NextTokenScorer
    log_length : float64 [L + 1]
    categorical : callable
        The draws, of a seed of their own: the texts are no part of what they are used for.
    power : float
        α: the target has p^α.
    rows, rounds : int

    References
    ----------
    Guarniero, Johansen and Lee 2017, "The iterated auxiliary particle filter": twists learned from
    the runs before; here over the places of an automaton.
    """
    scorer.forget()
    length = len(log_length) - 1
    graph = PlaceGraph(automaton, len(scorer.allowed))
    for number in range(rounds):
        twist = AutomatonTwist(graph, log_length)
        for states, chance in _written(twist, scorer, categorical, power, rows, length):
            graph.see(states, chance, NEWER**number)
    return AutomatonTwist(graph, log_length)


def _written(
    twist: AutomatonTwist,
    scorer: NextTokenScorer,
    categorical: Categorical,
    power: float,
    rows: int,
    length: int,
) -> Iterator[tuple[Ints, Floats]]:
    """Write ``rows`` texts with a twist: at each length their states, and the model's law there.

    States that the caller adds to the twist's graph count from the next token on.
    """
    automaton = twist.automaton
    texts: list[tuple[int, ...]] = [()] * rows
    states = automaton.start(rows)
    for left in range(length - 1, -2, -1):
        chance = powered(scorer, texts, power)
        yield states, chance.numpy()
        if left < 0:  # an end is forced: nothing is drawn
            return
        law = chance * torch.from_numpy(twist.curious(states, left, chance.shape[1]))
        law[:, automaton.end] /= CURIOUS  # an end teaches nothing
        alive = (law.sum(1) > 0).nonzero()[:, 0]
        if not len(alive):
            return
        token = categorical(law[alive] / law[alive].sum(1, keepdim=True)).numpy()
        states = automaton.advance(states[alive.numpy()], token)
        texts = [(*texts[r], t) for r, t in zip(alive.tolist(), token.tolist(), strict=True)]
        going = np.flatnonzero((states >= 0) & (token != automaton.end))
        states, texts = states[going], [texts[n] for n in going.tolist()]
        if not texts:
            return
