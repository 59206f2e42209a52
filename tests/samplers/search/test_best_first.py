"""Enumeration best first: against every sequence, and bounds that hold at any budget."""

from __future__ import annotations

import itertools
import math
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ergotext.errors import InputError, ModelError
from ergotext.lm.automaton_base import AutomatonBase
from ergotext.lm.batch import TokenBatch
from ergotext.samplers.search import best_first as module
from ergotext.samplers.search.best_first import best_first, total
from ergotext.samplers.unconstrained import Unconstrained
from ergotext.testing.toy import ToyScorer
from tests.decoding import CausalDecoding
from tests.faulty import load_with_fault

LONGEST = 3
PROMPTS = [(1, 2), (3,)]


def decoding(longest: int = 1 << 30) -> CausalDecoding:
    return CausalDecoding.of(ToyScorer(), 0, PROMPTS, longest)


def anything(longest: int = LONGEST) -> Any:
    """All rows of the toy's four tokens."""
    return Unconstrained(ToyScorer().allowed.numpy(), 0)


def everything(prompt: tuple[int, ...], longest: int = LONGEST) -> dict[tuple[int, ...], float]:
    """log p(row, end | prompt) of every row of at most so many tokens."""
    rows = [r for n in range(longest + 1) for r in itertools.product([1, 2, 3, 4], repeat=n)]
    scores = ToyScorer().token_log_prob(TokenBatch.of([(*prompt, *row) for row in rows]))
    return {row: float(score[len(prompt) :].sum()) for row, score in zip(rows, scores, strict=True)}


def check_listing(listed: ModuleType | SimpleNamespace) -> None:
    """Complete where the budget is enough; at any other, what is found and open bounds the rest."""
    for row, prompt in enumerate(PROMPTS):
        exact = everything(prompt)
        found = listed.best_first(
            decoding(), anything(), prefixes=1000, row=row, max_length=LONGEST
        )
        assert found.complete and found.left == -math.inf
        assert found.found == {r: pytest.approx(p, abs=1e-12) for r, p in exact.items()}
        assert found.low == found.high == pytest.approx(total(exact.values()), abs=1e-12)
        for budget in (1, 2, 5, 20, 60):
            some = listed.best_first(
                decoding(), anything(), prefixes=budget, row=row, max_length=LONGEST
            )
            assert some.found == {r: pytest.approx(exact[r], abs=1e-12) for r in some.found}
            missing = {r: p for r, p in exact.items() if r not in some.found}
            assert missing and total(missing.values()) <= some.left
            assert some.low <= total(exact.values()) <= some.high
            for r, p in missing.items():
                begun = [q for open_, q in some.open.items() if r[: len(open_)] == open_]
                assert len(begun) <= 1 and p <= total([some.rest, *begun])
            assert some.rest > -math.inf or {r[: len(o)] for r in missing for o in some.open}


def test_every_sequence_is_found_or_bounded() -> None:
    check_listing(module)


class Beginning(AutomatonBase):
    """Accepts once a 2 was written, and would go on."""

    end, pad = 0, 5

    def start(self, count: int) -> Any:
        return np.zeros(count, dtype=np.int64)

    def candidates(self, states: Any) -> Any:
        rows, tokens, after = [], [], []
        for row, state in enumerate(states.tolist()):
            ways = [1, 2, 3, 4] if state == 0 else [0, 1] if state == 1 else [5]
            rows += [row] * len(ways)
            tokens += ways
            after += [1 if w == 2 else 2 if w == 0 else state for w in ways]
        return tuple(np.array(each, dtype=np.int64) for each in (rows, tokens, after))


def check_beginnings(listed: ModuleType | SimpleNamespace) -> None:
    """Without ends: what begins with the first 2, whatever follows it."""
    found = listed.best_first(
        decoding(), Beginning(), prefixes=1000, max_length=LONGEST, ended=False
    )
    rows = [
        (*r, 2) for n in range(LONGEST) for r in itertools.product([1, 3, 4], repeat=n)
    ]  # fmt: skip
    scores = ToyScorer().token_log_prob(TokenBatch.of([(*PROMPTS[0], *row) for row in rows]))
    assert found.found == {
        row: pytest.approx(float(score[2 : 2 + len(row)].sum()), abs=1e-12)
        for row, score in zip(rows, scores, strict=True)
    }


def test_without_ends_a_sequence_counts_where_it_is_accepted() -> None:
    check_beginnings(module)


def test_it_stops_where_enough_is_known() -> None:
    exact = everything(PROMPTS[0])
    some = best_first(decoding(), anything(), prefixes=1000, settled=0.2, max_length=LONGEST)
    assert 0 < math.exp(some.left - some.high) <= 0.2 and len(some.found) < len(exact)
    early = best_first(decoding(), anything(), prefixes=1000, look=2, max_length=LONGEST)
    assert math.exp(early.left - early.high) > 0.5 and len(early.found) < len(some.found)


def test_the_window_of_the_model_bounds_the_length() -> None:
    found = best_first(decoding(longest=4), anything(), prefixes=1000, max_length=9)
    assert max(map(len, found.found)) == 2  # the prompt has two of the four


FAULTS = {
    "a beginning loses what was reached": ("reached[at] + numbers(step)", "numbers(step)"),
    "what cannot be followed is forgotten": (
        "self.rest = total([self.rest, *log_prob[on[self.budget :]]])", "pass"
    ),
    "the rest of a group is dropped": (
        "self._push(some.part(count, len(some.row)))", "pass"
    ),
    "the scores are not normalised": (" - decoding.log_z()[row]", " - 0.1"),
    "one token too many": ("possible &= end | (length < self.max_length)", "pass"),
    "the end is always scored": ("over = end if self.ended else", "over = end if True else"),
    "another input": (
        "search.expand(decoding, np.array([row])", "search.expand(decoding, np.array([0])"
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_the_checks_see(fault: str) -> None:
    faulty = load_with_fault("samplers.search.best_first", FAULTS[fault])
    with pytest.raises(AssertionError):
        _ = check_listing(faulty), check_beginnings(faulty)


def test_what_is_refused() -> None:
    class Other(Beginning):
        end = 3

    with pytest.raises(InputError, match="end token is 3, but the model's is 0"):
        best_first(decoding(), Other(), prefixes=5)

    class Broken(ToyScorer):
        def next_log_prob(self, batch: Any, position: Any) -> Any:
            return super().next_log_prob(batch, position) * math.nan

    with pytest.raises(ModelError, match="NaN"):
        best_first(CausalDecoding.of(Broken(), 0, [()]), anything(), prefixes=5)
