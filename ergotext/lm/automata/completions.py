"""Shortest completions of a text under a grammar, by byte-level look-ahead.

The matcher of a grammar says what may follow and not how far the end is. But any cut of a text into
tokens will do, so the search is over bytes, of which few may follow anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from ergotext.lm.automata.explored import Outlook
from ergotext.lm.automata.pieces import Pieces
from ergotext.lm.automata.schema.names import Names
from ergotext.lm.automata.slot_source import MARK
from ergotext.support.arrays import Ints
from ergotext.support.extras import needed

LONGEST = 1000
"""Bytes of an ending that is looked for, at most."""
AT_START, ON_THE_WAY = 20_000, 1_500
"""Bytes that a search for a short ending reads, from the start and from anywhere else."""
PATIENCE = 16
"""Places at which the same bytes may follow, before others than the first are taken."""
_FIRST = b'"}],:>)0123456789'
"""What is tried before other bytes: it closes something, or is short."""
_ORDER = {byte: n for n, byte in enumerate(_FIRST)}
_ALIKE = (range(0x30, 0x3A), range(0x41, 0x5B), range(0x61, 0x7B), range(0x80, 0x100))
"""Of the bytes of each range one is as good as any other, where nearly all may follow."""
_MANY = 40
_LETTERS, _DIGITS = re.compile(r"[A-Za-z\x80-\ud7ff\ue000-\U0010ffff]+"), re.compile(r"[0-9]+")
_PARTS = {0xDC00 + byte: "<2234"[max(0, (byte >> 4) - 0xB)] for byte in range(0x80, 0x100)}
"""Bytes of characters that are not whole, by what they begin or continue with."""


class _Bytes:
    """A tokenizer of single bytes, as llguidance asks for one."""

    is_tokenizer_wrapper = True
    bos_token_id = None
    eos_token_id = 256

    def __init__(self, pieces: Pieces, slots: int) -> None:
        known = {byte for piece in pieces.tokens for byte in piece} - {*range(MARK, 256)}
        # A special token without a name would be taken for the beginning of a marker.
        self.tokens = [bytes([byte]) if byte in known else b"-" for byte in range(256)] + [b"-"]
        self.special_token_ids = [byte for byte in range(257) if byte not in known]
        for marker in range(MARK, MARK + slots):
            self.tokens[marker] = b"[%d]" % marker

    def __call__(self, text: str | bytes) -> list[int]:
        raise AssertionError(f"internal error: {text!r} was tokenised where nothing should be")


@lru_cache(maxsize=4)
def _tokenizer(pieces: Pieces, slots: int) -> Any:
    return needed("llguidance", "automata").LLTokenizer(_Bytes(pieces, slots))


class Endings:
    """Short endings of the texts of a grammar.

    Parameters
    ----------
    source : str
        The grammar, in llguidance's notation.
    pieces : Pieces
    shortest : int
        No text of the grammar has fewer bytes.
    names : Names, optional
        What a text must keep besides: no name twice in one object.
    fillings : sequence of bytes
        Of each slot of the grammar, the text to fill it with. In a text that is given, markers
        stand for slots (``slot_source``).

    Notes
    -----
    An ending is found by taking bytes in a fixed order of preference, and then by trying the other
    bytes at each place of the way, one change at a time, as long as that makes it shorter. It
    need not be the shortest. Every search reads a bounded number of bytes.
    """

    def __init__(
        self,
        source: str,
        pieces: Pieces,
        shortest: int = 0,
        names: Names | None = None,
        fillings: Sequence[bytes] = (),
    ) -> None:
        tokenizer = _tokenizer(pieces, len(fillings))
        self._root = needed("llguidance", "automata").LLMatcher(tokenizer, source, log_level=0)
        self._fillings = {bytes([MARK + n]): text for n, text in enumerate(fillings)}
        self._pieces, self._shortest, self._names = pieces, shortest, names
        self._longest = max(map(len, pieces.tokens), default=0) or 1
        self._found: dict[bytes, bytes | None] = {}
        self._cuts: dict[bytes, tuple[int, ...] | None] = {}

    def least(self, text: bytes) -> int:
        """A number of tokens that every ending of a text takes."""
        missing = -(-max(0, self._shortest - len(text)) // self._longest)
        at = self._after(text)
        if at is None or at.is_accepting():
            return missing
        return max(1, missing, self._pieces.covering(_forced(at))[0])

    def forced(self, text: bytes) -> bytes:
        """What follows a text in any case, up to the next slot."""
        at = self._after(text)
        return b"" if at is None else _forced(at)

    def ending(self, text: bytes) -> tuple[int, ...] | None:
        """The tokens of a short ending of a text (``text``); None if none was found."""
        found = self.text(text)
        return None if found is None else self.cut(found)

    def text(self, text: bytes) -> bytes | None:
        """A short ending of a text, its slots filled; None if none was found.

        It follows from the text alone, byte by byte, and not from what was asked before.
        """
        known = len(text)
        while known and text[:known] not in self._found:
            known -= 1
        for place in range(known, len(text) + 1):
            if text[:place] not in self._found:
                self._found[text[:place]] = self._look(text[:place])
        found = self._found[text]
        return None if found is None else self._filled(found)

    def _look(self, text: bytes) -> bytes | None:
        """What fits of the ending of the text without its last byte; else one is searched for.

        Of that ending the first bytes are left out as long as the others end the text.
        """
        known = self._found[text[:-1]] if text else None
        if known is not None and known[:1] == text[-1:]:
            return known[1:]
        at = self._after(text)
        if at is None:
            return None
        if known is not None and _ends(at, known) and self._kept(text, known):
            # What its first bytes were for, the last one of the text may do as well.
            while known and _ends(at, known[1:]) and self._kept(text, known[1:]):
                known = known[1:]
            return known
        budget = ON_THE_WAY if text else AT_START
        return _EndingSearch(at, budget, lambda way: self._kept(text, way)).best

    def _kept(self, text: bytes, way: bytes) -> bool:
        """Whether tokens can write an ending of a text, and it names nothing twice."""
        way = self._filled(way)
        twice = self._names is not None and self._names.after(self._filled(text) + way) is None
        return not twice and self.cut(way) is not None

    def _filled(self, text: bytes) -> bytes:
        for marker, filling in self._fillings.items():
            text = text.replace(marker, filling)
        return text

    def _after(self, text: bytes) -> Any | None:
        """The matcher after a text; None where it does not continue."""
        matcher = self._root.deep_copy()
        return matcher if not text or matcher.consume_tokens(list(text)) else None

    def cut(self, text: bytes) -> tuple[int, ...] | None:
        """A text in the fewest tokens; None where these cannot write it."""
        if text not in self._cuts:
            best: list[tuple[int, int] | None] = [None] * len(text) + [(0, -1)]
            for place in reversed(range(len(text))):
                ways = [
                    (1 + after[0], token)
                    for token in self._pieces.at(text, place)
                    if (after := best[place + len(self._pieces.tokens[token])]) is not None
                ]
                best[place] = min(ways, default=None)
            self._cuts[text] = self._read_off(best) if best[0] is not None else None
        return self._cuts[text]

    def _read_off(self, best: Sequence[tuple[int, int] | None]) -> tuple[int, ...]:
        tokens: list[int] = []
        place = 0
        while (step := best[place]) is not None and step[1] >= 0:
            tokens.append(step[1])
            place += len(self._pieces.tokens[step[1]])
        return tuple(tokens)


@lru_cache(maxsize=4)
def kinds_of(pieces: Pieces) -> Ints:
    """int64 [V]: tokens that have the same signs, with letters or digits between, are of a kind."""
    numbers: dict[str, int] = {}
    kinds = np.zeros(pieces.alphabet.size, dtype=np.int64)
    for token in pieces.text.tolist():
        text = pieces.tokens[token].decode("utf-8", "surrogateescape")
        plain = _DIGITS.sub("0", _LETTERS.sub("a", text)).translate(_PARTS)
        kinds[token] = numbers.setdefault(plain, 1 + len(numbers))
    return kinds


def outlook_of(
    source: str, pieces: Pieces, shortest: int = 0, names: Names | None = None
) -> Outlook[Any]:
    """The ``Endings`` of a grammar, computed on first use."""
    found: list[Endings] = []

    def endings() -> Endings:
        if not found:
            found.append(Endings(source, pieces, shortest, names))
        return found[0]

    def ending(read: Any, token: int | None) -> tuple[int, ...] | None:
        return endings().ending(read.text + (b"" if token is None else pieces.tokens[token]))

    return Outlook(
        lambda read: endings().least(read.text), ending=ending, kinds=lambda: kinds_of(pieces)
    )


class _EndingSearch:
    """Looks for a short ending from one place, within a number of bytes read.

    Parameters
    ----------
    at : LLMatcher
    budget : int
    written : function
        Whether an ending may be kept.
    """

    def __init__(self, at: Any, budget: int, written: Callable[[bytes], bool]) -> None:
        self.left, self._written = budget, written
        self.best: bytes | None = None
        self._tried = b""
        """the first way, where it led to no ending"""
        self._descend(at, b"")
        while self._improved(at):
            pass

    def _improved(self, at: Any) -> bool:
        """Whether another byte at one place of the best way makes it shorter."""
        best, here = self.best, at.deep_copy()
        way = self._tried if best is None else best
        for place, byte in enumerate(way):
            for other in _ways(here):
                if self.left <= 0:
                    return False
                if other != byte and (best is None or place + 1 < len(way)):
                    branch = here.deep_copy()
                    branch.consume_token(other)
                    self._descend(branch, way[:place] + bytes([other]))
            here.consume_token(byte)
            self.left -= 1
        return self.best != best

    def _descend(self, at: Any, begun: bytes) -> None:
        """Take the first byte everywhere; keep the way if it is shorter than the best.

        Where the same bytes may follow for long, each is taken in turn: one of them leads on.
        """
        at, way = at.deep_copy(), bytearray(begun)
        most = LONGEST if self.best is None else len(self.best) - 1
        before, alike = list[int](), 0
        while not at.is_accepting():
            self.left -= 1
            ways = _ways(at) if len(way) < most and self.left > 0 else []
            before, alike = ways, alike + 1 if ways == before else 0
            turn = max(0, alike - PATIENCE) % max(1, len(ways))
            if not ways or not at.consume_token(ways[turn]):
                break
            way.append(ways[turn])
        if len(way) <= most and at.is_accepting() and self._written(bytes(way)):
            self.best = bytes(way)
        elif not begun:
            self._tried = bytes(way)


def _forced(at: Any) -> bytes:
    """What follows in any case, up to the next slot: llguidance writes its marker after 0xFF."""
    forced: bytes = at.compute_ff_bytes()
    return forced.partition(b"\xff")[0]


def _ways(at: Any) -> list[int]:
    """Bytes that may follow, the best first; of many letters that are alike one."""
    mask = np.frombuffer(at.compute_bitmask(), dtype=np.uint8)
    allowed = np.flatnonzero(np.unpackbits(mask, count=256, bitorder="little")).tolist()
    if len(allowed) > _MANY:
        for alike in _ALIKE:
            some = [byte for byte in allowed if byte in alike]
            allowed = [byte for byte in allowed if byte not in alike] + some[:1]
    return sorted(allowed, key=lambda byte: (_ORDER.get(byte, len(_ORDER)), byte))


def _ends(at: Any, ending: bytes) -> bool:
    """Whether a text may continue with these bytes and end."""
    after = at.deep_copy()
    return bool(after.try_consume_tokens(list(ending)) == len(ending) and after.is_accepting())
