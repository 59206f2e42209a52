"""Constraints told by automata: their values, where chains start, and how they add up."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

import ergotext as et
from ergotext.lm.automata import Pieces, json_schema, regex
from ergotext.lm.batch import TokenBatch
from ergotext.lm.causal import CausalLM
from ergotext.lm.energies.keywords import Keywords
from ergotext.lm.energies.term import Sum
from ergotext.lm.energies.terms import Length
from ergotext.testing.tables import FEW, LOOP, NOTHING, Table
from ergotext.testing.toy import SPELLING, ToyFluency, ToyScorer

ROWS = TokenBatch.of([r for n in range(5) for r in itertools.product(SPELLING, repeat=n)])
PAIRS = Table(({1: 1, 4: 1}, {3: 2, 2: 2, 4: 2}, {0: 3}, {}))


def accepted(table: Table, row: tuple[int, ...]) -> bool:
    state = 0
    for token in (*row, 0):
        state = table.ways[state].get(token, -1) if state >= 0 else -1
    return state >= 0


@pytest.mark.parametrize("table", [LOOP, FEW, NOTHING])
def test_it_is_nought_where_the_automaton_accepts(table: Table) -> None:
    value = et.matches(table)(ROWS)
    wanted = [0.0 if accepted(table, row) else np.inf for row in ROWS.rows()]
    assert value.dtype == torch.float64 and value.tolist() == wanted


def test_an_expression_needs_the_tokenizer_of_a_model(small_lm: CausalLM) -> None:
    energy = et.fluency(small_lm) + et.matches("( the| a)? (dog|beach)") + et.length(2)
    texts = [" the dog", " beach", " the", "", " the dogs", " a dog"]
    batch = TokenBatch.of([small_lm.vocabulary.encode(t) for t in texts])
    assert torch.isfinite(energy(batch)).tolist() == [True, True, False, False, False, True]
    start = energy.initial(5)
    assert torch.isfinite(energy(start)).all() and len(set(start.rows())) > 1
    assert energy.initial(5).rows() == start.rows()
    assert energy.automaton.accepting(energy.automaton.start(1)).tolist() == [False]
    with pytest.raises(et.InputError, match="has no tokenizer"):
        et.matches("a").initial(1)
    with pytest.raises(et.InputError, match="cannot be read"):
        (et.fluency(small_lm) + et.matches("(")).initial(1)
    pieces = Pieces.of(small_lm.vocabulary.tokenizer, end=small_lm.end_id + 1, pad=0)
    with pytest.raises(et.InputError, match="end token is 2"):
        et.fluency(small_lm) + et.matches(regex("a", pieces))


def test_several_are_one_intersection() -> None:
    padded = [Table((*table.ways[:-1], {9: len(table.ways) - 1})) for table in (PAIRS, FEW)]
    energy = Sum([(1.0, ToyFluency(ToyScorer())), *((2.0, et.matches(p)) for p in padded)])
    both = [accepted(PAIRS, row) and accepted(FEW, row) for row in ROWS.rows()]
    assert torch.isfinite(energy(ROWS)).tolist() == both and any(both)
    assert torch.isfinite(et.matches(energy.automaton)(ROWS)).tolist() == both


def test_walks_that_lead_nowhere() -> None:
    with pytest.raises(et.InputError, match="no text that the automaton accepts"):
        et.matches(NOTHING).initial(3)
    rows = et.matches(LOOP).initial(6).rows()
    assert len(rows) == 6 and all(accepted(LOOP, row) for row in rows) and len(set(rows)) == 2


def test_keywords_and_an_automaton_start_where_both_are_met() -> None:
    parts = [(1.0, ToyFluency(ToyScorer())), (1.0, Keywords(["a"]))]
    energy = Sum([*parts, (1.0, et.matches(LOOP))])
    start = energy.initial(3)
    assert torch.isfinite(energy(start)).all() and start.locked.tolist()[0][0] == 1
    # (3,) is the keyword by itself, which FEW does not take; (1, 3) holds it.
    energy = Sum([parts[0], (1.0, Keywords(["b"])), (1.0, et.matches(FEW))])
    assert set(energy.initial(2).rows()) == {(1, 3)} and energy.initial(1).locked[0].tolist() == [
        0,
        1,
    ]
    impossible = Sum([*parts, (1.0, et.matches(Table(({2: 1}, {0: 2}, {}))))])
    with pytest.raises(et.InputError, match="satisfies keywords and matches together"):
        impossible.initial(1)


def test_what_is_soft_and_how_low_it_goes() -> None:
    toy, other = ToyFluency(ToyScorer()), ToyFluency(ToyScorer(5))
    hard = et.matches(LOOP)
    tilt = et.custom(lambda b: -b.length.double(), "tilt", of="tokens")
    inside = ROWS.select(torch.isfinite(hard(ROWS)))
    floors = {}
    for name, parts in {
        "fluency": [(1.0, toy)],
        "halves": [(0.3, toy), (0.7, toy), (1.0, hard)],
        "length": [(1.0, toy), (2.0, Length(2.4, 0.8)), (1.0, hard)],
        "two models": [(1.0, toy), (0.5, other)],
        "more fluent": [(1.7, toy), (1.0, Length(2, 1)), (0.0, tilt)],
        "less fluent": [(0.5, toy)],
        "no model": [(1.0, Length(2, 1)), (1.0, hard)],
        "unknown": [(1.0, toy), (1.0, tilt)],
        "turned over": [(1.0, toy), (-1.0, Length(2, 1))],
    }.items():
        energy = Sum(parts)
        whole = energy(inside)
        if energy.scorer is not None:
            whole = whole + energy.scorer.log_prob(inside)
        soft = torch.zeros(len(inside)).double() if energy.soft is None else energy.soft(inside)
        torch.testing.assert_close(soft, whole)
        floors[name] = energy.floor
        assert energy.floor is None or float(soft.min()) >= energy.floor - 1e-12
    assert Sum([(1.0, toy), (1.0, hard)]).soft is None and toy.soft is None
    assert floors["fluency"] == floors["halves"] == 0.0
    assert floors["length"] == pytest.approx(float(2 * Length(2.4, 0.8)(ROWS).min()))
    assert [name for name, floor in floors.items() if floor is None] == [
        "less fluent", "unknown", "turned over"
    ]  # fmt: skip


def test_chains_start_from_an_ending_that_is_known(small_lm: CausalLM) -> None:
    """Walks of any tokens never come to the end of what is long and narrow; a search does."""
    narrow = "[a-z]{30}[0-9]{30}|[a-z]+ never [0-9]{12} ends[.][.][.]"
    energy = et.fluency(small_lm) + et.matches(narrow)
    assert torch.isfinite(energy(energy.initial(3))).all()


def test_what_no_chain_could_start_from_is_refused_at_once(small_lm: CausalLM) -> None:
    vocabulary = small_lm.vocabulary
    pieces = Pieces.of(vocabulary.tokenizer, size=vocabulary.size, end=small_lm.end_id)
    for schema in (
        {"type": "string", "minLength": 10**4},
        {"type": "array", "items": {"type": "string", "minLength": 9}, "minItems": 10**4},
        {"type": "object", "required": ["a"], "properties": {"a": {"enum": ["b" * 10**4]}}},
    ):
        energy = et.fluency(small_lm) + et.matches(json_schema(schema, pieces))
        with pytest.raises(et.InputError, match="tokens or more, but chains start"):
            energy.initial(1)
