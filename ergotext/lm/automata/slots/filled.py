"""Automaton of a grammar some of whose places hold any key of an index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ergotext.lm.automata.completions import kinds_of
from ergotext.lm.automata.explored import Explored, InWords, Outlook
from ergotext.lm.automata.pieces import Pieces
from ergotext.lm.automata.schema.names import Names, quotes_of
from ergotext.lm.automata.slots.endings import SlotEndings
from ergotext.lm.automata.slots.grammar import SlotGrammar, Way
from ergotext.lm.automata.slots.key_texts import KeyTexts
from ergotext.support.arrays import Ints


@dataclass(frozen=True)
class Filling:
    """A text read so far, and the ways to read it, which follow from the text."""

    text: bytes
    ways: tuple[Way, ...] = field(compare=False)
    names: Names | None = field(compare=False, default=None)
    """of the JSON objects that are open, where names may not repeat"""


def filled(
    source: str,
    given: str,
    pieces: Pieces,
    texts: Sequence[KeyTexts],
    asked: str,
    shortest: int = 0,
    names: Names | None = None,
) -> Explored[Filling]:
    """The token sequences whose text a grammar with slots derives, in every tokenisation.

    Parameters
    ----------
    source : str
        The grammar, with numbered slots (``slot_source``).
    given : str
        The same as a person gave it.
    pieces : Pieces
    texts : sequence of KeyTexts
        What fills each slot.
    asked : str
        What is demanded, in words (``InWords``).
    shortest : int
        No text has fewer bytes.
    names : Names, optional
        Where names may not repeat: before anything was read.
    """
    grammar = SlotGrammar(source, given, texts, pieces)
    endings = SlotEndings(source, texts, pieces, names)
    longest = max(map(len, pieces.tokens), default=0) or 1
    quotes = quotes_of(pieces)

    def follow(read: Filling, token: int) -> Filling:
        piece = pieces.tokens[token]
        after = grammar.after(read.ways, piece)
        return Filling(read.text + piece, after, read.names and read.names.after(piece))

    def ways(read: Filling) -> tuple[Ints, bool]:
        tokens = grammar.tokens(read.ways)
        if read.names is not None:
            tokens = read.names.fresh(tokens, quotes, pieces)
        return tokens, grammar.may_end(read.ways)

    def least(read: Filling) -> int:
        missing = -(-max(0, shortest - len(read.text)) // longest)
        return max(missing, endings.least(read.ways))

    def ending(read: Filling, token: int | None) -> tuple[int, ...] | None:
        return endings.ending((read if token is None else follow(read, token)).ways)

    outlook = Outlook(least, None, ending, lambda: kinds_of(pieces))
    recipe = filled, (source, given, pieces, texts, asked, shortest, names)
    first = Filling(b"", (grammar.first,), names)
    end, pad = pieces.alphabet.end, pieces.alphabet.pad
    return Explored(end, pad, first, follow, ways, outlook, recipe, InWords([asked]))
