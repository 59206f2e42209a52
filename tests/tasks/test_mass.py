"""What all keys weigh together, estimated: without bias, and with its standard error."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from ergotext.lm.characters import Alphabet
from ergotext.lm.trie import TokenTrie, build
from ergotext.samplers.beam import beam
from ergotext.samplers.draws import SeededDraws
from ergotext.tasks.mass import Mass, estimated_mass, exact_mass
from tests.decoding import CausalDecoding
from tests.toy import ToyScorer


@pytest.fixture(scope="module")
def trie() -> TokenTrie:
    return made()


def made() -> TokenTrie:
    rng = np.random.default_rng(0)
    keys = {tuple(rng.integers(1, 4, rng.integers(1, 7)).tolist()) for _ in range(150)}
    return build([(key, None) for key in keys], Alphabet(5, 4, 0))


ROWS = 400
"""questions at a time, each the same: as many independent draws"""


def known_and_all(trie: TokenTrie) -> tuple[dict[tuple[int, ...], float], np.ndarray]:
    """The three best keys, and log p of all."""
    (found,) = beam(CausalDecoding.of(ToyScorer(), 0, [()]), trie, k=len(trie))
    best = {h.tokens: h.log_prob for h in found.hypotheses[:3]}
    return best, np.array([h.log_prob for h in found.hypotheses])


def estimates(trie: TokenTrie, known: dict, samples: int, temperature: float) -> list[Mass]:
    decoding = CausalDecoding.of(ToyScorer(), 0, [()] * ROWS)
    return estimated_mass(
        decoding, trie, SeededDraws(5), [known] * ROWS, samples=samples, longest=trie.longest,
        temperature=temperature,
    )  # fmt: skip


@pytest.mark.parametrize("temperature", [0.7, 1.0, 3.0])
@pytest.mark.parametrize("samples", [2, 12])
def test_the_estimate_is_unbiased_and_so_is_its_variance(
    trie: TokenTrie, samples: int, temperature: float
) -> None:
    known, every = known_and_all(trie)
    truth = float(np.exp(every / temperature).sum())
    for best in (known, {}):
        masses = estimates(trie, best, samples, temperature)
        z = np.exp([mass.log_z for mass in masses])
        error = z.std() / math.sqrt(ROWS)
        assert abs(z.mean() - truth) < 5 * error
        variance = np.array([mass.stderr for mass in masses]) ** 2 * z**2
        spread = variance.std() / math.sqrt(ROWS)
        assert abs(variance.mean() - z.var()) < 5 * (spread + z.var() * math.sqrt(2 / ROWS))
        if best:
            assert z.min() > np.exp(np.array(list(best.values())) / temperature).sum()


def test_the_standard_error_covers(trie: TokenTrie) -> None:
    """Of intervals of two standard errors, at least nine in ten hold the truth."""
    known, every = known_and_all(trie)
    top = max(known.values())
    truth = math.exp(top - np.logaddexp.reduce(every))
    shares = [mass.share(top) for mass in estimates(trie, known, 30, 1.0)]
    covered = [abs(share - truth) < 2 * error for share, error in shares]
    assert 0.9 <= np.mean(covered) < 1.0
    assert all(0 < error < 0.2 * truth for _, error in shares)


def test_all_keys_drawn_is_exact(trie: TokenTrie) -> None:
    known, every = known_and_all(trie)
    (mass, *_) = estimates(trie, known, len(trie), 1.0)
    assert mass.log_z == pytest.approx(np.logaddexp.reduce(every), abs=1e-9)
    assert mass.stderr == 0.0
    (exact,) = exact_mass(torch.from_numpy(every)[None])
    assert exact.log_z == pytest.approx(mass.log_z) and exact.stderr == 0.0


def test_a_share_is_never_more_than_the_whole() -> None:
    assert Mass(-5.0).share(-5.0 + 1e-12) == (1.0, 0.0)
    assert Mass(0.0, 0.25).share(math.log(0.5)) == pytest.approx((0.5, 0.125))
