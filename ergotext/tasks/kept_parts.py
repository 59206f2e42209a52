"""Find what a paraphrase must keep word for word: numbers, names, quotations, and a negation."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import NamedTuple

from ergotext.lm.batch import TokenBatch
from ergotext.lm.energies.term import Term
from ergotext.lm.energies.terms import custom
from ergotext.lm.text_scorer import TextScorer
from ergotext.support.plain_words import words_of
from ergotext.support.words import find_word, is_unspaced

MOST = 6
"""Parts that are kept; with more, few texts but the one given have them all."""
ANCHOR = " and"
"""Before a sentence, to see whether its first word keeps its capital there."""
_NUMERALS = (
    "two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred "
    "thousand million billion dozen"
)
NUMERALS = frozenset(_NUMERALS.split())
NEGATIONS = frozenset({"not", "never", "cannot", "nobody", "nothing", "without"})
"""Beside all that end in n't. Sentence encoders hardly see them, so they are watched here. "No" is
left out: "stopped" is "no longer" in other words."""
_PRONOUN = re.compile(r"I(?:['’]\w+)?")
_WORD = re.compile(r"[$€£¥]?\w+(?:[-'’.,:/&]\w+)*%?")
_QUOTED = re.compile(r"“([^“”]+)”|\"([^\"]+)\"|「([^「」]+)」|《([^《》]+)》")
_OPENS = re.compile(r"(?:^|[.!?…:。！？][\"'”’)]*\s+|[“\"(«「])\W*$")


class _Word(NamedTuple):
    begin: int
    end: int
    text: str


def kept_parts(text: str, lm: TextScorer) -> list[str]:
    """What of a text is no matter of wording: the first six of these, as they stand.

    Quotations (what is between double quotes), words with a digit and English numerals from two
    on, with the sign of a currency or a percentage, and names: words with a capital letter. Names
    and numbers side by side are one part. Of the first word of a sentence the model decides: it is
    a name if the sentence is likelier with it than with a small letter after "and".

    Parameters
    ----------
    text : str
    lm : TextScorer
    """
    quoted = [next(filter(None, match.groups())).strip() for match in _QUOTED.finditer(text)]
    found: list[str] = [part for part in quoted if part]
    found += (part for part in _runs(text, lm) if not any(find_word(q, part) >= 0 for q in found))
    return list(dict.fromkeys(found))[:MOST]


def same_negation(reference: str) -> Term:
    """0 where a text has an English negation if the reference has one, and else has none; or +inf.

    Parameters
    ----------
    reference : str
    """
    own = _negated(reference)
    term = custom(
        lambda texts: [0.0 if _negated(text) == own else math.inf for text in texts], "negation"
    )
    term.lowest = 0.0
    return term


def _negated(text: str) -> bool:
    return any(
        word in NEGATIONS or word.endswith("n't") for word in words_of(text.replace("’", "'"))
    )


def _runs(text: str, lm: TextScorer) -> Iterator[str]:
    """Numbers and names, neighbours that only a space parts as one."""
    names = _names(text, lm)
    run: list[_Word] = []
    for word in _words(text):
        kept = word in names or _is_number(word.text)
        if run and not (kept and text[run[-1].end : word.begin] == " "):
            yield text[run[0].begin : run[-1].end]
            run = []
        run += [word] if kept else []
    if run:
        yield text[run[0].begin : run[-1].end]


def _words(text: str) -> list[_Word]:
    """Words of scripts with spaces, without a genitive's ending."""
    spaced = "".join(" " if is_unspaced(char) else char for char in text)
    found = []
    for match in _WORD.finditer(spaced):
        word = re.sub(r"['’]s$", "", match.group())
        found.append(_Word(match.start(), match.start() + len(word), word))
    return found


def _is_number(word: str) -> bool:
    parts = set(word.lower().split("-"))
    return any(map(str.isdigit, word)) or (bool(parts - {"one"}) and parts <= NUMERALS | {"one"})


def _names(text: str, lm: TextScorer) -> set[_Word]:
    """Words with capital letters that they have for themselves."""
    words = _words(text)
    if not any(map(str.islower, text)):
        return set()  # capitals throughout say nothing
    capital = [w for w in words if any(map(str.isupper, w.text)) and not _PRONOUN.fullmatch(w.text)]
    # NASA and iPhone have capitals of their own there too.
    first = [w for w in capital if f"x{w.text[1:]}".islower() and _OPENS.search(text[: w.begin])]
    return set(capital) - {w for w in first if not _stays(text, w, lm)}


def _stays(text: str, word: _Word, lm: TextScorer) -> bool:
    """Whether the model keeps the capital letter of a sentence's first word inside a sentence."""
    rest = text[word.begin :]
    ways = [f"{ANCHOR} {rest}", f"{ANCHOR} {rest[0].lower()}{rest[1:]}"]
    capital, small = lm.log_prob(
        TokenBatch.of([lm.vocabulary.encode(way) for way in ways])
    ).tolist()
    return bool(capital > small)
