"""Probabilities of texts under a constraint, and of the other values of a field."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

import numpy as np

from ergotext.lm.automata.literals import openings
from ergotext.lm.automata.pieces import Pieces
from ergotext.lm.protocols import Automaton, Decoding
from ergotext.samplers.search.best_first import Enumeration, Tokens, best_first, total
from ergotext.tasks.generation.fields import Field

SETTLED = 1e-3
"""Share of everything that may be missing where the values of a field are known well enough."""
CLOSE = 0.01
"""Nats that an estimate of log Z may be beyond its bounds, whatever its error."""
Bounds = tuple[float, float]
"""The least and the most that a probability can be; equal where it is exact."""


@dataclass(frozen=True)
class TextMass:
    """Texts that were found, each with log p of its spellings together, and what may be missing.

    Parameters
    ----------
    listing : Enumeration
    pieces : Pieces
    beside : mapping of tokens to float
        Sequences that were found elsewhere, behind open beginnings, and log p of each.
    """

    listing: Enumeration
    pieces: Pieces
    beside: Mapping[Tokens, float]

    def spelled(self) -> dict[bytes, dict[Tokens, float]]:
        """The spellings of each text that were found, the likeliest text first."""
        texts: dict[bytes, dict[Tokens, float]] = {}
        for tokens, log_prob in {**self.beside, **self.listing.found}.items():
            texts.setdefault(self.pieces.joined(tokens), {})[tokens] = log_prob
        return dict(sorted(texts.items(), key=lambda pair: -total(pair[1].values())))

    @property
    def low(self) -> float:
        """log of the probability of all that was found."""
        return total({**self.beside, **self.listing.found}.values())

    @property
    def high(self) -> float:
        """log of the most that all texts together can have: what is beside is behind the open."""
        return max(self.low, self.listing.high)

    def bounds(self, text: bytes, log_prob: float) -> Bounds:
        """Of the probability of a text among all.

        The least if all that is missing is of other texts; the most if all that may be of this
        text is.
        """
        return share(log_prob, self.missing(text), self.low, self.high)

    def missing(self, *texts: bytes) -> float:
        """log of the most that spellings which were not found can have, of what begins as these."""
        found = [one for read, one in self._open if any(t.startswith(read) for t in texts)]
        return total([self.listing.rest, *found])

    def doubts(self, log_z: float, error: float) -> list[str]:
        """What is said of an estimate of log Z that is beyond its bounds by more than its error.

        It comes of draws that all miss the same texts, and so agree with each other.
        """
        beyond = abs(log_z - float(np.clip(log_z, self.low, self.high)))
        if beyond <= max(2 * error, CLOSE):
            return []
        return [
            f"the draws estimate log Z as {log_z:.1f}, but the texts that are known put it between "
            f"{self.low:.1f} and {self.high:.1f}: draws miss much of it; use more particles"
        ]

    @cached_property
    def _open(self) -> list[tuple[bytes, float]]:
        return [(self.pieces.joined(t), one) for t, one in self.listing.open.items()]


def share(log_prob: float, more: float, low: float, high: float) -> Bounds:
    """The least and most share of something in all, from logs.

    It has at least ``log_prob``, and at most ``more`` beside it; all have ``low`` to ``high``.
    """
    if log_prob == more == -np.inf:
        return 0.0, 0.0
    most = total([log_prob, more])
    all_ = max(total([low, more]), most)
    return math.exp(min(0.0, log_prob - high)), math.exp(min(0.0, most - all_))


def of_field(
    field: Field,
    text: str,
    tokens: Tokens,
    decodings: Mapping[int, Decoding],
    automaton: Automaton,
    pieces: Pieces,
    prefixes: int,
) -> dict[str, Bounds]:
    """The probability of each value that a field might have had, where it stands.

    It is that of the model's writing the value and the character after it next, after the tokens
    before the value, divided by that of all values of the field that the constraint allows there:
    summed over every tokenisation from the last token on that ends before the value. What the
    constraint may do to the text after the field is not looked at.

    Parameters
    ----------
    field : Field
    text : str
    tokens : tuple of int
    decodings : mapping of int to Decoding
        After so many of the tokens (``split``).
    automaton : Automaton
    pieces : Pieces
    prefixes : int
        Beginnings that are followed at most.
    """
    read, state = split(field, text, tokens, pieces), automaton.start(1)
    for token in tokens[:read]:
        state = automaton.advance(state, np.array([token]))
    before = text[: field.start].encode()[len(pieces.joined(tokens[:read])) :]
    after = text[field.stop : field.stop + 1].encode()
    texts = [[before + one.encode() + after for one in each] for each in field.spellings(text)]
    begun = openings([*chain(*texts)], pieces, automaton, int(state[0]))
    found = best_first(decodings[read], begun, prefixes=prefixes, settled=SETTLED, ended=False)
    return dict(zip(field.labels, _bounds(found, texts, pieces), strict=True))


def split(field: Field, text: str, tokens: Tokens, pieces: Pieces) -> int:
    """How many of the tokens end before the value begins, or where it does."""
    start, length = len(text[: field.start].encode()), 0
    for count, token in enumerate(tokens):
        length += len(pieces.tokens[token])
        if length > start:
            return count
    return len(tokens)


def _bounds(found: Enumeration, texts: Iterable[Sequence[bytes]], pieces: Pieces) -> list[Bounds]:
    mass = TextMass(found, pieces, {})
    told = []
    for each in texts:
        mine = [one for t, one in found.found.items() if pieces.joined(t).startswith(tuple(each))]
        told.append(share(total(mine), mass.missing(*each), mass.low, mass.high))
    return told
