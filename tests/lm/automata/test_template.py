"""The automaton of templates: it reads what their expressions match, and faults in it are seen."""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ergotext.errors import InputError
from ergotext.lm.automata.pieces import Pieces
from ergotext.lm.automata.template import TemplateAutomaton
from ergotext.lm.automata.template_chain import Filled
from ergotext.lm.energies.template_parts import Parts
from tests.faulty import load_with_fault
from tests.lm.automata.worlds import LATIN, LINE, PAD, SEA, check_protocol, language, listed

TEMPLATES = [
    "a ___ b",
    "___ b ___{2} a",
    "a___b",
    "___",
    "a ___{1,2} b ___{2,}",
    "a ___{2,} a ___ a",
    "___{1,2} a ___{2} a",
    "海___{2}海___a",
    "海 ___ 海 a___海",
    "ab ___ ab ___ ab",
    "___{2,3} a b ___ a",
    "b ___{2,} ba b ___{2} a",
    "a ___{3,} b ___{1,2} a",
    "a___{1,2}b b ___",
    "海___a海 ___a",
    "___{1,3}",
]

HARD = {
    "___ a ___{1} b": ["b a b a b b", "a a a a b b"],
    "a___b___a": ["abb abaa", "aab bba"],
    "海___a___ 海a": ["海海海a海a海 海a", "海a海a 海 海a"],
}
"""Texts in which a given part stands several times."""


def check_reading(filled: Callable[..., Any]) -> None:
    """Every text of a few characters, and many longer ones: taken where the expression matches."""
    random = np.random.default_rng(0)
    for template in [*HARD, *TEMPLATES]:
        parts = Parts.of(template)
        chain = filled(parts.given, parts.blanks)
        letters = "海a \u3000" if "海" in template else "ab \n"
        texts = ["".join(text) for n in range(6) for text in itertools.product(letters, repeat=n)]
        for _ in range(800):
            blanks = [
                "".join(random.choice([*letters, " "], random.integers(1, 8))) for _ in parts.texts
            ]
            whole = zip(parts.given, [*blanks[1:], ""], strict=True)
            texts.append(" " * random.integers(2) + "".join(map("".join, whole)))
        for text in texts + HARD.get(template, []):
            position = 0
            for symbol in chain.symbols(np.array([*map(ord, text)], dtype=np.int64)):
                position = int(chain.step[position, symbol])
            assert bool(chain.covers[position]) == parts.filled(text), (template, text)
            assert not (chain.dead[position] and parts.filled(text))


def test_it_reads_what_the_expression_matches() -> None:
    check_reading(Filled)


@pytest.mark.parametrize(
    ("template", "pieces"),
    [("a ___ b", LATIN), ("a___a", LATIN), ("a ___{1,2} a", LINE), ("海___", SEA), ("___ a", SEA)],
)
def test_automaton(template: str, pieces: Pieces) -> None:
    parts = Parts.of(template)
    automaton = TemplateAutomaton(parts.given, parts.blanks, pieces)
    wanted = listed(pieces, 4, parts.filled)
    assert language(automaton, 4) == wanted and wanted
    check_protocol(automaton, PAD, pieces.alphabet.size)
    copy = pickle.loads(pickle.dumps(automaton))
    assert language(copy, 4) == wanted


def test_what_cannot_be_read_or_written_is_refused() -> None:
    with pytest.raises(InputError, match="too many ways"):
        Filled(["", " b ", " b ", "."], Parts.of("___{1,20} b ___{20} b ___{1,30}.").blanks)
    with pytest.raises(InputError, match="shorten it"):
        Filled(["", ""], Parts.of("___{99999999}").blanks)
    with pytest.raises(InputError, match=r"cannot write a text that is 'z ___'"):
        TemplateAutomaton(["z ", ""], Parts.of("z ___").blanks, LATIN)


FAULTS = {
    "no space may stand before it": ("start | {Progress(-1, 0)}", "start"),
    "a blank ends after a space": ("ends and not between and words", "ends and words"),
    "a word more than the least": ("not between and words >= self", "not between and words > self"),
    "what has not begun takes everything": (
        "return words > 0 and self", "return 0 <= number < len(self.blanks) and self"
    ),
    "blanks with a most take everything": ("words > 0 and self.blanks[number].most is None",
                                           "words > 0"),
    "any white space parts words": ('char == " " and blank.spaced', "blank.spaced"),
    "only a space is white": ("if char in SPACES:", 'if char == " ":'),
    "a word more than the most": ("if words == high:", "if words > high:"),
    "two spaces part words": ("blank.spaced and not new", "blank.spaced"),
    "the last text may be missing": (
        "Progress(last, len(self.texts[last])) in read", "Progress(last, 0) in read"
    ),
    "characters are words": ("not blank.spaced or between or not words", "between or not words"),
    "words are not counted": (
        "Progress(number, at, words + 1)",
        "Progress(number, at, max(words, 1))",
    ),
    "a given text is read anywhere": ("if char == text[at] else", "if char else"),
    "a blank may be empty": ("words >= self.blanks[number].least:", "words >= 0:"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_seen(fault: str) -> None:
    faulty = load_with_fault("lm.automata.template_chain", FAULTS[fault])
    with pytest.raises((AssertionError, InputError, IndexError)):
        check_reading(faulty.Filled)
