"""Automaton of the texts that are a template with its blanks filled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ergotext.lm.automata.pieces import Pieces
from ergotext.lm.automata.product import ChainProduct
from ergotext.lm.automata.template_chain import Blank, Filled
from ergotext.lm.tokenizers.vocabulary import Vocabulary


class TemplateAutomaton(ChainProduct):
    """Accepts the token sequences whose text is a template with its blanks filled.

    One space may stand before the text, as after another word. The tokens may part it anyhow.

    Parameters
    ----------
    texts : sequence of str
        What is given: one text more than there are blanks, the outer ones may be empty.
    blanks : sequence of Blank
    pieces : Pieces

    Attributes
    ----------
    filled : Filled
        The chain that reads the text.

    Raises
    ------
    InputError
        A text can be read in too many ways, or these tokens cannot write it.
    """

    def __init__(self, texts: Sequence[str], blanks: Sequence[Blank], pieces: Pieces) -> None:
        self._recipe = type(self), (tuple(texts), tuple(blanks), pieces)
        self.filled = Filled(texts, blanks)
        super().__init__([self.filled], pieces)

    def __reduce__(self) -> tuple[Callable[..., TemplateAutomaton], tuple[Any, ...]]:
        return self._recipe  # the tables are rebuilt


def spelled_texts(texts: Sequence[str], vocabulary: Vocabulary) -> list[list[int]]:
    """The tokens that a tokenizer makes of each given text, without the space before a blank."""
    bare = [text.rstrip() for text in texts]
    return [
        vocabulary.spell(text)
        if text and (number == 0 or text.startswith(" "))
        else vocabulary.encode(text)
        for number, text in enumerate(bare)
    ]
