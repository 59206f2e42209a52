from __future__ import annotations

import numpy as np
import pytest

from ergotext.errors import InputError
from ergotext.lm.protocols import LookAhead
from ergotext.lm.tokenizers.characters import Alphabet
from ergotext.lm.trie import EditableTrie, TokenTrie, build
from ergotext.lm.trie.lookahead import BestKey, Maxima
from ergotext.lm.trie.states import DEAD
from ergotext.samplers.search.beam import beam
from ergotext.testing.toy import ToyScorer
from tests.decoding import CausalDecoding
from tests.samplers.search.test_beam import ALPHABET


@pytest.fixture(scope="module")
def trie() -> TokenTrie:
    rng = np.random.default_rng(0)
    keys = {tuple(rng.integers(2, 9, rng.integers(1, 7)).tolist()) for _ in range(3000)}
    return build([(key, None) for key in keys], Alphabet(9, 0, 1))


@pytest.mark.parametrize("shared", [True, False])
def test_it_is_the_best_of_the_keys_below(trie: TokenTrie, shared: bool) -> None:
    rng = np.random.default_rng(1)
    each = rng.normal(size=(3, len(trie)))
    best = BestKey(trie, each[0] if shared else each)
    assert isinstance(best, LookAhead) and len(best._maxima._table) > 3
    states = rng.integers(0, trie.finished + len(trie.tail), 2000)
    states[0] = 0
    inputs = np.zeros(2000, dtype=np.int64) if shared else rng.integers(0, 3, 2000)
    low, high = trie.span(states)
    expected = [each[q, a:b].max() for q, a, b in zip(inputs, low, high, strict=True)]
    assert best(inputs, states).tolist() == expected
    assert best(np.zeros(1, dtype=np.int64), np.array([DEAD])).tolist() == [-np.inf]


@pytest.mark.parametrize("blocks", [1, 2, 4, 8])
@pytest.mark.parametrize("more", [-1, 0, 1])
def test_maxima_of_any_range_where_tables_double(blocks: int, more: int) -> None:
    """At 128 · 2^k keys a level of the table comes in that has one entry alone."""
    size = 128 * blocks + more
    each = np.random.default_rng(size).normal(size=(2, size))
    maxima = Maxima(each)
    cuts = [c for b in range(blocks + 1) for c in (128 * b - 1, 128 * b, 128 * b + 1)]
    ends = sorted({0, 1, size - 1, size, *(c for c in cuts if 0 <= c <= size)})
    ranges = np.array([(q, a, b) for q in range(2) for a in ends for b in ends])
    found = maxima(*ranges.T)
    expected = [each[q, a:b].max(initial=-np.inf) for q, a, b in ranges.tolist()]
    assert found.tolist() == expected


def test_no_keys() -> None:
    empty = build([], Alphabet(9, 0, 1))
    zero = np.zeros(1, dtype=np.int64)
    assert BestKey(empty, np.zeros(0))(zero, zero).tolist() == [-np.inf]


def test_another_number_of_keys(trie: TokenTrie) -> None:
    with pytest.raises(ValueError, match="potential must be"):
        BestKey(trie, np.zeros(3))


def test_what_is_no_potential() -> None:
    trie = build([((1,), None), ((2,), None)], ALPHABET)
    with pytest.raises(InputError, match="NaN"):
        BestKey(trie, [0.0, np.nan])
    edited = EditableTrie(trie)
    edited.add((3,))
    with pytest.raises(InputError, match="merge them with compact"):
        BestKey(edited, np.zeros(3))
    best, two = BestKey(trie, [[0.0, 1.0]]), np.array([0, 1])
    with pytest.raises(InputError, match="potentials for 1 input, but input 1"):
        best(two, np.zeros(2, dtype=np.int64))


def test_a_potential_of_another_trie_is_refused() -> None:
    trie = build([((1,), None), ((2,), None)], ALPHABET)
    other = build([((1,), None), ((2,), None)], ALPHABET)
    decoding = CausalDecoding.of(ToyScorer(), 0, [()])
    assert beam(decoding, trie, k=1, lookahead=BestKey(trie, [0.0, 50.0]))[0].hypotheses
    with pytest.raises(InputError, match="built for another automaton"):
        beam(decoding, trie, k=1, lookahead=BestKey(other, [0.0, 50.0]))
