"""Twist of the automaton of a template: sums over the words of each blank."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ergotext.lm.automata.template import TemplateAutomaton, spelled_texts
from ergotext.lm.automata.template_chain import Blank, Progress
from ergotext.lm.tokenizers.vocabulary import Vocabulary
from ergotext.lm.twist.hazards import PATIENCE, Hazards
from ergotext.lm.twist.product import ProductTwist
from ergotext.support.arrays import Floats, Ints

UNUSUAL = 1e-3
"""Chance that a given text goes on to its end where the tokenizer would not have parted it."""


class TemplateTwist(ProductTwist):
    """ψ for the states of ``TemplateAutomaton`` (``protocols.Twist``).

    Parameters
    ----------
    automaton : TemplateAutomaton
    vocabulary : Vocabulary
        Of the model.
    hazards : Hazards
    log_length : float64 [L + 1]
        Nats for a text of each length.

    Notes
    -----
    With r tokens left and w words in blank k, the value of the rest is

        V_r(k, w) = h V_{r−m}(k+1, 0) + Σ_d s_d V_{r−1}(k, w + d),

    where the next given text has m tokens and begins with chance h (from the least of words on),
    and s_d is the mass of the tokens that begin d words; no more of them than the blank may have.
    The template's end is where V is what the end of a text there is worth. A state that stands in a
    given text has the value after it, times the chance of what is left of that text. Where a text
    can be read in several ways, the values of these are weighed by these chances.
    """

    def __init__(
        self,
        automaton: TemplateAutomaton,
        vocabulary: Vocabulary,
        hazards: Hazards,
        log_length: Floats,
    ) -> None:
        super().__init__(automaton, hazards, log_length)
        self._power = hazards.power
        filled = automaton.filled
        self._texts = _read(filled.texts, vocabulary, hazards)
        self._places = [sorted(read) for read in filled.positions]
        shares = self._shares(hazards, filled.blanks[0].spaced)
        over = np.exp(self._log_length[::-1] / hazards.power)
        last = self._texts[-1]
        ends = hazards.ends_stopped if last.stops else hazards.ends
        # V of what follows each given text, from the last one back.
        self._sums = [_Sums(ends * over[:, None], ends * over[:, None])] if last.size else []
        for number in range(len(filled.blanks) - 1, -1, -1):
            after = self._sums[0] if self._sums else None
            text, blank = self._texts[number + 1], filled.blanks[number]
            self._sums.insert(0, _summed(blank, text, after, shares, hazards, over))

    def _of(self, states: Ints, left: int) -> tuple[Floats, Floats]:
        _, (positions,) = self.automaton.parts(states)
        distinct, which = np.unique(positions, return_inverse=True)
        each = np.array([self._at(self._places[at], left) for at in distinct.tolist()])
        value = each.reshape(-1, 2)[which] ** self._power
        return value[:, 0], value[:, 1]

    def _at(self, places: Sequence[Progress], left: int) -> tuple[float, float]:
        """The value of a position, inside a sentence and after a token that stops."""
        begun, chance, inside, stopped = 0.0, 0.0, 0.0, 0.0
        for number, at, words, between in places:
            text = self._texts[max(number, 0)]
            if number == len(self._sums):  # the end of a template that ends with a blank
                continue
            if number >= 0 and at == text.size:
                value = self._sums[number].at(left, words + between)
                inside, stopped = max(inside, value[0]), max(stopped, value[1])
            elif at or number <= 0:
                h, tokens = text.left(at)
                chance += h
                if tokens <= left:
                    begun += h * self._sums[max(number, 0)].at(left - tokens, 0)[0]
        rest, most = max(0.0, 1 - chance), max(1.0, chance)
        return begun / most + rest * inside, begun / most + rest * stopped

    def _shares(self, hazards: Hazards, spaced: bool) -> Floats:
        """float64 [D]: of tokens that do not stop, the share that begins 0, 1, … words."""
        tokens = self.automaton.pieces.tokens
        begins = [_words(piece) if spaced else _characters(piece) for piece in tokens]
        text = np.fromiter(map(bool, tokens), np.bool_, len(tokens))
        size = min(len(tokens), len(hazards.mass))
        mass = hazards.mass.numpy()[:size] * (text & ~self._stops[: len(text)])[:size]
        share = np.bincount(np.minimum(begins[:size], 20), weights=mass)
        mean: Floats = share / share.sum()
        return mean


@dataclass(frozen=True)
class _Given:
    """A given text, and the chances of what is left of it."""

    size: int
    """its characters"""
    letters: int
    """those before the space that it may end with"""
    chances: Sequence[float]
    """of what is left after its first n tokens"""
    written: Mapping[int, int]
    """characters to the tokens that wrote them, where others follow"""
    stops: bool
    """whether its last token stops"""
    done: Sequence[int]
    """tokens that are begun or written after so many characters"""

    def left(self, at: int) -> tuple[float, int]:
        """The chance that it goes on to its end after so many characters, and the tokens."""
        begun, size = self.done[at], len(self.chances)
        if at in self.written:
            return self.chances[self.written[at]], size - self.written[at]
        rest = self.chances[begun] if begun < size else 1.0
        return (rest, size - begun) if at >= self.letters else (UNUSUAL * rest, size - begun + 1)


def _read(texts: Sequence[str], vocabulary: Vocabulary, hazards: Hazards) -> list[_Given]:
    """The given texts as the tokenizer writes them."""
    every = spelled_texts(texts, vocabulary)
    left = iter(hazards.phrases([spelled for spelled in every if spelled]))
    found = []
    for text, spelled in zip(texts, every, strict=True):
        bare = text.rstrip()
        chances = next(left).tolist() if spelled else []
        if len(chances) > 1:  # from its first token on, which may be rare in itself
            chances[0] = max(float(hazards.mass[spelled[0]]), PATIENCE) * chances[1]
        skipped = len(vocabulary.text(spelled)) - len(bare)
        parts = (vocabulary.text(spelled[:n]) for n in range(1, len(spelled)))
        written = {len(part) - skipped: n for n, part in enumerate(parts, 1)}
        ends = sorted(written)
        done = [min(len(spelled), 1 + bisect_left(ends, at)) for at in range(len(text) + 1)]
        stops = bool(spelled) and bool(hazards.stops[spelled[-1]])
        found.append(_Given(len(text), len(bare), chances, written, stops, done))
    return found


@dataclass(frozen=True, eq=False)
class _Sums:
    """V of a blank: float64 [r, w], inside a sentence and after a token that stops."""

    inside: Floats
    stopped: Floats

    def at(self, left: int, words: int) -> tuple[float, float]:
        words = min(words, self.inside.shape[1] - 1)
        return float(self.inside[left, words]), float(self.stopped[left, words])


def _summed(
    blank: Blank,
    text: _Given,
    after: _Sums | None,
    shares: Floats,
    hazards: Hazards,
    over: Floats,
) -> _Sums:
    """The sums of a blank, before a given text and what is after it, or at the template's end."""
    high = blank.least if blank.most is None else blank.most
    words = np.arange(high + 1)
    full = words >= blank.least
    chance = text.chances[0] if after is not None else 0.0
    begins = chance * full
    other = np.maximum(hazards.goes_on - begins, hazards.goes_on / 2)
    size = (len(over), high + 1)
    inside, stopped = np.zeros(size), np.zeros(size)
    for left in range(len(over)):
        if after is None:
            inside[left] = hazards.ends * over[left] * full
            stopped[left] = hazards.ends_stopped * over[left] * full
        elif len(text.chances) <= left:
            inside[left] = begins * after.inside[left - len(text.chances), 0]
        if left:
            for more, share in enumerate(shares):
                there = words + np.where(words, more, max(more, 1))
                led = inside[left - 1, np.minimum(there, high)]
                lost = blank.most is not None and share > 0
                inside[left] += other * share * np.where(lost & (there > high), 0.0, led)
            inside[left] += hazards.stopping * stopped[left - 1]
        stopped[left] += hazards.goes_on_stopped * inside[left]
    return _Sums(inside, stopped)


def _words(piece: bytes) -> int:
    return piece.count(b" ")


def _characters(piece: bytes) -> int:
    return sum(byte & 0xC0 != 0x80 for byte in piece)
