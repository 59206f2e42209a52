"""How many tokens a chain of words still takes, at least."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ergotext.lm.automata.chains import Chain
from ergotext.lm.automata.utf8 import run
from ergotext.lm.characters import points_of
from ergotext.lm.ragged import Ints, offsets_of

_ASCII = 0x80


def fewest(chain: Chain, reached: NDArray[np.int32], going_on: list[str]) -> Ints:
    """int64 [positions]: no fewer tokens lead from each position of a chain to one that covers it.

    The shortest ways of a graph that has every way there is, and some more: which character a
    token completes is not asked, only that it is none of ASCII.

    Parameters
    ----------
    chain : Chain
    reached : int32 [positions, n]
        Where tokens lead that begin with a character.
    going_on : list of str
        What others write behind the character that they complete.
    """
    beyond = [c for c in range(chain.step.shape[1]) if not chain.is_ascii(c)]
    behind = sorted(set(going_on))
    offsets = offsets_of(np.array([len(text) for text in behind], dtype=np.int64))
    points = points_of("".join(behind)).astype(np.int64)
    # A token that completes nothing stays where it is; that is no shorter way.
    rests = run(chain.step, chain.symbols(points) if len(points) else points, offsets)
    ways = [np.unique(reached[p]) for p in range(len(chain.step))]
    ways = [np.union1d(w, rests[chain.step[p, beyond]]) for p, w in enumerate(ways)]
    far = len(chain.step)
    left: Ints = np.where(chain.covers, 0, far).astype(np.int64)
    for _ in range(far):
        left = np.minimum(left, [1 + left[way].min() for way in ways])
    return left
