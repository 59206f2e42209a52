"""Faults put into the term of keywords one at a time: each must be caught."""

from __future__ import annotations

import itertools
from types import ModuleType
from typing import Any

import pytest
import torch

from ergotext.errors import InputError
from ergotext.lm.batch import TokenBatch
from ergotext.lm.energies import keywords
from ergotext.lm.energies.matches import accepted, pieces_of
from ergotext.support.words import holds_words
from ergotext.testing.toy import SPELLING, ToyScorer
from tests.faulty import load_with_fault

ROWS = [row for n in range(5) for row in itertools.product(sorted(SPELLING), repeat=n)]
ASKED: list[tuple[Any, ...]] = [
    ([("b", "a"), "c"], False),
    ([("b", "a"), "c"], True, ["a c"], (3, 4)),
    (["c b"], False, ["a"]),
    ([], False, ["b"], (1, 2)),
    (["a"], True, [], (3, 3)),
    (["a"], True, [], None, True),
]


def check(module: ModuleType) -> None:
    scorer: Any = ToyScorer()
    batch = TokenBatch.of(ROWS)
    texts = scorer.decode(batch)
    for asked in ASKED:
        term = module.Keywords(*asked).bind(scorer)
        expected = [holds_words(text, *asked) for text in texts]
        assert (term(batch) == 0).tolist() == expected
        assert accepted(term.automaton, batch).tolist() == expected
        start = term.initial(5)
        assert len(start) == 5 and torch.isfinite(term(start)).all()
        assert term.marks == {k + 1 for k in range(sum(isinstance(w, str) for w in asked[0]))}
        assert all(term.marks <= set(row) for row in start.locked.tolist())
        assert torch.equal(start.locked, term.locked(start))


FAULTS = {
    "keywords with several spellings are held in place": ("if len(spellings) == 1", "if spellings"),
    "a text is not asked for its limits": ("holds_words(t, self.words, *limits)",
                                           "holds_words(t, self.words, self.any_order)"),
    "the automaton has no limits": ("            without=self.without,\n", ""),
    "the automaton keeps the order": ("any_order=self.any_order,\n", "any_order=False,\n"),
    "chains start with too few words": ("else completed(self.automaton, row)", "else row"),
    "a term that is bound loses its limits": (
        "Keywords(self.words, *limits, scorer)",
        "Keywords(self.words, self.any_order, scorer=scorer)",
    ),
}  # fmt: skip


def test_without_a_fault() -> None:
    check(keywords)


@pytest.mark.parametrize("fault", FAULTS)
def test_the_check_sees_it(fault: str) -> None:
    with pytest.raises((AssertionError, InputError)):
        check(load_with_fault("lm.energies.keywords", FAULTS[fault]))


def test_bytes_that_are_no_text_would_be_noticed(small_lm: Any) -> None:
    fault = ("held[held.clone()] = is_text(self._known(), batch.select(held))", "pass")
    module = load_with_fault("lm.energies.keywords", fault)
    batch = TokenBatch.of([[odd_token(small_lm), *small_lm.vocabulary.encode(" dog")]])
    values = [m.Keywords(["dog"]).bind(small_lm)(batch).item() for m in (keywords, module)]
    assert values == [float("inf"), 0.0]


def odd_token(lm: Any) -> int:
    """A token that writes a part of a character."""
    tokens = pieces_of(lm).tokens
    return next(n for n, piece in enumerate(tokens) if piece and piece[0] in range(0xC2, 0xF0)
                and len(piece) == 1)  # fmt: skip


def test_a_tokenizer_without_pieces_is_asked_for_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chains need no automaton, so terms may go from model to model without one."""

    def refused(scorer: Any) -> None:
        raise InputError(f"the pieces of {scorer!r} are unknown")

    first: Any = keywords.Keywords(["a"]).bind(ToyScorer())
    monkeypatch.setattr(keywords, "pieces_of", refused)
    other: Any = ToyScorer(seed=2)
    assert first.bind(other).scorer is other
