"""What a target demands, in words: for errors that say which demand is not met."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ergotext.lm.batch import TokenBatch
from ergotext.lm.protocols import Automaton, Demanding, Ending
from ergotext.support.arrays import Ints
from ergotext.support.words import counted

NAMED = 3
"""Demands that one message names at most."""
SHOWN = 240
"""Characters of a demand that are shown."""


def demanded(automaton: Automaton) -> str:
    """What every accepted text does, to follow "a text that"; empty where nobody can say it."""
    return _listed(automaton.demands()) if isinstance(automaton, Demanding) else ""


def shortfall(
    automaton: Automaton, batch: TokenBatch, refused: NDArray[np.bool_] | None = None
) -> str:
    """What texts that were given up lack, and how many tokens the shortest that would do takes.

    Parameters
    ----------
    automaton : Automaton
    batch : TokenBatch
        The texts, as far as they were written.
    refused : bool [B], optional
        Whether the automaton refused the token that came next.
    """
    states = _after(automaton, batch)
    refused = np.zeros(len(batch), dtype=np.bool_) if refused is None else refused
    accepted = automaton.accepting(states)
    met, broken = int((accepted & ~refused).sum()), int((accepted & refused).sum())
    said, that = [], demanded(automaton)
    if isinstance(automaton, Demanding) and that:
        missing, demands = automaton.unmet(states).sum(axis=0), automaton.demands()
        worst = [n for n in np.argsort(-missing, kind="stable").tolist() if missing[n]][:NAMED]
        said += [f"{missing[n]} were no text that {_cut(demands[n])}" for n in worst]
    elif met + broken < len(batch):
        said.append(f"{len(batch) - met - broken} did not satisfy the constraint")
    if broken:
        said.append(f"{broken} went on to no text that {that or 'satisfies the constraint'}")
    if met:
        said.append(
            f"{met} satisfied the constraint and have weight zero by the model or by another term "
            "of the energy"
        )
    return "; ".join([*said, *_shortest(automaton)])


def _shortest(automaton: Automaton) -> list[str]:
    """How many tokens an accepted text takes, as far as that is known."""
    start = automaton.start(1)
    least = int(automaton.least(start)[0])
    known = automaton.ending(int(start[0])) if isinstance(automaton, Ending) else None
    said = [f"the shortest text that would do takes at least {counted(least, 'token')}"]
    if known is not None and len(known) > least:
        said.append(f"one of {len(known)} is known")
    return [" (".join(said) + ")" * (len(said) - 1)] if least else []


def _listed(demands: Sequence[str]) -> str:
    more = len(demands) - NAMED
    shown = [*map(_cut, demands[:NAMED]), *([f"{more} demands more"] if more > 0 else [])]
    return " and ".join(shown)


def _cut(demand: str) -> str:
    return demand if len(demand) <= SHOWN else f"{demand[:SHOWN]}…"


def _after(automaton: Automaton, batch: TokenBatch) -> Ints:
    """[B]: the state after each row; that before a token that may not follow."""
    states, ids, length = automaton.start(len(batch)), batch.ids.numpy(), batch.length.numpy()
    for column in range(batch.longest):
        after = automaton.advance(states, ids[:, column])
        states = np.where((column < length) & (after >= 0), after, states)
    return states
