"""Bounds of what all keys weigh together: the enumerated value lies in them, and they meet."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ergotext.errors import InputError
from ergotext.lm.tokenizers.characters import Alphabet
from ergotext.lm.trie import TokenTrie, build
from ergotext.samplers.search.beam import beam
from ergotext.tasks.retrieval import probability as module
from ergotext.tasks.retrieval.answers import Mass, Tokens
from ergotext.tasks.retrieval.probability import bounded_mass, exact_mass
from ergotext.testing.toy import ToyScorer
from tests.decoding import CausalDecoding

TEMPERATURES = [0.5, 1.0, 3.0, 24.0]
CUT = 1e-12
"""rounding of float64 sums"""


@pytest.fixture(scope="module")
def trie() -> TokenTrie:
    return made()


def made() -> TokenTrie:
    """Some keys begin others, and most share prefixes."""
    rng = np.random.default_rng(0)
    keys = {tuple(rng.integers(1, 4, rng.integers(1, 7)).tolist()) for _ in range(150)}
    return build([(key, None) for key in keys], Alphabet(5, 4, 0))


def every(trie: TokenTrie) -> dict[Tokens, float]:
    """log p of all keys, the best first."""
    (found,) = beam(CausalDecoding.of(ToyScorer(), 0, [()]), trie, k=len(trie))
    assert len(found.hypotheses) == len(trie)
    return {h.tokens: h.log_prob for h in found.hypotheses}


def bounds(trie: TokenTrie, known: dict[Tokens, float], prefixes: int, temperature: float) -> Mass:
    """Of the second of three questions; the first and the last know nothing."""
    decoding = CausalDecoding.of(ToyScorer(), 0, [()] * 3)
    _, mass, _ = bounded_mass(
        decoding, trie, [{}, known, {}], prefixes=prefixes, temperature=temperature
    )
    return mass


def some_known(weights: dict[Tokens, float]) -> list[dict[Tokens, float]]:
    keys = list(weights)
    return [{key: weights[key] for key in chosen} for chosen in (keys[:3], keys[40:41], keys[-9:])]


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_the_whole_lies_between_the_bounds(trie: TokenTrie, temperature: float) -> None:
    """Whatever was expanded and whatever is known; more expanding never widens them."""
    weights = every(trie)
    truth = float(np.logaddexp.reduce(np.array(list(weights.values())) / temperature))
    for known in some_known(weights):
        before = Mass(-math.inf, math.inf)
        for prefixes in (0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 1000):
            mass = bounds(trie, known, prefixes, temperature)
            assert mass.low - CUT <= truth <= mass.high + CUT
            assert before.low - CUT <= mass.low and mass.high <= before.high + CUT
            sure = float(np.logaddexp.reduce(np.array(list(known.values())) / temperature))
            assert mass.low >= sure - CUT
            if temperature <= 1:
                assert mass.high <= CUT  # no more than everything
            before = mass


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_all_expanded_is_exact(
    trie: TokenTrie, temperature: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SETTLED", -1.0)  # go on to the end
    weights = every(trie)
    truth = float(np.logaddexp.reduce(np.array(list(weights.values())) / temperature))
    for known in some_known(weights):
        mass = bounds(trie, known, 10_000, temperature)
        assert mass.low == pytest.approx(truth, abs=CUT)
        assert mass.high == pytest.approx(truth, abs=CUT)


def test_it_stops_where_the_shares_are_settled(
    trie: TokenTrie, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bounds of the best share are as near as is wanted, and little was expanded."""
    weights = every(trie)
    (known, *_) = some_known(weights)
    expanded: list[int] = []
    expand = module._KeySearch.expand
    monkeypatch.setattr(
        module._KeySearch,
        "expand",
        lambda self, some: (expanded.append(len(some.row)), expand(self, some))[1],
    )
    counts = []
    for settled in (0.3, 0.1, 0.01):
        monkeypatch.setattr(module, "SETTLED", settled)
        expanded.clear()
        low, high = bounds(trie, known, 10_000, 1.0).share(max(known.values()))
        assert high - low <= settled
        counts.append(sum(expanded))
    assert counts == sorted(set(counts)) and counts[0] < 20


def test_keys_without_room_weigh_nothing(trie: TokenTrie, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SETTLED", -1.0)
    weights = every(trie)
    short = {key: one for key, one in weights.items() if len(key) < 4}
    assert 3 < len(short) < len(weights)
    known = dict(list(short.items())[:2])
    decoding = CausalDecoding.of(ToyScorer(), 0, [()], longest=3)
    (mass,) = bounded_mass(decoding, trie, [known], prefixes=10_000, temperature=1.0)
    truth = float(np.logaddexp.reduce(list(short.values())))
    assert mass.low == pytest.approx(truth, abs=CUT) == mass.high


def test_a_share_has_the_bounds_of_the_whole() -> None:
    assert exact_mass(np.log([0.25, 0.5])).share(math.log(0.25)) == pytest.approx((1 / 3, 1 / 3))
    assert Mass(-5.0, -5.0).share(-5.0 + 1e-12) == (1.0, 1.0)
    assert Mass(math.log(0.5), 0.0).share(math.log(0.25)) == pytest.approx((0.25, 0.5))


def test_a_token_that_the_model_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SETTLED", -1.0)
    trie = build([((1, 9), None), ((2, 3), None)], Alphabet(10, 4, 0))
    decoding = CausalDecoding.of(ToyScorer(), 0, [()])
    with pytest.raises(InputError, match="contains token 9, but the model has only 5"):
        bounded_mass(decoding, trie, [{(2, 3): -1.0}], prefixes=9, temperature=1.0)
