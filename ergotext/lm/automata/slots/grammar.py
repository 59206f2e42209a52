"""The texts of a grammar with slots, each of which is filled by one of many listed texts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ergotext.errors import ErgotextError
from ergotext.lm.automata.llguidance_errors import DEAD_END, matcher_of, reason
from ergotext.lm.automata.pieces import Pieces
from ergotext.lm.automata.slot_source import MARK, in_vocabulary
from ergotext.lm.automata.slots.key_texts import KeyRange, KeyTexts
from ergotext.lm.automata.slots.recent import Recent
from ergotext.lm.automata.slots.strings import strings_of
from ergotext.lm.ragged import spread
from ergotext.support.arrays import Ints

KEPT = 1 << 22
"""Strings in all masks, and in all rows from places in slots, that are kept."""


@dataclass(frozen=True)
class Outside:
    """A way to read a text that is outside of slots at its end.

    Parameters
    ----------
    path : bytes
        What the grammar has read: the text with a marker in place of what fills each slot. Ways of
        one path go on alike.
    matcher : LLMatcher
        In the state after the path; never advanced.
    """

    path: bytes
    matcher: Any = field(compare=False, repr=False)


@dataclass(frozen=True)
class Within:
    """A way to read a text that is within a slot at its end: where, and how it goes on after it."""

    slot: int
    place: KeyRange
    then: Outside


Way = Outside | Within


class _Row(NamedTuple):
    """What strings do from a place in a slot."""

    inside: Ints
    """strings that stay in the slot"""
    beyond: Ints
    """strings that leave it"""
    left: Ints
    """what is left of each of these after it"""


class _Mask(NamedTuple):
    """What a grammar allows, slots left out."""

    strings: NDArray[np.bool_]
    slots: list[int]
    """the slots that may come next"""
    openings: Ints
    """what may be written before slots"""


class SlotGrammar:
    """A grammar with slots, walked by bytes and asked for strings.

    Several ways to read a text are followed at once: where a slot ends is ambiguous if one of its
    texts begins with another, and a slot may stand beside what looks like its texts.

    Parameters
    ----------
    source : str
        The grammar, in llguidance's notation, with slots (``slot_source``).
    given : str
        The same as a person gave it, for messages.
    texts : sequence of KeyTexts
        What fills each slot.
    pieces : Pieces

    Raises
    ------
    InputError
        llguidance cannot read the grammar.
    """

    def __init__(self, source: str, given: str, texts: Sequence[KeyTexts], pieces: Pieces) -> None:
        self.texts = texts
        initial, final = tuple(one.initial for one in texts), tuple(one.final for one in texts)
        self.strings, tokenizer = strings_of(pieces, initial, final)
        source = in_vocabulary(source, self.strings.markers)
        self.first = Outside(b"", matcher_of(source, tokenizer, given))
        self._masks = Recent[bytes, _Mask](KEPT)
        self._rows = Recent[tuple[int, KeyRange], _Row](KEPT)
        self._allowed = Recent[bytes, NDArray[np.bool_]](KEPT)

    def after(self, ways: Iterable[Way], text: bytes) -> tuple[Way, ...]:
        """The ways to read more text, each once."""
        return tuple(dict.fromkeys(end for way in ways for end in self._read(way, text)))

    def may_end(self, ways: Iterable[Way]) -> bool:
        """Whether the text read is whole."""
        return any(isinstance(way, Outside) and way.matcher.is_accepting() for way in ways)

    def tokens(self, ways: Iterable[Way]) -> Ints:
        """int64 [n]: the tokens that may follow, rising."""
        found = np.zeros(len(self.strings.tree), dtype=np.bool_)
        for way in ways:
            if isinstance(way, Outside):
                found |= self._strings(way)
                continue
            row = self._row(way.slot, way.place)
            found[row.inside] = True
            if len(row.beyond):
                found[row.beyond[self._strings(way.then)[row.left]]] = True
        return self.strings.tokens(found)

    def _read(self, way: Way, text: bytes) -> Iterator[Way]:
        """The ways that lead on through a text."""
        if isinstance(way, Within):
            texts, place = self.texts[way.slot], way.place
            for read, byte in enumerate(text, 1):
                further = texts.after(place, (byte,))
                if further is None:
                    return
                place = further
                if texts.whole(place):
                    yield from self._read(way.then, text[read:])
            if place.high - place.low > texts.whole(place):  # others than one that has ended
                yield Within(way.slot, place, way.then)
            return
        matcher, path, begun = way.matcher, way.path, 0
        for read, byte in enumerate(text):
            slots = [n for n, one in enumerate(self.strings.initial) if byte in one]
            if not slots:
                continue
            matcher = self._further(matcher, text[begun:read])
            path, begun = path + text[begun:read], read
            if matcher is None:
                return
            for slot in slots:
                if (inner := self._entered(Outside(path, matcher), slot)) is not None:
                    yield from self._read(inner, text[read:])
        matcher = self._further(matcher, text[begun:])
        if matcher is not None:
            yield Outside(path + text[begun:], matcher)

    def _further(self, matcher: Any, text: bytes) -> Any | None:
        """The matcher after more text; None where it does not go on."""
        if not text:
            return matcher
        after = matcher.deep_copy()
        taken = after.try_consume_tokens([self.strings.bytes[byte] for byte in text])
        return after if taken == len(text) else None

    def _entered(self, way: Outside, slot: int) -> Within | None:
        """The beginning of a slot, if it may come here."""
        marker = self.strings.markers[slot]
        if not way.matcher.validate_tokens([marker]):
            return None
        after = way.matcher.deep_copy()
        if not after.consume_token(marker):
            raise ErgotextError(f"matching a grammar failed: {reason(after.get_error())}")
        then = Outside(way.path + bytes([MARK + slot]), after)
        return Within(slot, self.texts[slot].root, then)

    def _row(self, slot: int, place: KeyRange) -> _Row:
        key = slot, place
        if (row := self._rows.get(key)) is None:
            strings, reached = self.strings, self.strings.tree.reached(self.texts[slot], place)
            beyond = spread(reached.low, reached.high - reached.low)
            cut = np.repeat(reached.depth, reached.high - reached.low)
            pairs = zip(beyond.tolist(), cut.tolist(), strict=True)
            left = [strings.remainder(*pair) for pair in pairs]
            row = _Row(reached.inside, beyond, np.array(left, dtype=np.int64))
            self._rows.keep(key, row, len(row.inside) + 2 * len(beyond) + 10)
        return row

    def _mask(self, way: Outside) -> _Mask:
        if (mask := self._masks.get(way.path)) is None:
            strings = self.strings
            packed = np.frombuffer(way.matcher.compute_bitmask(), dtype=np.uint8)
            if way.matcher.is_error() and not way.matcher.get_error().startswith(DEAD_END):
                raise ErgotextError(f"matching failed: {reason(way.matcher.get_error())}")
            bits = np.unpackbits(packed, count=strings.size, bitorder="little").astype(np.bool_)
            slots = np.flatnonzero(bits[strings.markers.start : strings.markers.stop]).tolist()
            openings = np.flatnonzero(bits[strings.openings.start :])
            mask = _Mask(bits[: len(strings.tree)], slots, openings)
            self._masks.keep(way.path, mask, len(bits) // 8)
        return mask

    def _strings(self, way: Outside) -> NDArray[np.bool_]:
        """bool [strings]: those that some way leads through, slots among them."""
        if (allowed := self._allowed.get(way.path)) is None:
            allowed = self._entering(way)
            self._allowed.keep(way.path, allowed, len(allowed) // 8)
        return allowed

    def _entering(self, way: Outside) -> NDArray[np.bool_]:
        """What the grammar allows by itself, and then what enters a slot at once or on the way.

        Where a string leaves a slot as well, it is read byte by byte; few do.
        """
        strings, mask = self.strings, self._mask(way)
        allowed, doubtful = mask.strings.copy(), [np.empty(0, dtype=np.int64)]
        rows = [self._row(slot, one.root) for slot, one in enumerate(self.texts)]
        for slot in mask.slots:
            inner, row = self._entered(way, slot), rows[slot]
            allowed[row.inside] = True
            if inner is not None and len(row.beyond):
                plain = self._mask(inner.then)
                allowed[row.beyond[plain.strings[row.left]]] = True
                if plain.slots or len(plain.openings):
                    doubtful.append(row.beyond)
        for slot, row in enumerate(rows):
            some = mask.openings[strings.slot[mask.openings] == slot]
            low, high = strings.offsets[some], strings.offsets[some + 1]
            at = spread(low, high - low)
            stays, leaves = np.zeros((2, len(strings.tree)), dtype=np.bool_)
            stays[row.inside], leaves[row.beyond] = True, True
            allowed[strings.entering[at[stays[strings.left[at]]]]] = True
            doubtful.append(strings.entering[at[leaves[strings.left[at]]]])
        for number in np.unique(np.concatenate(doubtful)).tolist():
            if not allowed[number]:
                allowed[number] = any(self._read(way, strings.tree.strings[number]))
        return allowed
