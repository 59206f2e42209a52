"""Parts of a trie and potentials of few keys, against listing what is allowed."""

from __future__ import annotations

import numpy as np
import pytest

from ergotext.errors import InputError
from ergotext.lm.protocols import Automaton, LookAhead
from ergotext.lm.tokenizers.characters import Alphabet
from ergotext.lm.trie import TokenTrie, build
from ergotext.lm.trie.lookahead import BestKey
from ergotext.lm.trie.restricted import BestAmong, Paths, RestrictedKeys
from ergotext.lm.trie.states import DEAD, ROOT
from ergotext.samplers.search.beam import beam
from ergotext.testing.toy import ToyScorer
from tests.decoding import CausalDecoding

SIZE = 5
"""tokens of ToyScorer: end 0, padding its last"""


@pytest.fixture(scope="module")
def trie() -> TokenTrie:
    return made()


def made() -> TokenTrie:
    rng = np.random.default_rng(0)
    keys = {tuple(rng.integers(1, 4, rng.integers(1, 6)).tolist()) for _ in range(90)}
    return build([(key, None) for key in keys], Alphabet(SIZE, 4, 0))


PREFIXES: list[list[tuple[int, ...]]] = [[(1, 2, 1), (3,)], [(2, 2, 1)], [], [(1, 2)], [(1,)]]


def paths(trie: TokenTrie) -> Paths:
    edges = set()
    for number, prefixes in enumerate(PREFIXES):
        for prefix in prefixes:
            state = ROOT
            for token in prefix:
                after = int(trie.advance(np.array([state]), np.array([token]))[0])
                edges.add((number, state, token, after))
                state = after
    return Paths(*np.array(sorted(edges)).T)


def allowed(trie: TokenTrie, number: int) -> list[tuple[int, ...]]:
    begins = PREFIXES[number]
    return [key for prefix in begins for key in trie.keys(prefix)]


@pytest.fixture(scope="module")
def within(trie: TokenTrie) -> RestrictedKeys:
    return RestrictedKeys(trie, paths(trie), len(PREFIXES))


def test_it_takes_what_is_allowed_and_nothing_else(trie: TokenTrie, within: RestrictedKeys) -> None:
    assert isinstance(within, Automaton)
    start = within.start(len(PREFIXES))
    taken: list[list[tuple[int, ...]]] = [[] for _ in PREFIXES]
    rows = [(number, (), int(state)) for number, state in enumerate(start)]
    while rows:
        states = np.array([state for _, _, state in rows])
        row, token, following = within.candidates(states)
        assert (np.diff(row) >= 0).all()
        assert (np.diff(token)[np.diff(row) == 0] > 0).all()
        ways = dict(zip(zip(row.tolist(), token.tolist(), strict=True), following, strict=True))
        for other in range(SIZE):
            after = within.advance(states, np.full(len(states), other))
            assert after.tolist() == [ways.get((r, other), DEAD) for r in range(len(states))]
        further = []
        for r, t, s in zip(row.tolist(), token.tolist(), following.tolist(), strict=True):
            number, written, _ = rows[r]
            if t == trie.end:
                taken[number].append(written)
            elif t != trie.alphabet.pad:
                further.append((number, (*written, t), s))
        ends = {rows[r] for r, t in zip(row.tolist(), token.tolist(), strict=True) if t == 0}
        assert [r in ends for r in rows] == within.accepting(states).tolist()
        rows = further
    assert [sorted(one) for one in taken] == [
        sorted(allowed(trie, number)) for number in range(len(PREFIXES))
    ]


def test_rests_and_sinks_are_those_of_the_trie(trie: TokenTrie, within: RestrictedKeys) -> None:
    states = np.arange(trie.finished + len(trie.tail))
    own = states + 3 * len(states)
    assert within.plain(own).tolist() == states.tolist()
    assert within.lone(own).tolist() == trie.lone(states).tolist()
    assert [a.tolist() for a in within.rest(own)] == [a.tolist() for a in trie.rest(states)]
    dead = np.array([DEAD])
    assert within.advance(dead, np.array([1])).tolist() == [DEAD]
    assert within.advance(own[:1], np.array([99])).tolist() == [DEAD]
    assert [a.tolist() for a in within.candidates(dead)] == [[0], [4], [DEAD]]


def test_rows_that_are_not_the_inputs(within: RestrictedKeys) -> None:
    with pytest.raises(InputError, match="built for 5 inputs, not 4"):
        within.start(4)


def test_among_is_best_key_with_nothing_elsewhere(trie: TokenTrie) -> None:
    rng = np.random.default_rng(2)
    keys = [np.sort(rng.choice(len(trie), n, replace=False)) for n in (7, 0, 30, 1)]
    values = [rng.normal(size=len(k)) for k in keys]
    whole = np.full((4, len(trie)), -np.inf)
    for number, (k, v) in enumerate(zip(keys, values, strict=True)):
        whole[number, k] = v
    among, best = BestAmong(trie, keys, values), BestKey(trie, whole)
    assert isinstance(among, LookAhead)
    states = np.append(rng.integers(0, trie.finished + len(trie.tail), 500), [ROOT, DEAD])
    inputs = rng.integers(0, 4, len(states))
    assert among(inputs, states).tolist() == best(inputs, states).tolist()


def test_search_within_and_among(trie: TokenTrie, within: RestrictedKeys) -> None:
    """All allowed keys come, ranked by log p and their potentials."""
    rng = np.random.default_rng(3)
    numbers = {key: n for n, key in enumerate(trie.keys())}
    mine = [allowed(trie, number) for number in range(len(PREFIXES))]
    keys = [np.array(sorted(numbers[key] for key in one), dtype=np.int64) for one in mine]
    values = [rng.normal(scale=3.0, size=len(one)) for one in keys]
    decoding = CausalDecoding.of(ToyScorer(), 0, [()] * len(PREFIXES))
    plain = beam(decoding, trie, k=len(trie))[0]
    known = {h.tokens: h.log_prob for h in plain.hypotheses}
    every = list(trie.keys())
    found = beam(decoding, within, k=len(trie), lookahead=BestAmong(within, keys, values))
    for one, k, v in zip(found, keys, values, strict=True):
        expected = sorted(
            ((known[every[n]] + p, every[n]) for n, p in zip(k.tolist(), v, strict=True)),
            key=lambda pair: (-pair[0], pair[1]),
        )
        assert one.complete
        assert [h.tokens for h in one.hypotheses] == [key for _, key in expected]
        assert [h.score for h in one.hypotheses] == pytest.approx([s for s, _ in expected])


def test_potentials_that_are_none(trie: TokenTrie) -> None:
    with pytest.raises(InputError, match="input 1 has 2 keys"):
        BestAmong(trie, [np.array([0, 1])], [np.zeros(3)])
    with pytest.raises(InputError, match="1 are NaN"):
        BestAmong(trie, [np.array([0, 1])], [np.array([0.0, np.nan])])
