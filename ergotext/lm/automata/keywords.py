"""Automaton of the texts that contain some words, are without others, and have so many words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from ergotext.lm.automata.chains import Chain
from ergotext.lm.automata.keyword_checks import check_keywords, check_window
from ergotext.lm.automata.pieces import Pieces
from ergotext.lm.automata.product import ChainProduct
from ergotext.lm.automata.word_chains import Demanded, Excluded, OneLine, WordCount
from ergotext.support.words import Keyword, ordered_groups


class KeywordCoverage(ChainProduct):
    """Accepts the token sequences whose text contains all of some words (``protocols.Automaton``).

    A text is accepted where ``words.holds_words`` is true, so words are found at word boundaries:
    ``sun`` is not in ``sunny``, however the text is cut into tokens. Every sequence makes valid
    UTF-8.

    Parameters
    ----------
    words : sequence of (str or sequence of str)
        Words or phrases, or alternatives of which one is enough: ``[("throw", "threw"), "dog"]``.
        One given twice must stand there twice.
    pieces : Pieces
    any_order : bool
        Whether the words may come in any order and overlap, instead of one after the other.
    without : sequence of str
        Words or phrases that must not occur.
    words_between : (int, int), optional
        The number of words that the text has, both ends included. A word is a longest run of
        letters, digits and underscores, with single apostrophes or hyphens inside; in scripts
        without spaces (Chinese, Japanese, Thai, …) every character is one.
    one_line : bool
        Whether the text must have no line break.

    Attributes
    ----------
    chains : list of Chain
        What the positions of a state are in.

    Raises
    ------
    InputError
        A word has no visible character, these tokens cannot write a text that holds it, no text
        holds all of them and is without the others, or they do not fit into so many words.

    Notes
    -----
    Every distinct keyword (or all of them, in order) is a chain: a small automaton over characters.
    So are the excluded words together, the number of words, and the line.
    """

    def __init__(
        self,
        words: Sequence[Keyword],
        pieces: Pieces,
        *,
        any_order: bool = False,
        without: Sequence[str] = (),
        words_between: tuple[int, int] | None = None,
        one_line: bool = False,
    ) -> None:
        check_keywords(words, without)
        check_window(words, words_between)
        make = partial(
            type(self),
            any_order=any_order,
            without=without,
            words_between=words_between,
            one_line=one_line,
        )
        self._recipe = make, (tuple(words), pieces)
        chains: list[Chain[Any]] = [*map(Demanded, ordered_groups(words, any_order))]
        if without:
            chains.append(Excluded(without))
        if words_between is not None:
            chains.append(WordCount(*words_between))
        if one_line:
            chains.append(OneLine())
        super().__init__(chains, pieces)

    def __reduce__(self) -> tuple[Callable[..., KeywordCoverage], tuple[Any, ...]]:
        return self._recipe  # the tables are rebuilt
