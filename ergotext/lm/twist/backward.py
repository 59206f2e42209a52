"""Backward sums: the mass of all ways to end a text, under a model of a few hazards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from ergotext.support.arrays import Floats

MOST_SETS = 1 << 16
"""Sets of missing keywords, times numbers of words, that are told apart; with more, only the number
of missing keywords is."""

FLOOR = 1e-200
"""Value, beside the largest, of states that the model of the rest gives up and the automaton does
not; a product with any probability that matters is no denormal number."""


@dataclass(frozen=True)
class Way:
    """A way to write a keyword.

    Parameters
    ----------
    chance : float
        That a place begins with it and goes on to its end.
    tokens, words : int
        Which it takes.
    """

    chance: float
    tokens: int
    words: int = 1


@dataclass(frozen=True)
class Rest:
    """The rest of a text as a few hazards.

    Parameters
    ----------
    keywords : sequence of (sequence of (sequence of Way))
        Chains of keywords that follow one another, and the ways to write each.
    ends, stopping, goes_on : float
        At a place inside a sentence: the mass of the end, of tokens that stop, and of all others.
    ends_stopped, goes_on_stopped : float
        After a token that stops.
    words : float64 [D]
        Of the tokens that do not stop, the share that begins 0, 1, … words.
    window : (int, int), optional
        Least and most words.
    """

    keywords: Sequence[Sequence[Sequence[Way]]]
    ends: float
    stopping: float
    goes_on: float
    ends_stopped: float
    goes_on_stopped: float
    words: Floats
    window: tuple[int, int] | None = None

    @property
    def coarse(self) -> bool:
        """Whether only the number of missing keywords is told apart."""
        counts = 1 if self.window is None else self.window[1] + 2
        return counts * prod(len(chain) + 1 for chain in self.keywords) > MOST_SETS

    @property
    def chains(self) -> Sequence[Sequence[Sequence[Way]]]:
        """The chains summed over: one of average keywords, if there are too many sets."""
        if not self.coarse:
            return self.keywords
        ways = [ways for chain in self.keywords for ways in chain]
        mean = float(np.exp(np.mean([np.log(sum(w.chance for w in each)) for each in ways])))
        tokens = round(np.mean([way.tokens for each in ways for way in each]))
        words = round(np.mean([way.words for each in ways for way in each]))
        left = range(len(ways), 0, -1)
        return [[[Way(min(0.5, mean * n), max(1, tokens), words)] for n in left]]


@dataclass(frozen=True, eq=False)
class Sums:
    """V^α by tokens left, keywords found of each chain, and words so far.

    ``inside[r]`` and ``stopped[r]`` are float64 [n1 + 1, …, nK + 1, W], over the largest of them,
    whose log in nats is ``log_scale[r]``: rows that are compared have the same number of tokens.
    """

    inside: Floats
    stopped: Floats
    log_scale: Floats
    """float64 [L + 1]"""
    over: Floats
    """float64 [L]: a text that ends where r tokens could follow its end token, on the same scale"""


def summed(rest: Rest, log_length: Floats, power: float) -> Sums:
    """The sums for every number of tokens left.

    V_0 = [all found, words in the window] · end · exp(log_length), and for r tokens left

        V_r = end + stop · V'_{r−1} + Σ_w way_w V_{r−m_w}(found) + other · V_{r−1},

    V' after a token that stops, which is over here or goes on as V does. For a target of p^α all
    sums are taken to the power α.

    Parameters
    ----------
    rest : Rest
    log_length : float64 [L + 1]
        Nats for a text of each length; -inf forbids it.
    power : float
        α.
    """
    most = len(log_length) - 1
    log_length = log_length / power
    chains = rest.chains
    done = _done(rest, [len(chain) + 1 for chain in chains])
    inside, stopped = (np.zeros((most + 1, *done.shape)) for _ in range(2))
    log_scale = np.zeros(most + 1)
    begun = sum(way.chance for chain in chains for ways in chain for way in ways)
    longest = max((w.tokens for chain in chains for ways in chain for w in ways), default=1)
    other = max(rest.goes_on - begun, rest.goes_on / 2)
    for left in range(most + 1):
        seen = log_scale[max(0, left - longest) : left]
        scale = max([*seen, log_length[most - left]])
        scale = scale if np.isfinite(scale) else 0.0
        share = np.exp(seen[::-1] - scale)  # by tokens from here
        over = done * np.exp(log_length[most - left] - scale)
        value = rest.ends * over
        if left:
            value = value + rest.stopping * share[0] * stopped[left - 1]
            value = value + other * share[0] * _worded(inside[left - 1], rest.words)
            for axis, chain in enumerate(chains):
                for stage, ways in enumerate(chain):
                    for way in ways:
                        if way.tokens <= left:
                            before = share[way.tokens - 1] * inside[left - way.tokens]
                            _add(value, axis, stage, way, before)
        after = rest.ends_stopped * over + rest.goes_on_stopped * value
        top = max(value.max(), after.max()) or 1.0
        inside[left], stopped[left] = value / top, after / top
        log_scale[left] = scale + np.log(top)
    log_over = power * (log_length[:most][::-1] - log_scale[:most])
    over = np.where(log_over > -np.inf, np.exp(np.clip(log_over, *np.log([FLOOR, 1 / FLOOR]))), 0.0)
    return Sums(inside**power, stopped**power, power * log_scale, over)


def _done(rest: Rest, sizes: Sequence[int]) -> Floats:
    """float64 [n1 + 1, …, nK + 1, W]: 1 where a text may end, else 0."""
    high = 0 if rest.window is None else rest.window[1] + 1
    done = np.zeros((*sizes, high + 1))
    met = slice(None) if rest.window is None else slice(rest.window[0], rest.window[1] + 1)
    done[tuple(size - 1 for size in sizes)][met] = 1.0
    return done


def _add(value: Floats, axis: int, stage: int, way: Way, before: Floats) -> None:
    """Add what a keyword of one chain leads to, in place."""
    here, after = (np.moveaxis(part, axis, 0) for part in (value, before))
    here[stage] += way.chance * _shifted(after[stage + 1], way.words)


def _worded(value: Floats, words: Floats) -> Floats:
    """The mean over the number of words that a token begins."""
    if value.shape[-1] == 1:
        return value
    total = np.zeros_like(value)
    for count, share in enumerate(words):
        if share:
            total += share * _shifted(value, count)
    return total


def _shifted(value: Floats, words: int) -> Floats:
    """The value with so many words more; too many stay too many."""
    last = value.shape[-1] - 1
    if not (words and last):
        return value
    at = np.minimum(np.arange(last + 1) + words, last)
    return value[..., at]
