"""The sum over words that cannot overlap, beside the shortest way through all of them."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest

from ergotext.lm.automata import Pieces, separate_words
from ergotext.lm.automata.keywords import KeywordCoverage
from ergotext.lm.automata.word_chains import Demanded
from ergotext.lm.tokenizers.characters import Alphabet
from ergotext.support.arrays import Ints
from ergotext.support.words import Keyword
from tests.faulty import load_with_fault
from tests.lm.automata.worlds import LATIN, LINE, SEA

APART = Pieces(
    Alphabet(11, 0, 1), [b"", b"", b"c", b"ca", b"t", b"at", b" ", b" b", b"ig", b"i", b"tb"]
)
"""No token ends a word and begins another."""
JOINED = Pieces(
    Alphabet(11, 0, 1), [b"", b"", b"b", b"i", b"bi", b"g d", b"g", b"d", b"o", b"og", b" "]
)
"""One token ends ``big`` and begins ``dog``."""
PARTS = Pieces(
    Alphabet(9, 0, 1), [b"", b"", b"a", b" ", b"\xc3", b"\xa9", b"a\xc3", b"\xa9 a", b"b"]
)
"""é in two bytes."""
WORLDS: dict[str, tuple[list[Keyword], Pieces]] = {
    "letters": (["a", "b"], LATIN),
    "the same word twice": (["ab", "ab", "b"], LATIN),
    "words inside others": (["ab", "ba", "a"], LATIN),
    "alternatives": ([("ab", "a"), "b"], LATIN),
    "a token of two words": (["a", "b"], LINE),
    "hyphens": (["a-", "b"], LINE),
    "a script without spaces": (["海", "a"], SEA),
    "characters in parts": (["é", "a", "b"], PARTS),
    "a phrase with parts": (["a é", "b"], PARTS),
    "words apart": (["cat", "big"], APART),
    "a phrase in another": (["cat", "cat big"], APART),
    "alternatives twice": ([("big", "b"), ("big", "b")], APART),
    "one token for two": (["big", "dog"], JOINED),
}


def check(module: ModuleType = separate_words) -> None:
    """Never above the shortest way, at any state that can be reached."""
    for name, (wanted, pieces) in WORLDS.items():
        automaton = KeywordCoverage(wanted, pieces, any_order=True)
        chains = [chain for chain in automaton.chains if type(chain) is Demanded]
        bound = module.SeparateWords(chains, pieces)
        states = reached(automaton)
        begun, positions = automaton.parts(states)
        left, exact = bound(begun, positions), automaton.least(states)
        alive = exact < 1 << 20
        assert (left <= exact)[alive].all(), (name, left[alive], exact[alive])


def reached(automaton: KeywordCoverage) -> Ints:
    """Every state that is neither dead nor finished."""
    known = automaton.start(1)
    while True:
        _, _, after = automaton.candidates(known)
        more = np.unique(np.concatenate([known, after[after > 0]]))
        if len(more) == len(known):
            return known
        known = more


def bound_at_start(module: ModuleType, wanted: list[Keyword], pieces: Pieces) -> int:
    automaton = KeywordCoverage(wanted, pieces, any_order=True)
    chains = [chain for chain in automaton.chains if type(chain) is Demanded]
    begun, positions = automaton.parts(automaton.start(1))
    return int(module.SeparateWords(chains, pieces)(begun, positions)[0])


def sums(module: ModuleType = separate_words) -> None:
    """As much as can be said of words that stand apart, and less where a token writes two."""
    assert bound_at_start(module, ["cat", "big"], APART) == 4  # ca·t and b·ig
    assert bound_at_start(module, ["cat", "cat", "big"], APART) == 6
    assert bound_at_start(module, ["cat", "big", "at"], APART) == 5
    assert bound_at_start(module, ["cat", ("big", "b")], APART) == 3
    assert bound_at_start(module, ["ab", "ba"], LATIN) == 2
    assert bound_at_start(module, ["ab", "b"], LINE) == 3
    assert bound_at_start(module, ["cat", "cat big", "big"], APART) == 4  # both stand in one
    assert bound_at_start(module, ["big", "dog"], JOINED) == 3


def test_no_more_than_the_shortest_way() -> None:
    check()


def test_as_much_as_can_be_said() -> None:
    sums()


FAULTS: dict[str, tuple[Callable[[ModuleType], None], tuple[str, str]]] = {
    "no token writes parts of two words": (check, ("* self._shared, 0)", "* 0, 0)")),
    "one token may write any number of words": (
        sums, ("np.maximum(words - 1, 0) * self._shared", "words")
    ),
    "words that overlap are summed over": (
        check, ("if not any(_overlap(", "if True or not any(_overlap(")
    ),
    "no token begins before a word": (
        check, ("pieces.fewest(text))", "pieces.covering(text)[0])")
    ),
    "what is begun is written anew": (
        check, ("for letters in (0, *_lengths(of_word))", "for letters in (0,)")
    ),
    "a begun character is written anew": (
        check, ("if parted and high > low + 1 else first", "if parted and high < low else first")
    ),
    "a word that stands there is missing": (
        check, ("found = int(chain.found[at])", "found = chain.positions[at].found")
    ),
    "the dearest alternative counts": (
        check, ("[min(spelled[word].fewest for word", "[max(spelled[word].fewest for word")
    ),
    "later keywords of a chain are free": (
        sums, ("later[found + 1] + min(", "min(")
    ),
    "all words may overlap": (
        sums, ("inside = at > 0 and joins(word[at - 1]) and joins(other[0])", "inside = False")
    ),
    "a token that goes on after a word is not looked at": (
        sums, ('+ _either(starts) + b"$)"', '+ b"(?!))"')
    ),
    "a token that begins inside a word is not looked at": (
        sums, ('b"(?:" + _either(ends) + b"|.*" + inside', 'b"(?:.*" + inside')
    ),
    "letters may part words": (
        sums, ("return not (ended and begun)", "return True")
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_the_check_sees_it(fault: str) -> None:
    seen_by, change = FAULTS[fault]
    with pytest.raises((AssertionError, ValueError)):
        seen_by(load_with_fault("lm.automata.separate_words", change))
