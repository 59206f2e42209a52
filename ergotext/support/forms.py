"""Inflected forms of English words, by lemminflect (extra ``forms``)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from ergotext.support.extras import needed
from ergotext.support.words import Keyword, alternatives

INFLECTED = ("NOUN", "VERB")


def with_forms(keywords: Sequence[Keyword]) -> list[tuple[str, ...]]:
    """Keywords with the forms of their words as further alternatives, those given first.

    Raises
    ------
    InputError
        lemminflect is not installed.
    """
    return [
        tuple(dict.fromkeys([*given, *(form for word in given for form in forms(word))]))
        for given in map(alternatives, keywords)
    ]


@cache
def forms(word: str) -> tuple[str, ...]:
    """An English word and its inflected forms: singular and plural, and all forms of a verb.

    An inflected word has the forms of its lemma: ``threw`` has ``throw``, ``thrown`` and so on. A
    word that may be noun and verb has both. A capitalised word has capitalised forms. Phrases,
    abbreviations in capitals, unknown names and words of other scripts have no other form.

    Parameters
    ----------
    word : str

    Returns
    -------
    tuple of str
        The word itself first; each once.

    Raises
    ------
    InputError
        lemminflect is not installed.
    """
    plain = word.lower()
    letters = plain.replace("-", "")
    if not (letters.isascii() and letters.isalpha()) or word not in (plain, plain.capitalize()):
        return (word,)
    found = list(_inflections(plain, guess=word == plain))
    if plain not in found:  # no form of its own lemma: leave it alone
        return (word,)
    return tuple(dict.fromkeys([word, *(found if word == plain else map(str.capitalize, found))]))


def _inflections(word: str, guess: bool) -> Iterator[str]:
    """The forms of all lemmas of a word; if no dictionary has it, perhaps as if it were a noun."""
    library: Any = needed("lemminflect", "forms")
    lemmas = library.getAllLemmas(word)
    for kind in INFLECTED:
        for lemma in lemmas.get(kind, ()):
            for spelled in library.getAllInflections(lemma, upos=kind).values():
                yield from spelled
    if guess and not lemmas:
        for lemma in library.getAllLemmasOOV(word, "NOUN").get("NOUN", ()):
            yield lemma
            yield from library.getAllInflectionsOOV(lemma, "NOUN").get("NNS", ())
