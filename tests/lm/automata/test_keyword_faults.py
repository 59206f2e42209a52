"""Faults put into the automaton of keywords one at a time: each must be caught."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from ergotext.errors import ErgotextError, InputError
from ergotext.lm.automata import Pieces, keywords, product
from ergotext.lm.automata.keyword_bounds import FAR
from ergotext.lm.protocols import Automaton
from ergotext.support import words
from ergotext.support.arrays import Ints
from ergotext.support.words import Keyword
from tests.faulty import load_with_fault
from tests.lm.automata.worlds import (
    LATIN,
    LINE,
    LINES,
    PAD,
    SEA,
    Row,
    check_protocol,
    language,
    listed,
)

Check = Callable[[], None]


def covers() -> None:
    for wanted, pieces in ((["ab", "ab"], LATIN), (["a"], LATIN), (["海"], SEA)):
        holds(wanted, pieces)
    holds(["a", "a"], LATIN, any_order=True)


def limits() -> None:
    for any_order in (False, True):
        holds([("ab", "b"), "a"], LATIN, any_order=any_order)
        holds([("a b", "a"), "b"], LINE, any_order=any_order)
        holds([("a", "ba")], LATIN, any_order=any_order, without=["b", "ab"])
        holds([("b", "海")], LINE, any_order=any_order, words_between=(2, 3))
    holds([("a-", "b")], LINE)
    holds(["a-", "-b"], LINE)
    holds([], LINE, words_between=(1, 2))
    for wanted in (["a", "b"], []):
        holds(wanted, LINES, any_order=True, one_line=True)
    for wanted in (["a", "b"], []):
        holds(wanted, LINES, any_order=True, one_line=True)


def holds(wanted: Sequence[Keyword], pieces: Pieces, **options: Any) -> None:
    automaton = keywords.KeywordCoverage(wanted, pieces, **options)
    check_protocol(automaton, PAD, pieces.alphabet.size, most=2)
    expected = listed(pieces, 3, lambda text: words.holds_words(text, wanted, **options))
    assert language(automaton, 3) == expected
    make, recipe = automaton.__reduce__()
    assert language(make(*recipe), 3) == expected


def state_after(automaton: Automaton, row: Row) -> Ints:
    states = automaton.start(1)
    for token in row:
        states = automaton.advance(states, np.array([token]))
    return states


def dies() -> None:
    """What is lost is dead, or far from every end."""
    automaton = keywords.KeywordCoverage(["b"], LATIN, without=["a"])
    assert state_after(automaton, (1, 7)).tolist() == [-1]
    automaton = keywords.KeywordCoverage(["b"], LATIN, words_between=(1, 2))
    assert state_after(automaton, (1, 7, 7)).tolist() == [-1]
    for row, least in {(): 1, (1,): 2, (2,): 0, (1, 8): 1, (1, 7): FAR, (5, 7): FAR}.items():
        assert automaton.least(state_after(automaton, row)).tolist() == [least], row
    automaton = keywords.KeywordCoverage(["a"], LINE, words_between=(3, 3))
    assert automaton.least(automaton.start(1)).tolist() == [2]  # "a ", " a b"


def by_table() -> None:
    """As by digits, where these do not fit."""
    module = product.numbering.__globals__
    most, module["MOST"] = module["MOST"], 1
    try:
        covers()
        limits()
        dies()
    finally:
        module["MOST"] = most


def refuses() -> None:
    for said, wanted, options in (
        ("both demanded and excluded", ["b", "a"], {"without": ["a"]}),
        ("keyword 'a b' contains the excluded 'b'", ["a b"], {"without": ["b"]}),
        ("keyword 'b|a b' contains the excluded 'b'", [("b", "a b")], {"without": ["b"]}),
        ("no visible characters", [("", " ")], {}),
        ("no visible characters", ["a"], {"without": [""]}),
        ("has no alternatives", [()], {}),
        ("got 3 to 2", ["a"], {"words_between": (3, 2)}),
        ("got -1 to 2", ["a"], {"words_between": (-1, 2)}),
        ("two whole numbers, got 3", ["a"], {"words_between": 3}),
        ("two whole numbers", ["a"], {"words_between": (1.5, 3)}),
        ("2 keywords cannot stand in 1 word:", ["a", "b"], {"words_between": (0, 1)}),
        ("contains 'a b', has 0 to 1 words all at once", ["a b"], {"words_between": (0, 1)}),
        ("cannot write a text that contains 'c|é'", [("c", "é")], {}),
    ):  # fmt: skip
        with pytest.raises(InputError) as caught:
            keywords.KeywordCoverage(wanted, ONES, any_order=True, **options)
        assert said in str(caught.value) and "\n" not in str(caught.value)
    none = Pieces(LINE.alphabet, [b"", b"-", b" "])
    with pytest.raises(InputError, match="cannot write a text that has 1 to 2 words"):
        keywords.KeywordCoverage([], none, words_between=(1, 2))
    sea = Pieces(LINE.alphabet, [b"", "海".encode(), b" "])
    with pytest.raises(InputError, match="is without '海', has 1 to 2 words all at once"):
        keywords.KeywordCoverage([], sea, without=["海"], words_between=(1, 2))
    keywords.KeywordCoverage(["a b", "a", "b"], LINE, any_order=True, words_between=(0, 2))
    keywords.KeywordCoverage([("b", "a")], LINE, without=["b"])


ONES = Pieces(LINE.alphabet, [b"", b"a", b"b", b" ", b"", "海".encode()])

FAULTS: dict[str, tuple[str, Check, tuple[tuple[str, str], ...]]] = {
    "a word may run into the next": (
        "lm.automata.word_chains", covers,
        (("kind.mark or (kind.joins and joining)", "kind.mark"),),
    ),
    "a word may begin inside another": (
        "lm.automata.word_chains", covers,
        (("may_begin = not (joined and joins(word[0]))", "may_begin = True"),),
    ),
    "a copy of a word is enough for two": (
        "lm.automata.keywords", covers,
        (("ordered_groups(words, any_order)",
          "ordered_groups([*dict.fromkeys(words)], any_order)"),),
    ),
    "a text may end inside a character": (
        "lm.automata.product", covers,
        (("(states > FINISHED) & (begun == 0)", "states > FINISHED"),)
    ),
    "of alternatives only the first counts": (
        "lm.automata.word_chains", limits, (("tuple(keyword) for", "tuple(keyword)[:1] for"),)
    ),
    "a sign at the end of a word runs into the next": (
        "lm.automata.word_chains", limits,
        (("not _breaks(kind, ends)]", "not _breaks(kind, True)]"),)
    ),
    "the next keyword may begin inside the one before": (
        "lm.automata.word_chains", limits,
        (("= self._none_of(found + 1)", "= tuple(1 for _ in self._none_of(found + 1))"),),
    ),
    "an excluded word may stand at the end": (
        "lm.automata.word_chains", limits,
        (("not super().accepts(read)", "read.found == 0"),),
    ),
    "an excluded word is noticed only at the end": (
        "lm.automata.product", dies, (("if chain.dead.any():", "if False:"),)
    ),
    "the greatest number of words is too many": (
        "lm.automata.word_chains", limits, (("read.words <= self.high", "read.words < self.high"),)
    ),
    "a line break is forgotten": (
        "lm.automata.word_chains", limits, (("return read and not char", "return not char"),)
    ),
    "a line feed alone breaks a line": (
        "lm.automata.word_chains", limits, (("set(LINE_BREAKS)", 'set("\\n")'),)
    ),
    "lines may be many": ("lm.automata.keywords", limits, (("if one_line:", "if False:"),)),
    "a recipe leaves out the lines": (
        "lm.automata.keywords", limits, (("one_line=one_line,", "one_line=False,"),)
    ),
    "a hyphen parts two words": (
        "lm.automata.word_chains", limits, (('"sign" if place == "within"', '"sign" if False'),)
    ),
    "a word may begin with a hyphen": (
        "lm.automata.word_chains", limits, (('"sign" if place == "within"', '"sign" if True'),)
    ),
    "a character of an unspaced script is no word": (
        "lm.automata.word_chains", limits, (('kind.role == "alone" or ', ""),)
    ),
    "tokens that begin different characters are one class": (
        "lm.automata.keyword_bounds", covers, (("begun.astype(np.int64), int", "0 * begun, int"),)
    ),
    "groups of words do not know how many there may be": (
        "lm.automata.keyword_bounds", dies, (("_Group.of(which + limits,", "_Group.of(which,"),)
    ),
    "a copy takes all words": (
        "lm.automata.keywords", limits,
        (("            without=without,\n", ""),)
    ),
    "numbers in the table are lost": (
        "lm.automata.keyword_states", by_table, (("known >= self._size", "known > self._size"),)
    ),
    "the last begun character is lost in the table": (
        "lm.automata.keyword_states", by_table,
        (("return rows[..., 0],", "return 0 * rows[..., 0],"),)
    ),
    "what begins first leaves most of the text": (
        "support.words", limits, (("min((at + size for", "max((at + size for"),)
    ),
    "what is excluded is found in part of a word": (
        "support.words", limits,
        (("find_word(text, word) >= 0 for word in without", "word in text for word in without"),),
    ),
    "a keyword may hold an excluded word": (
        "lm.automata.keyword_checks", refuses, (("if all(inside):", "if False:"),)
    ),
    "one alternative that is excluded is one too many": (
        "lm.automata.keyword_checks", refuses, (("if all(inside):", "if any(inside):"),)
    ),
    "keywords may be more than words": (
        "lm.automata.keyword_checks", refuses, (("if own > high:", "if False:"),)
    ),
    "what cannot stand together is asked for": (
        "lm.automata.product", refuses, (("[0]) >= FAR", "[0]) > FAR"),)
    ),
}  # fmt: skip

USES: dict[str, tuple[ModuleType, tuple[str, ...]]] = {
    "word_chains": (keywords, ("Demanded", "Excluded", "OneLine", "WordCount")),
    "keywords": (keywords, ("KeywordCoverage",)),
    "product": (product, ("ChainProduct",)),
    "keyword_bounds": (product, ("Fewest", "distinct_columns")),
    "keyword_states": (product, ("numbering",)),
    "keyword_checks": (keywords, ("check_keywords", "check_window")),
    "words": (words, ("holds_words",)),
}
"""Where what a module defines is looked up by the checks."""


@pytest.mark.parametrize("check", [covers, limits, dies, by_table, refuses])
def test_without_a_fault(check: Check) -> None:
    check()


@pytest.mark.parametrize("fault", FAULTS)
def test_the_check_sees_it(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, check, changes = FAULTS[fault]
    module = load_with_fault(name, *changes)
    if name == "lm.automata.product":
        monkeypatch.setattr(product, "ChainProduct", module.ChainProduct)
        of_it = load_with_fault("lm.automata.keywords")
        monkeypatch.setattr(keywords, "KeywordCoverage", of_it.KeywordCoverage)
    user, names = USES[name.rpartition(".")[2]]
    for attribute in names:
        monkeypatch.setattr(user, attribute, getattr(module, attribute))
    with pytest.raises((AssertionError, ErgotextError, pytest.fail.Exception)):
        check()
