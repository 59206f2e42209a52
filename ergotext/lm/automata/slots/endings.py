"""How far it is to the end of a text with slots, and a short way there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

from ergotext.lm.automata.completions import Endings
from ergotext.lm.automata.pieces import Pieces
from ergotext.lm.automata.schema.names import Names
from ergotext.lm.automata.slot_source import MARK, in_vocabulary
from ergotext.lm.automata.slots.grammar import Outside, Way
from ergotext.lm.automata.slots.key_texts import KeyRange, KeyTexts

if TYPE_CHECKING:
    from collections.abc import Callable

COUNTED = 300
"""Bytes of what is left of a key of which the fewest tokens are counted; of more they are bounded
by the longest token, as counting takes the square of it."""
KEPT = 1 << 14
"""Places of which the shortest text is kept."""


class SlotEndings:
    """Short endings of texts with slots.

    Parameters
    ----------
    source : str
        The grammar, with numbered slots.
    texts : sequence of KeyTexts
        What fills each slot.
    pieces : Pieces
    names : Names, optional
        As ``Endings`` has it.
    """

    def __init__(
        self, source: str, texts: Sequence[KeyTexts], pieces: Pieces, names: Names | None
    ) -> None:
        self._source, self._texts, self._pieces, self._names = source, texts, pieces, names
        self._longest = max(map(len, pieces.tokens), default=0) or 1
        self._shortest: Callable[[int, KeyRange], bytes] = lru_cache(KEPT)(self._left)

    def least(self, ways: Iterable[Way]) -> int:
        """A number of tokens that every ending takes."""
        return min(map(self._least, ways), default=0)

    def ending(self, ways: Iterable[Way]) -> tuple[int, ...] | None:
        """The tokens of a short ending; None if none was found."""
        texts = [text for way in ways if (text := self._text(way)) is not None]
        cuts = [cut for text in texts if (cut := self._inner.cut(text)) is not None]
        return min(cuts, key=len, default=None)

    def _least(self, way: Way) -> int:
        if isinstance(way, Outside):
            return self._inner.least(way.path)
        place, left = way.place, self._shortest(way.slot, way.place)
        if place.high - place.low > 1 or len(left) > COUNTED:
            return max(1, -(-len(left) // self._longest))
        return self._pieces.covering(left + self._inner.forced(way.then.path))[0]

    def _text(self, way: Way) -> bytes | None:
        """A short text that goes on to an end."""
        if isinstance(way, Outside):
            return self._inner.text(way.path)
        rest = self._inner.text(way.then.path)
        return None if rest is None else self._shortest(way.slot, way.place) + rest

    def _left(self, slot: int, place: KeyRange) -> bytes:
        """What is left of the shortest text that goes on from a place in a slot."""
        texts = self._texts[slot]
        if texts.whole(place) and place.high - place.low > 1:
            place = place._replace(low=place.low + 1)  # that one has ended: its way is outside
        return texts.text(texts.shortest(place))[place.depth :]

    @cached_property
    def _inner(self) -> Endings:
        markers = range(MARK, MARK + len(self._texts))
        fillings = [texts.text(texts.shortest(texts.root)) for texts in self._texts]
        source = in_vocabulary(self._source, markers)
        return Endings(source, self._pieces, 0, self._names, fillings)
