"""Rule that ends a text with its first sentence, in scripts with and without spaces."""

from __future__ import annotations

from codecs import getincrementaldecoder
from enum import IntEnum
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from ergotext.errors import InputError
from ergotext.lm.automata.pieces import FAR, Pieces, written_by
from ergotext.lm.batch import TokenBatch, checked
from ergotext.lm.endings.abbreviations import abbreviated, before_number, ordinary
from ergotext.lm.tokenizers.vocabulary import Vocabulary
from ergotext.support.words import is_unspaced

WIDE = "。！？｡．"
"""Terminators of scripts that write no space after them."""
TERMINATORS = frozenset(".!?…‼⁇⁈⁉‽؟۔।॥։።።" + WIDE)
CLOSERS = frozenset("\"'”’»›)]}」』】》〉〕〗）］｝＂＇")
OPEN_OR_CLOSE = frozenset("“‘«‹")
"""Quotes that close in some languages that put a space between sentences (German, Danish)."""
BROKEN = "\ufffd"
BEGUN = sorted(
    {char.encode()[:n] for char in TERMINATORS | CLOSERS for n in range(1, len(char.encode()))}
)
"""Bytes that may begin a closer or a terminator, or some other character."""
_CLOSING = frozenset(char.encode() for char in TERMINATORS | CLOSERS)
_CONTINUES = range(0x80, 0xC0)
"""Bytes that go on with a character."""


class Place(IntEnum):
    """What a prefix ends with."""

    INSIDE = 0
    """no sentence terminator"""
    STOP = 1
    """a terminator, where a space parts sentences"""
    STOP_SPACE = 2
    """the same and white space: one token may write both"""
    NUMBER = 3
    """an abbreviation if a number follows: ``No.``"""
    NUMBER_SPACE = 4
    WIDE_STOP = 5
    """a terminator in a script without spaces"""
    WIDE_SPACE = 6
    WORD = 7
    """a full stop after an ordinary word: ``of it.``"""
    WORD_SPACE = 8


class SentenceEnd:
    r"""The end of a sentence: a terminator, and closing quotes or brackets after it.

    There a next sentence opens with white space that no lower-case letter follows (after ``No.``
    no digit either; after an ordinary word and one full stop with any white space); in scripts
    without spaces with everything but a closer or another terminator. So ``3.14`` and ``."`` before
    `` and`` go on, and abbreviations that are known (``endings.abbreviations``, English) are no
    place at all.

    Only the text of the row counts, in whole characters: a terminator spelled in several tokens
    stands when its last byte does. A token that ends after white space (``.\n``) stands at an
    end, one with text after the stop (``.,``) inside. The context before a row is not looked at.

    Bytes after a wide terminator that may begin a closer are written, as what they begin is not
    known yet. Then the tokens that make anything else of them end the text, and what it says
    (``spare``) is what stands before them.

    Parameters
    ----------
    pieces : Pieces
        What each token writes.
    size : int
        Tokens of the model.
    """

    def __init__(self, pieces: Pieces, size: int) -> None:
        self._pieces = pieces
        texts = [piece.decode(errors="replace") for piece in pieces.tokens[:size]]
        absorbed = np.zeros((len(Place) + len(BEGUN), size), dtype=np.bool_)
        may_stand = np.zeros(size, dtype=np.bool_)
        opens: dict[str, list[int]] = {}
        for token in pieces.text[pieces.text < size].tolist():
            text = texts[token]
            # Nothing after the first visible character says what a token opens.
            begun = text[: len(text) - len(text.lstrip()) + 1]
            if begun not in opens:
                opens[begun] = opened_by(begun)
            absorbed[opens[begun], token] = True
            may_stand[token] = _may_stand(text)
            piece = pieces.tokens[token]
            absorbed[Place.WIDE_STOP, token] &= piece not in BEGUN
            absorbed[len(Place) :, token] = True
            if piece[0] in _CONTINUES:
                absorbed[len(Place) :, token] = [not _may_close(begun + piece) for begun in BEGUN]
        self.absorbed, self._may_stand = torch.from_numpy(absorbed), torch.from_numpy(may_stand)
        self.stops = torch.zeros_like(self._may_stand)
        """bool [V]: tokens after which a sentence may end, whatever stands before them"""
        for token in self._may_stand.nonzero()[:, 0].tolist():
            self.stops[token] = place_after(texts[token]) != Place.INSIDE

    def __repr__(self) -> str:
        return "sentence"

    def kinds(self, batch: TokenBatch) -> Tensor:
        """int64 [B, L + 1]: the ``Place`` after each prefix of each row; 0 beyond its end.

        After bytes that may begin a closer, numbers above those of all places.
        """
        checked(batch, len(self._may_stand))
        found = torch.zeros(len(batch), batch.width + 1, dtype=torch.int64)
        rows = batch.rows()
        for r, i in (self._may_stand[batch.ids] & batch.inside).nonzero().tolist():
            found[r, i + 1] = _kind_after(self._pieces.joined(rows[r][: i + 1]))
        return found

    def spare(self, batch: TokenBatch) -> Tensor:
        """bool [B]: whether the bytes that a row ends in are part of no character of its text."""
        kinds = self.kinds(batch)
        return kinds.gather(1, batch.length[:, None])[:, 0] >= len(Place)


