"""Tries that each hold a range of keys, searched apart and merged: the hits of one trie.

What docs/scaling.md says of an index that is spread over machines, on one of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import pytest

from ergotext.lm.automata import union
from ergotext.lm.tokenizers.characters import Alphabet
from ergotext.lm.trie import TokenTrie, build
from ergotext.samplers.search.beam import Found, Hypothesis, beam
from ergotext.tasks.retrieval.answers import Mass
from ergotext.tasks.retrieval.probability import SETTLED, bounded_mass
from ergotext.testing.toy import ToyScorer
from tests.decoding import CausalDecoding

END, PAD = 0, 5
ALPHABET = Alphabet(6, PAD, END)
PROMPTS = [(1,), (3, 2), (4, 4, 1)]
K, BEAMS = 5, 8
Key = tuple[int, ...]
Merge = Callable[[Sequence[Sequence[Hypothesis]]], list[Hypothesis]]


def some_keys(seed: int, count: int = 400) -> list[Key]:
    """Sorted; most share prefixes, and some begin others."""
    rng = np.random.default_rng(seed)
    every = {tuple(rng.integers(1, 5, rng.integers(1, 8)).tolist()) for _ in range(count)}
    return sorted(every)


def trie_of(keys: Sequence[Key]) -> TokenTrie:
    return build([(key, None) for key in keys], ALPHABET)


def shards(keys: Sequence[Key], count: int) -> list[TokenTrie]:
    """The keys in ranges, cut wherever that falls: prefixes lie on both sides."""
    cuts = np.linspace(0, len(keys), count + 1).astype(int).tolist()
    return [trie_of(keys[low:high]) for low, high in pairwise(cuts)]


def decoding(seed: int) -> CausalDecoding:
    return CausalDecoding.of(ToyScorer(seed), END, PROMPTS)


def merged(each: Sequence[Sequence[Hypothesis]]) -> list[Hypothesis]:
    """The best of what shards found for an input."""
    return sorted((h for found in each for h in found), key=lambda h: -h.score)[:K]


def same(one: Sequence[Hypothesis], other: Sequence[Hypothesis]) -> None:
    assert [h.tokens for h in one] == [h.tokens for h in other]
    assert [h.log_prob for h in one] == pytest.approx([h.log_prob for h in other], abs=1e-9)


def check_merge_of_hits(seed: int, count: int, merge: Merge, k: int = K) -> None:
    """Where every shard proves its own, the merge is proven."""
    keys = some_keys(seed)
    apart = [beam(decoding(seed), part, k=k, beams=200) for part in shards(keys, count)]
    whole = beam(decoding(seed), trie_of(keys), k=K, beams=200)
    for found, parts in zip(whole, zip(*apart, strict=True), strict=True):
        assert found.exact and all(part.exact for part in parts)
        same(merge([part.hypotheses for part in parts]), found.hypotheses)


@pytest.mark.parametrize("count", [1, 2, 5, 16])
@pytest.mark.parametrize("seed", range(4))
def test_searched_apart_with_one_merge_of_hits(seed: int, count: int) -> None:
    check_merge_of_hits(seed, count, merged)


def check_merge_of_beams(seed: int, count: int, beams: int = BEAMS) -> list[Found]:
    """At each token the shards' continuations compete for the places of one beam."""
    keys = some_keys(seed)
    one = beam(decoding(seed), trie_of(keys), k=K, beams=BEAMS)
    several = beam(decoding(seed), union(*shards(keys, count)), k=K, beams=beams)
    for found, parts in zip(one, several, strict=True):
        same(parts.hypotheses, found.hypotheses)
        assert parts.exact == found.exact
    return one


@pytest.mark.parametrize("count", [1, 2, 5, 16])
def test_one_merge_of_beams_at_every_token(count: int) -> None:
    """Also where the search is not exact: it lets go of the same."""
    found = [one for seed in range(6) for one in check_merge_of_beams(seed, count)]
    assert {one.exact for one in found} == {True, False}


def check_probabilities(seed: int, prefixes: int, add: Callable[[Sequence[float]], float]) -> None:
    """A key's share of what all shards weigh is its share of all keys, or the bounds hold it.

    Each shard is told of its own hits, or it would see nothing to settle.
    """
    keys, apart = some_keys(seed), []
    for part in shards(keys, 5):
        own = [{h.tokens: h.log_prob for h in found.hypotheses}
               for found in beam(decoding(seed), part, k=K, beams=200)]  # fmt: skip
        apart.append(bounded_mass(decoding(seed), part, own, prefixes=prefixes, temperature=1.0))
    every = beam(decoding(seed), trie_of(keys), k=len(keys))
    for found, *parts in zip(every, *apart, strict=True):
        assert len(found.hypotheses) == len(keys)
        whole = Mass(add([part.low for part in parts]), add([part.high for part in parts]))
        mass = total([h.log_prob for h in found.hypotheses])
        for hypothesis in found.hypotheses[:K]:
            truth = math.exp(hypothesis.log_prob - mass)
            low, high = whole.share(hypothesis.log_prob)
            assert low - 1e-9 <= truth <= high + 1e-9
            if prefixes == 10**6:
                assert high - low < 2 * SETTLED


def total(logs: Sequence[float]) -> float:
    return float(np.logaddexp.reduce(logs))


@pytest.mark.parametrize("prefixes", [1, 16, 10**6])
def test_probabilities_from_the_masses_of_shards(prefixes: int) -> None:
    for seed in range(3):
        check_probabilities(seed, prefixes, total)


def test_faults_are_seen() -> None:
    def lowest(each: Sequence[Sequence[Hypothesis]]) -> list[Hypothesis]:
        return merged(each)[::-1]

    def first_shard(each: Sequence[Sequence[Hypothesis]]) -> list[Hypothesis]:
        return merged(each[:1])

    for merge in (lowest, first_shard):
        with pytest.raises(AssertionError):
            check_merge_of_hits(0, 5, merge)
    with pytest.raises(AssertionError):  # too few of each shard to be the best of all
        check_merge_of_hits(0, 2, merged, k=2)
    with pytest.raises(AssertionError):
        assert [check_merge_of_beams(seed, 5, beams=K) for seed in range(6)]
    for wrong in (
        max,
        lambda logs: total(logs[:1]),
        lambda logs: math.log(len(logs)) + total(logs),
    ):
        with pytest.raises(AssertionError):
            check_probabilities(0, 10**6, wrong)
