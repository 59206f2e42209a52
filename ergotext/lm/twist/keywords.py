"""Twist of the automaton of keywords: sums over what is missing, and over phrases begun."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ergotext.lm.automata.keywords import KeywordCoverage
from ergotext.lm.automata.word_chains import Demanded, WordCount
from ergotext.lm.tokenizers.vocabulary import Vocabulary
from ergotext.lm.twist.backward import Rest, Sums, Way, summed
from ergotext.lm.twist.hazards import TINY, Hazards
from ergotext.lm.twist.product import ProductTwist
from ergotext.support.arrays import Floats, Ints
from ergotext.support.words import count_words

UNUSUAL = 1e-3
"""Chance that a phrase goes on to its end where it was not begun as the tokenizer would."""


class _Begun(NamedTuple):
    """Of the positions of a chain: what is begun of the keyword that is next."""

    found: Ints
    """int64 [positions]: keywords that are there"""
    chance: Floats
    """float64 [positions]: that it goes on to the end of the keyword; 0 where none is begun"""
    tokens: Ints
    """int64 [positions]: which that takes"""


class KeywordTwist(ProductTwist):
    """ψ for the states of ``KeywordCoverage`` (``protocols.Twist``).

    Parameters
    ----------
    automaton : KeywordCoverage
    vocabulary : Vocabulary
        Of the model.
    hazards : Hazards
    log_length : float64 [L + 1]
        Nats for a text of each length.

    Notes
    -----
    ψ(state, r) = V_r(M) + Σ_k h_k (V_{r−m_k}(M ∖ k) − V_r(M)) for the missing set M, where keyword
    k is begun, takes m_k tokens more and is completed with chance h_k. Where the automaton's
    ``least`` is above r, ψ is 0; elsewhere it is above 0.
    """

    def __init__(
        self,
        automaton: KeywordCoverage,
        vocabulary: Vocabulary,
        hazards: Hazards,
        log_length: Floats,
    ) -> None:
        super().__init__(automaton, hazards, log_length)
        demanded = [chain for chain in automaton.chains if type(chain) is Demanded]
        words = sorted({word for chain in demanded for each in chain.keywords for word in each})
        spelled = dict(zip(words, map(vocabulary.spell, words), strict=True))
        left = dict(zip(words, hazards.phrases([spelled[word] for word in words]), strict=True))
        ways = [
            [[Way(float(left[w][0]), len(spelled[w]), count_words(w)) for w in each] for each in c]
            for c in (chain.keywords for chain in demanded)
        ]
        self._counter = next((c for c in automaton.chains if isinstance(c, WordCount)), None)
        window = None if self._counter is None else (self._counter.low, self._counter.high)
        rest = Rest(
            ways,
            hazards.ends,
            hazards.stopping,
            hazards.goes_on,
            hazards.ends_stopped,
            hazards.goes_on_stopped,
            self._worded(hazards),
            window,
        )
        self._coarse = rest.coarse
        self._power = hazards.power
        self._sums: Sums = summed(rest, log_length, hazards.power)
        self._begun = [_begun(chain, spelled, left, vocabulary) for chain in demanded]

    def _over(self, left: int) -> float:
        return float(self._sums.over[left])

    def _of(self, states: Ints, left: int) -> tuple[Floats, Floats]:
        _, positions = self.automaton.parts(states)
        by_chain = zip(self.automaton.chains, positions, strict=True)
        demanded = [position for chain, position in by_chain if type(chain) is Demanded]
        found = [b.found[p] for b, p in zip(self._begun, demanded, strict=True)]
        counted = self._counted(positions, len(states))
        at = self._index(found, counted)
        inside, stopped = self._sums.inside[left][at], self._sums.stopped[left][at]
        chances = [b.chance[p] for b, p in zip(self._begun, demanded, strict=True)]
        total = np.sum(chances, axis=0) if chances else np.zeros(len(states))
        value = np.maximum(1 - total, 0.0) * inside
        for number, (b, position) in enumerate(zip(self._begun, demanded, strict=True)):
            chance, tokens = chances[number] / np.maximum(total, 1.0), b.tokens[position]
            rows = np.flatnonzero((chance > 0) & (tokens <= left))
            if len(rows):
                more = [each[rows] for each in found]
                more[number] = more[number] + 1
                there = self._index(more, counted[rows])
                after = left - tokens[rows]
                share = np.exp(self._sums.log_scale[after] - self._sums.log_scale[left])
                share *= chance[rows] ** self._power
                value[rows] += share * self._sums.inside[(after, *there)]
        return value, stopped

    def _index(self, found: Sequence[Ints], counted: Ints) -> tuple[Ints, ...]:
        """Where the sums of these sets stand."""
        if self._coarse:
            return (np.sum(found, axis=0), counted)
        return (*found, counted)

    def _counted(self, positions: Sequence[Ints], count: int) -> Ints:
        """int64 [n]: the words so far; 0 where nobody counts."""
        if self._counter is None:
            return np.zeros(count, dtype=np.int64)
        number = self.automaton.chains.index(self._counter)
        return np.array([read.words for read in self._counter.positions])[positions[number]]

    def _worded(self, hazards: Hazards) -> Floats:
        """float64 [D]: the share of tokens that begin 0, 1, … words after a word."""
        if self._counter is None:
            return np.ones(1)
        number = self.automaton.chains.index(self._counter)
        ways = self.automaton.ways(0)
        words = np.array([read.words for read in self._counter.positions])
        places = [read.place for read in self._counter.positions]
        within = next(
            n for n, (w, p) in enumerate(zip(words, places, strict=True)) if (w, p) == (1, "within")
        )
        more = words[ways.reached[number][within]] - 1
        text = (ways.tokens < len(hazards.mass)) & (ways.tokens != self.automaton.end)
        mass = hazards.mass.numpy()[ways.tokens[text]] * ~self._stops[ways.tokens[text]]
        share = np.bincount(more[ways.of[text]], weights=mass)
        mean: Floats = share / share.sum()
        return mean


def _begun(
    chain: Demanded, spelled: dict[str, list[int]], left: dict[str, Floats], vocabulary: Vocabulary
) -> _Begun:
    """What is begun at each position of a chain, the most promising alternative."""
    chance, tokens = np.zeros(len(chain.positions)), np.zeros(len(chain.positions), dtype=np.int64)
    boundaries = {
        word: {
            len(vocabulary.text(spelled[word][:n]).strip()): n for n in range(1, len(spelled[word]))
        }
        for each in chain.keywords
        for word in each
    }
    for number, read in enumerate(chain.positions):
        found = int(chain.found[number])
        if found == len(chain.keywords):
            continue
        ahead = next((one for one in read.waits if one is not None), None)
        bits = read.begun if ahead is None else ahead
        for word, begun in zip(chain.keywords[found], bits, strict=True):
            letters = begun.bit_length()
            if not 0 < letters < len(word):
                continue
            done = boundaries[word].get(letters)
            if done is not None:
                h, m = float(left[word][done]), len(spelled[word]) - done
            else:
                h, m = UNUSUAL, max(1, len(vocabulary.encode(word[letters:])))
            if h > chance[number]:
                chance[number], tokens[number] = max(h, TINY), m
    return _Begun(chain.found, chance, tokens)