@lru_cache(maxsize=8)
def sentence_end(vocabulary: Vocabulary, end_id: int) -> SentenceEnd:
    """The rule for a model's tokens, made once.

    Raises
    ------
    InputError
        What the tokens write cannot be found out, or none can write the end of a sentence.
    """
    pieces = written_by(vocabulary, end_id)
    if all(pieces.fewest(stop.encode()) >= FAR for stop in sorted(TERMINATORS)):
        raise InputError(
            "this tokenizer can write no full stop and no other end of a sentence (! ? …), so no "
            'text would end with its sentence: let it end at the model\'s end token (end="token")'
        )
    return SentenceEnd(pieces, vocabulary.size)


def place_after(text: str) -> Place:
    """What a text ends with."""
    bare = text.rstrip()
    spaced = bare != text
    body = bare.rstrip("".join(CLOSERS | OPEN_OR_CLOSE))
    if not body or body[-1] not in TERMINATORS:
        return Place.INSIDE
    words = body.rstrip("".join(TERMINATORS | CLOSERS | OPEN_OR_CLOSE))
    wide = any(stop in WIDE for stop in body[len(words) :])
    if wide or (words and is_unspaced(words[-1])):
        if bare.rstrip("".join(CLOSERS)) != body:
            return Place.INSIDE  # “ and the like open a quotation there
        return Place.WIDE_SPACE if spaced else Place.WIDE_STOP
    if body == words + ".":
        if abbreviated(words):
            return Place.INSIDE
        if body == bare and before_number(words):
            return Place.NUMBER_SPACE if spaced else Place.NUMBER
        if body == bare and ordinary(words):
            return Place.WORD_SPACE if spaced else Place.WORD
    return Place.STOP_SPACE if spaced else Place.STOP


def opened_by(text: str) -> list[int]:
    """The places at which a token of this text opens a next sentence."""
    rest = text.lstrip()
    spaced, first = rest != text, rest[:1]
    # A single space alone may stand before a number, which some tokenizers spell digit by digit.
    numeric = first.isdigit() or text == " "
    lower = first.islower()
    opened = {
        Place.STOP: spaced and not lower,
        Place.STOP_SPACE: not lower,
        Place.NUMBER: spaced and not lower and not numeric,
        Place.NUMBER_SPACE: not lower and not numeric,
        Place.WIDE_STOP: text[0] not in TERMINATORS | CLOSERS,
        Place.WIDE_SPACE: True,
        Place.WORD: spaced,
        Place.WORD_SPACE: True,
    }
    return [int(place) for place, opens in opened.items() if opens]


def one_sentence(text: str) -> bool:
    """Whether a text is a single sentence, with its end."""
    if place_after(text) == Place.INSIDE:
        return False
    places = ((place_after(text[:at]), text[at:]) for at in range(1, len(text)))
    return not any(place in opened_by(rest) for place, rest in places)


def _kind_after(written: bytes) -> int:
    """``place_after`` of what bytes write, or the number of what they have begun behind a stop."""
    decoder = getincrementaldecoder("utf-8")("replace")
    text = decoder.decode(written)
    begun = decoder.getstate()[0]
    if not begun:
        return place_after(text)
    wide = begun in BEGUN and place_after(text) == Place.WIDE_STOP
    return len(Place) + BEGUN.index(begun) if wide else Place.INSIDE


def _may_close(written: bytes) -> bool:
    """Whether bytes begin with a closer or a terminator, or are the beginning of one."""
    return written in BEGUN or any(written[:n] in _CLOSING for n in (2, 3, 4))


def _may_stand(text: str) -> bool:
    """Whether a prefix that ends with a token of this text may end a sentence."""
    last = text[-1]
    return last in TERMINATORS | CLOSERS | OPEN_OR_CLOSE or last.isspace() or last == BROKEN
