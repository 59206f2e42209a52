"""What a paraphrase keeps, told by hand; and faults put in, each caught."""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any, cast

import pytest
import torch

from ergotext.lm.batch import TokenBatch
from ergotext.lm.causal import CausalLM
from ergotext.lm.text_scorer import TextScorer
from ergotext.tasks import kept_parts as task
from tests.faulty import load_with_fault

KEPT = {
    "The weather is nice.": [],
    "Apple sold 12 million phones in 2019.": ["Apple", "12 million", "2019"],
    "The city council voted on Tuesday to close three schools.": ["Tuesday", "three"],
    "NASA's probe met iPhone owners near New York. He cheered.": ["NASA", "iPhone", "New York"],
    "Doctors warn that “long COVID” costs $12.5 or 30% at 10:30.": [
        "long COVID", "$12.5", "30%", "10:30",
    ],
    "I know it's twenty-one, I'm sure, and one of Anna’s.": ["twenty-one", "Anna"],
    "THE SUN SHONE AT 5.": ["5"],
    "A a B b C c D d E e F f G g H": ["B", "C", "D", "E", "F", "G"],
    "2019年苹果公司的Tim Cook说：「我们卖了1200万部」。": ["我们卖了1200万部", "2019", "Tim Cook"],
}  # fmt: skip
NEGATED = {
    "They do not sleep.": True,
    "They don’t sleep.": True,
    "Nobody sleeps": True,
    "He slept in a knot.": False,
    "I no longer drink it.": False,
}


class Knows:
    """A model that finds a sentence likelier with the names that it knows."""

    def __init__(self, lm: CausalLM) -> None:
        self.vocabulary = lm.vocabulary

    def log_prob(self, batch: TokenBatch) -> torch.Tensor:
        texts = self.vocabulary.decode(batch)
        return torch.tensor([float(text.startswith(" and Apple")) for text in texts])


def check(module: ModuleType | Any, lm: CausalLM) -> None:
    model = cast(TextScorer, Knows(lm))
    for text, parts in KEPT.items():
        assert module.kept_parts(text, model) == parts, text
    for text, negated in NEGATED.items():
        same, other = module.same_negation(text)._function(["It is not so.", "It is so."])
        assert (same, other) == ((0.0, math.inf) if negated else (math.inf, 0.0)), text


def test_what_is_kept(placed_lm: CausalLM) -> None:
    check(task, placed_lm)


FAULTS = {
    "first words are all names": ("if not _stays(text, w, lm)", "if False"),
    "first words are none": ("bool(capital > small)", "False"),
    "capitals of its own do not count at the start": ('f"x{w.text[1:]}".islower() and ', ""),
    "neighbours are two": ('text[run[-1].end : word.begin] == " "', "False"),
    "what a comma parts is one": ('text[run[-1].end : word.begin] == " "', "True"),
    "the genitive stays": ("\"['’]s$\"", '"$^"'),
    "numerals are words": ("parts <= NUMERALS | {\"one\"}", "False"),
    "quotations are no parts": ("[part for part in quoted if part]", "[]"),
    "I is a name": (" and not _PRONOUN.fullmatch(w.text)", ""),
    "capitals throughout are names": (
        "if not any(map(str.islower, text))", "if False"
    ),
    "any number of parts": ("[:MOST]", ""),
    "words of other scripts run on": ('" " if is_unspaced(char) else char', "char"),
    "typographic apostrophes": ('words_of(text.replace("’", "\'"))', "words_of(text)"),
    "contracted ones are none": (' or word.endswith("n\'t")', ""),
    "a negation may come in": ("if _negated(text) == own else", "if own <= _negated(text) else"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_the_check_sees_it(fault: str, placed_lm: CausalLM) -> None:
    module = load_with_fault("tasks.kept_parts", FAULTS[fault])
    with pytest.raises(AssertionError):
        check(module, placed_lm)
