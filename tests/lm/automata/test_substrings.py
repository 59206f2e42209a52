from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ergotext.errors import InputError
from ergotext.lm.automata import Substrings
from ergotext.lm.tokenizers.characters import Alphabet
from tests.lm.automata.worlds import END, LATIN, PAD, Row, check_protocol, language

passages = st.lists(st.sampled_from([1, 2, 3, 8]), min_size=1, max_size=14)


@settings(max_examples=150, deadline=None)
@given(passages, st.integers(0, 3), st.none() | st.integers(3, 5))
def test_all_runs_and_no_others(passage: list[int], shortest: int, longest: int | None) -> None:
    size = len(passage)
    shortest = min(shortest, size)
    automaton = Substrings(passage, LATIN.alphabet, shortest=shortest, longest=longest)
    runs: set[Row] = {
        tuple(passage[i:j])
        for i in range(size + 1)
        for j in range(i, size + 1)
        if shortest <= j - i <= (longest or size)
    }
    assert language(automaton, size + 1) == runs
    check_protocol(automaton, PAD, 10, size + 1)


def test_large_token_ids() -> None:
    big = Alphabet(1 << 20, PAD, END)
    passage = [70_000, 5, 1_000_000, 70_000, 5, 300]
    runs = {tuple(passage[i:j]) for i in range(6) for j in range(i + 1, 7)}
    assert language(Substrings(passage, big), 6) == runs


def test_no_beginning_is_a_dead_end() -> None:
    automaton = Substrings([1, 2, 3, 1, 2], LATIN.alphabet, shortest=3)
    states = automaton.start(1)
    for _ in range(6):
        row, _, behind = automaton.candidates(states)
        assert set(row.tolist()) == set(range(len(states)))
        states = behind


@pytest.mark.parametrize("passage", [[1, END], [PAD], [10], [-1]])
def test_tokens_that_are_no_text(passage: list[int]) -> None:
    with pytest.raises(InputError, match="not a text token"):
        Substrings(passage, LATIN.alphabet)


@pytest.mark.parametrize(
    ("passage", "bounds"), [([], {}), ([1], {"shortest": 2}), ([1, 1], {"longest": 0})]
)
def test_lengths_that_no_run_has(passage: list[int], bounds: dict[str, int]) -> None:
    with pytest.raises(InputError, match="has no runs"):
        Substrings(passage, LATIN.alphabet, **bounds)


def test_a_passage_is_any_sequence_of_whole_numbers() -> None:
    expected = language(Substrings([1, 2, 3], LATIN.alphabet), 3)
    for passage in ((1, 2, 3), np.array([1, 2, 3]), torch.tensor([1, 2, 3])):
        assert language(Substrings(passage, LATIN.alphabet), 3) == expected
    for wrong in ("ab", [1.5, 2.0], [True, False], np.array([[1, 2]]), torch.tensor([1.0])):
        with pytest.raises(InputError, match=r"is not a (token id|sequence of token ids)"):
            Substrings(wrong, LATIN.alphabet)
