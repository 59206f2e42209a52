"""Exact twist of an automaton that accepts few texts: each is scored by the model beforehand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from ergotext.lm.automaton_base import check_known
from ergotext.lm.batch import TokenBatch
from ergotext.lm.protocols import Automaton, NextTokenScorer
from ergotext.lm.twist.backward import FLOOR
from ergotext.lm.twist.product import bounded
from ergotext.support.arrays import Floats, Ints

MOST, MOST_LOOKED = 1024, 256
"""Texts up to which they are listed; and where states are found only by looking at each of them."""
AT_ONCE = 64
"""Texts that are scored side by side."""

Ids = tuple[int, ...]


def listed(automaton: Automaton, max_length: int, most: int = MOST) -> list[Ids] | None:
    """Every token sequence that an automaton accepts; None if there are more.

    Parameters
    ----------
    automaton : Automaton
    max_length : int
        Most tokens, the end token not counted.
    most : int
        Sequences, and unfinished ones of one length, up to which they are looked for.
    """
    begun, states, found = [()], automaton.start(1), list[Ids]()
    for length in range(max_length + 1):
        row, token, after = automaton.candidates(states)
        going = token != automaton.end
        found += [begun[r] for r in row[~going].tolist()]
        if len(found) + int(going.sum()) > most and length < max_length:
            return None
        begun = [(*begun[r], t) for r, t in zip(row[going].tolist(), token[going], strict=True)]
        states = after[going]
    return [tuple(map(int, ids)) for ids in found]


class ListedTwist:
    """ψ for the states of an automaton whose texts are all known (``protocols.Twist``).

    Parameters
    ----------
    automaton : Automaton
    texts : sequence of (tuple of int)
        All that it accepts within the greatest length.
    scorer : NextTokenScorer
    log_length : float64 [L + 1]
        Nats for a text of each length.
    power : float

    Raises
    ------
    InputError
        A text has a token that the model lacks.

    Notes
    -----
    V of a state is the sum of the target over all texts that go through it, divided by the sum over
    their beginnings. A state that has one beginning, such as any of a trie, has the exact value,
    and particles that follow it are independent draws of equal weight.
    """

    def __init__(
        self,
        automaton: Automaton,
        texts: Sequence[Ids],
        scorer: NextTokenScorer,
        log_length: Floats,
        power: float = 1.0,
    ) -> None:
        self.automaton, self._log_length = automaton, bounded(log_length)
        check_known(np.array([t for ids in texts for t in ids], dtype=int), len(scorer.allowed))
        whole, begun = dict[int, float](), dict[int, dict[Ids, float]]()
        for first in range(0, len(texts), AT_ONCE):
            part = texts[first : first + AT_ONCE]
            scores = power * scorer.token_log_prob(TokenBatch.of(part))
            sums = torch.nn.functional.pad(scores.cumsum(1), (1, 0)).tolist()
            for ids, log_begun in zip(part, sums, strict=True):
                total = log_begun[len(ids) + 1] + self._log_length[len(ids)]
                for place, state in enumerate(self._walked(ids)):
                    whole[state] = np.logaddexp(whole.get(state, -np.inf), total)
                    begun.setdefault(state, {})[ids[:place]] = log_begun[place]
        self._value = {
            state: total - float(np.logaddexp.reduce(list(begun[state].values())))
            for state, total in whole.items()
            if total > -np.inf
        }
        """log V of each state that the model may come to"""
        self._scale = np.full(len(log_length), -np.inf)
        for state, value in self._value.items():
            for depth in {len(ids) for ids in begun[state]}:
                self._scale[depth] = max(self._scale[depth], value)

    def psi(self, states: Ints, left: int, size: int) -> Floats:
        """float64 [B, size]: of each next token, with ``left`` tokens to follow it."""
        psi = np.zeros((len(states), size))
        row, token, after = self.automaton.candidates(states)
        check_known(token, size)
        over = self._log_length[len(self._log_length) - 2 - left]
        log_value = np.array([self._value.get(state, -np.inf) for state in after.tolist()])
        log_value[token == self.automaton.end] = over
        scale = max(self._scale[len(self._scale) - 1 - left], over)
        log_value -= scale if np.isfinite(scale) else 0.0
        value = np.exp(np.clip(log_value, *np.log([FLOOR, 1 / FLOOR])))
        psi[row, token] = np.where(log_value > -np.inf, value, 0.0)
        return psi

    def _walked(self, ids: Ids) -> list[int]:
        """The states before each token, and after the last."""
        states = [self.automaton.start(1)]
        for token in ids:
            states.append(self.automaton.advance(states[-1], np.array([token])))
        return [int(state[0]) for state in states]
