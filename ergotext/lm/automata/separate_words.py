"""Lower bound on the tokens of words that cannot overlap: the sum over them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from ergotext.lm.automata.pieces import Pieces
from ergotext.lm.automata.word_chains import Demanded
from ergotext.support.arrays import Ints
from ergotext.support.words import joins


class SeparateWords:
    """The tokens that are missing at each state of chains whose words cannot overlap.

    Words of which none ends as another begins, or stands inside it, have letters of their own in
    any text. Each then needs tokens of its own, but for those that write the end of one word and
    the beginning of the next, at most one less than there are words. So this is a lower bound
    however many words there are, where the shortest way through all of them is too long to look
    for (``keyword_bounds.Fewest``). Of words that may overlap, those that take few tokens are left
    out.

    Parameters
    ----------
    chains : sequence of Demanded
        Of words that may come in any order; those of one chain follow one another.
    pieces : Pieces
    """

    def __init__(self, chains: Sequence[Demanded], pieces: Pieces) -> None:
        words = [word for chain in chains for keyword in chain.keywords for word in keyword]
        self._spelled = {word: _WordTokens.of(word, pieces) for word in dict.fromkeys(words)}
        needs = [_Needs.of(chain, self._spelled) for chain in chains]
        self.chosen: list[int] = []
        """the chains that are summed over"""
        for number in sorted(range(len(chains)), key=lambda n: -int(needs[n].whole[0])):
            if not any(_overlap(chains[number], chains[other]) for other in self.chosen):
                self.chosen.append(number)
        self._needs = [needs[number] for number in self.chosen]
        mine = [word for n in self.chosen for each in chains[n].keywords for word in each]
        self._shared = _may_share(mine, pieces)

    def __call__(self, begun: Ints, positions: Sequence[Ints]) -> Ints:
        """int64 [n]: of states with these beginnings of a character, and positions in the chains.

        Parameters
        ----------
        begun : int64 [n]
            0 where no character is begun.
        positions : sequence of int64 [n]
            One for each of the chains given.
        """
        total, words = (np.zeros(len(begun), dtype=np.int64) for _ in range(2))
        for number, needs in zip(self.chosen, self._needs, strict=True):
            position = positions[number]
            total += np.where(begun > 0, needs.parted[position], needs.whole[position])
            words += needs.words[position]
        left: Ints = np.maximum(total - np.maximum(words - 1, 0) * self._shared, 0)
        return left


class _WordTokens(NamedTuple):
    """How few tokens write a word, or the rest of it."""

    offsets: list[int]
    """where each of its characters begins, in bytes, and where the last ends"""
    left: list[int]
    """of each byte: fewest tokens that go on from there to the end of the word, or beyond"""
    fewest: int
    """tokens of a text that have a part in it, whatever stands before and after it"""

    @classmethod
    def of(cls, word: str, pieces: Pieces) -> _WordTokens:
        text, offsets = word.encode(), [len(word[:n].encode()) for n in range(len(word) + 1)]
        return cls(offsets, pieces.covering(text), pieces.fewest(text))

    def rest(self, letters: int, parted: bool) -> int:
        """Tokens that go on after so many letters; ``parted``: part of the next may be there."""
        low, high = self.offsets[letters : letters + 2]
        first = self.left[low] if letters else self.fewest
        return min(first, *self.left[low + 1 : high]) if parted and high > low + 1 else first


class _Needs(NamedTuple):
    """Of each position of a chain, what it misses."""

    whole: Ints
    """int64 [positions]: tokens, where no character is begun"""
    parted: Ints
    """int64 [positions]: tokens, where one is"""
    words: Ints
    """int64 [positions]: keywords"""

    @classmethod
    def of(cls, chain: Demanded, spelled: dict[str, _WordTokens]) -> _Needs:
        each = [min(spelled[word].fewest for word in keyword) for keyword in chain.keywords]
        later = np.append(np.cumsum(each[::-1])[::-1], 0)
        whole, parted = (np.zeros(len(chain.found), dtype=np.int64) for _ in range(2))
        for at, read in enumerate(chain.positions):
            found = int(chain.found[at])
            if found == len(chain.keywords):
                continue
            # If a word that stands there goes on, more is missing and not less.
            begun = [bits for bits in read.waits if bits is not None] or [read.begun]
            ways = [
                (spelled[word], letters)
                for bits in begun
                for word, of_word in zip(chain.keywords[found], bits, strict=True)
                for letters in (0, *_lengths(of_word))
                if letters < len(word)
            ]
            whole[at], parted[at] = (
                later[found + 1] + min(word.rest(letters, part) for word, letters in ways)
                for part in (False, True)
            )
        return cls(whole, parted, len(chain.keywords) - chain.found)


def _lengths(bits: int) -> Iterable[int]:
    """The lengths that a number of bits stands for: n for bit n − 1."""
    return (n + 1 for n in range(bits.bit_length()) if bits >> n & 1)


def _overlap(one: Demanded, other: Demanded) -> bool:
    """Whether words of both chains may share a letter of a text."""
    pairs = [(a, b) for x in one.keywords for y in other.keywords for a in x for b in y]
    return any(_runs_into(a, b) or _runs_into(b, a) for a, b in pairs)


def _runs_into(word: str, other: str) -> bool:
    """Whether another word may begin inside a word, as far as its letters and boundaries tell."""
    for at in range(len(word)):
        rest = word[at:]
        if rest.startswith(other) or other.startswith(rest):
            inside = at > 0 and joins(word[at - 1]) and joins(other[0])
            if not inside:
                return True
    return False


def _may_share(words: Sequence[str], pieces: Pieces) -> bool:
    """Whether one token may write the end of a word and the beginning of another."""
    ends, starts = dict[bytes, bool](), dict[bytes, bool]()
    for word in words:
        text = word.encode()
        for at in range(len(text)):
            ends[text[at:]] = ends.get(text[at:], True) and joins(word[-1])
            starts[text[: at + 1]] = starts.get(text[: at + 1], True) and joins(word[0])
    whole = [(word.encode(), joins(word[0]), joins(word[-1])) for word in words]
    inside = _either(text for text, _, _ in whole)
    likely = re.compile(
        b"(?:"
        + _either(ends)
        + b"|.*"
        + inside
        + b").*(?:"
        + inside
        + b"|"
        + _either(starts)
        + b"$)",
        re.DOTALL,
    )
    for piece in filter(likely.match, pieces.tokens):
        for low in range(1, len(piece)):
            part = piece[:low]
            ended = [ends[part]] if part in ends else []
            ended += [right for text, _, right in whole if part.endswith(text)]
            if not ended:
                continue
            for high in range(low, len(piece)):
                part = piece[high:]
                begun = [starts[part]] if part in starts else []
                begun += [left for text, left, _ in whole if part.startswith(text)]
                if begun and _parts(piece[low:high], all(ended), all(begun)):
                    return True
    return False


def _either(texts: Iterable[bytes]) -> bytes:
    """The regular expression of any of these texts."""
    return b"(?:" + b"|".join(map(re.escape, texts)) + b")"


def _parts(between: bytes, ended: bool, begun: bool) -> bool:
    """Whether words stay apart with that between them, of which one ends and one begins joining."""
    if not between:
        return not (ended and begun)
    text = between.decode(errors="replace")
    return not (ended and joins(text[0])) and not (begun and joins(text[-1]))
