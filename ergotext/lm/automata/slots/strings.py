"""What tokens write before, within and after a slot: a vocabulary for grammars with slots.

A slot is a place of a grammar where one of many listed texts stands. The grammar knows it by a
marker, a special token of its own; a text that stands there is walked outside of the grammar. A
token may begin before a slot or end after it. So that one mask of the grammar answers for all
tokens, its vocabulary holds, beside what tokens write, what is left of them after a slot, and what
they write before one with the marker behind it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ergotext.lm.automata.pieces import Pieces
from ergotext.lm.automata.slots.piece_tree import PieceTree
from ergotext.lm.ragged import offsets_of
from ergotext.support.arrays import Ints
from ergotext.support.extras import needed

Bytes = frozenset[int]


class SlotStrings:
    """The strings that a grammar with slots is asked about, and llguidance's vocabulary of them.

    Parameters
    ----------
    pieces : Pieces
    initial, final : sequence of frozenset of int
        Of each slot: the bytes that its texts begin with, and those that they end with.
    """

    def __init__(self, pieces: Pieces, initial: Sequence[Bytes], final: Sequence[Bytes]) -> None:
        self.pieces, self.initial = pieces, tuple(initial)
        begins, ends = frozenset().union(*initial), frozenset().union(*final)
        whole = {pieces.tokens[token] for token in pieces.text.tolist()}
        parts = {
            piece[cut:]
            for piece in whole
            for cut in range(1, len(piece))
            if piece[cut - 1] in ends or piece[cut] in begins
        }
        self.tree = PieceTree(whole | parts)
        numbers = self.tree.numbers
        self.of_token = np.array([numbers[pieces.tokens[t]] for t in pieces.text.tolist()])
        """int64 [n]: the string of each token in ``pieces.text``"""
        self.real = np.zeros(len(self.tree), dtype=np.bool_)
        """bool [strings]: which are tokens"""
        self.real[self.of_token] = True
        self._entered()
        first = len(self.tree)
        self.bytes, self.end = range(first, first + 256), first + 256
        """the vocabulary's numbers of single bytes, and of its end token"""
        self.markers = range(self.end + 1, self.end + 1 + len(initial))
        self.openings = range(self.markers.stop, self.markers.stop + len(self._before))
        """what is written before a slot, with its marker"""

    def _entered(self) -> None:
        """What strings write before a slot, and what is left of them there."""
        found: dict[tuple[bytes, int], list[tuple[int, int]]] = {}
        numbers = self.tree.numbers
        begins = frozenset().union(*self.initial)
        for number, string in enumerate(self.tree.strings):
            for cut in range(1, len(string)):
                if string[cut] not in begins:
                    continue
                pair = number, numbers[string[cut:]]
                for slot, initial in enumerate(self.initial):
                    if string[cut] in initial:
                        found.setdefault((string[:cut], slot), []).append(pair)
        self._before = [*found]
        self.slot = np.array([slot for _, slot in found], dtype=np.int64)
        """int64 [openings]: the slot of each"""
        lists = [*found.values()]
        self.offsets = offsets_of(np.array([len(one) for one in lists], dtype=np.int64))
        """int64 [openings + 1]: where its strings begin in the next two"""
        flat = np.array([pair for one in lists for pair in one], dtype=np.int64).reshape(-1, 2)
        self.entering, self.left = flat.T
        """int64 [n]: strings that begin with it, and what is left of each in the slot"""

    @property
    def size(self) -> int:
        """Numbers of llguidance's vocabulary."""
        return self.openings.stop

    def remainder(self, number: int, cut: int) -> int:
        """The string that is left of one after some of its bytes."""
        return self.tree.numbers[self.tree.strings[number][cut:]]

    def tokens(self, allowed: NDArray[np.bool_]) -> Ints:
        """int64 [n]: the tokens that write these strings (bool [strings]), rising."""
        found: Ints = self.pieces.text[allowed[self.of_token]]
        return found

    def tokenizer(self) -> Any:
        """The vocabulary as llguidance takes it."""
        return needed("llguidance", "automata").LLTokenizer(_AsTokenizer(self))

    def written(self) -> list[bytes]:
        """What each number writes. Markers in the midst of text are spelled as llguidance does."""
        before = [text + b"\xff[%d]" % self.markers[slot] for text, slot in self._before]
        names = [b"[%d]" % marker for marker in self.markers]
        singles = [bytes([byte]) for byte in range(256)]
        return [*self.tree.strings, *singles, b"", *names, *before]


class _AsTokenizer:
    """The strings as llguidance asks for them."""

    is_tokenizer_wrapper = True
    bos_token_id = None

    def __init__(self, strings: SlotStrings) -> None:
        self.eos_token_id, self.tokens = strings.end, strings.written()
        self.special_token_ids = [strings.end, *strings.markers]

    def __call__(self, text: str | bytes) -> list[int]:
        raise AssertionError(f"internal error: {text!r} was tokenised where nothing should be")


@lru_cache(maxsize=4)
def strings_of(
    pieces: Pieces, initial: tuple[Bytes, ...], final: tuple[Bytes, ...]
) -> tuple[SlotStrings, Any]:
    """The strings of slots that begin and end alike, and their tokenizer, made once."""
    strings = SlotStrings(pieces, initial, final)
    return strings, strings.tokenizer()
