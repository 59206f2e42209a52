"""Automata of listed texts: the whole text is one of them, or the text begins with one of them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from ergotext.errors import InputError
from ergotext.lm.automata.explored import Explored, InWords, Outlook
from ergotext.lm.automata.pieces import FAR, Pieces
from ergotext.lm.protocols import Automaton
from ergotext.support.words import check_texts

_AFTER = b"\xff"
"""No UTF-8 has this byte, so every text with a beginning sorts before the beginning and this."""
SHOWN = 5
"""Texts that a message names."""


def choices(texts: Collection[str], pieces: Pieces) -> Explored[bytes]:
    """The token sequences whose whole text is one of some texts, in any tokenisation.

    Parameters
    ----------
    texts : collection of str
        Tens of thousands will do; for more, use a trie (``ergotext.lm.trie``).
    pieces : Pieces

    Raises
    ------
    InputError
        There is no text, or one of them cannot be written by these tokens.
    """
    check_texts(texts, "choices")
    given = list(dict.fromkeys(texts))
    if not given:
        raise InputError("there is nothing to choose from: give at least one text")
    known = sorted(text.encode() for text in given)
    far = {text: pieces.covering(text)[0] for text in known if text}
    if (lost := next((text for text, least in far.items() if least >= FAR), None)) is not None:
        raise InputError(
            f"this tokenizer cannot write the choice {lost.decode()!r:.60}: choose another text"
        )

    def ways(read: bytes) -> tuple[NDArray[np.int64], bool]:
        low, high = bisect_left(known, read), bisect_right(known, read + _AFTER)
        found = {token for text in known[low:high] for token in pieces.at(text, len(read))}
        return np.array(sorted(found), dtype=np.int64), known[low] == read

    alphabet, more = pieces.alphabet, " or another" if len(given) > SHOWN else ""
    return Explored(
        alphabet.end,
        alphabet.pad,
        b"",
        lambda read, token: read + pieces.tokens[token],
        ways,
        Outlook(lambda read: int(known[bisect_left(known, read)] != read)),
        (choices, (given, pieces)),
        InWords([f"is {' or '.join(map(repr, given[:SHOWN]))}{more}"]),
    )


def openings(
    texts: Sequence[bytes], pieces: Pieces, within: Automaton, state: int
) -> Explored[tuple[int, bytes]]:
    """What begins with one of some texts and another automaton allows from one of its states.

    Of a sequence only the last token may write more than the text: a sequence is accepted as
    soon as its text is there, and goes no further. So each continuation has one such beginning,
    and their probabilities add up to that of the text's being written next.

    Parameters
    ----------
    texts : sequence of bytes
        None of them begins with another.
    pieces : Pieces
    within : Automaton
    state : int
    """

    def follow(position: tuple[int, bytes], token: int) -> tuple[int, bytes]:
        after = within.advance(np.array([position[0]]), np.array([token]))
        return int(after[0]), position[1] + pieces.tokens[token]

    def ways(position: tuple[int, bytes]) -> tuple[NDArray[np.int64], bool]:
        at, read = position
        if any(read.startswith(text) for text in texts):
            return np.empty(0, dtype=np.int64), True
        found: set[int] = set()
        for text in texts:
            if text.startswith(read):
                found |= {*pieces.at(text, len(read)), *pieces.beginning(text[len(read) :])}
        tokens = np.array(sorted(found), dtype=np.int64)
        taken = within.advance(np.full(len(tokens), at), tokens) >= 0
        return tokens[taken], False

    alphabet = pieces.alphabet
    return Explored(alphabet.end, alphabet.pad, (state, b""), follow, ways)
