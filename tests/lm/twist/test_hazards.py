"""Hazards of a model: what they are of, and that keeping them keeps no model."""

from __future__ import annotations

import gc
from dataclasses import dataclass, replace
from weakref import ref

import numpy as np
import pytest
import torch

import ergotext as et
from ergotext.lm.twist.hazards import BEGINNINGS, PATIENCE, TINY, Hazards
from ergotext.lm.twist.product import FARTHEST, bounded
from ergotext.samplers import sample, twists
from ergotext.samplers.draws import SeededDraws
from ergotext.testing.toy import ToyScorer


def test_a_seed_gives_the_same_hazards_whatever_was_asked_before() -> None:
    scorer = ToyScorer(3)
    one, two = (Hazards.estimate(scorer, SeededDraws(5).categorical) for _ in range(2))
    assert torch.equal(one.mass, two.mass) and one.beginnings == two.beginnings
    other = Hazards.estimate(scorer, SeededDraws(6).categorical)
    assert not torch.equal(one.mass, other.mass)
    total = one.ends + one.stopping + one.goes_on
    assert total == pytest.approx(1, abs=1e-9)


def test_powers_are_means_of_powers() -> None:
    hazards = Hazards.estimate(ToyScorer(3), SeededDraws(5).categorical, power=2.0, places=1)
    batch = et.TokenBatch.of([()])
    law = ToyScorer(3).next_log_prob(batch, batch.length)[0].exp()
    torch.testing.assert_close(hazards.mass, law, rtol=0, atol=1e-12)


@pytest.mark.parametrize("power", [1.0, 2.0])
def test_phrases_are_averages_over_beginnings(power: float) -> None:
    """By the model's own law: the first word anywhere, the others after what was begun."""

    class Old(ToyScorer):
        """Every token is of a law of its own after another first token."""

        def token_log_prob(self, batch: et.TokenBatch) -> torch.Tensor:
            first = torch.tensor([1 + row[0] / 4 for row in batch.rows()], dtype=torch.float64)
            return super().token_log_prob(batch) * first[:, None]

    scorer = Old(3)
    hazards = Hazards.estimate(scorer, SeededDraws(5).categorical, power=power)
    assert len(hazards.beginnings) == BEGINNINGS
    hazards = replace(hazards, beginnings=[(1,), (2, 3), (4, 1)])
    one, two = hazards.phrases([[3], [1, 2, 4]])
    rests = []
    for begun in hazards.beginnings:
        batch = et.TokenBatch.of([(*begun, 1, 2, 4)])
        each = scorer.token_log_prob(batch)[0][len(begun) : len(begun) + 3]
        rests.append([float(each[n:].sum().exp()) for n in range(3)])
    wanted = np.mean(rests, axis=0)
    np.testing.assert_allclose(two[1:], wanted[1:], atol=1e-12)
    assert two[0] == pytest.approx(float(hazards.mass[1]) * wanted[1], abs=1e-12)
    assert one.tolist() == [pytest.approx(float(hazards.mass[3]), abs=1e-12)]


@pytest.mark.parametrize(("power", "least"), [(1.0, TINY), (2.0, PATIENCE)])
def test_nothing_is_below_the_least(power: float, least: float) -> None:
    class Never(ToyScorer):
        def next_log_prob(self, batch: et.TokenBatch, position: torch.Tensor) -> torch.Tensor:
            law = super().next_log_prob(batch, position)
            law[:, 3] = -torch.inf
            return law

    hazards = Hazards.estimate(Never(3), SeededDraws(5).categorical, power=power)
    assert hazards.phrases([[3]])[0].tolist() == [pytest.approx(least, rel=1e-9)]


def test_of_answers_nothing_is_estimated() -> None:
    """Of words asked for each comes alike, and no model is asked."""

    class Silent(ToyScorer):
        def next_log_prob(self, batch: et.TokenBatch, position: torch.Tensor) -> torch.Tensor:
            raise AssertionError

        token_log_prob = next_log_prob

    hazards = Hazards.of_answers(Silent(3))
    one, two = hazards.phrases([[3], [1, 2, 4]])
    assert one.tolist() == [two[0]] and two[0] < two[1] == two[2] < 1
    inside = Silent(3).allowed.double()
    assert torch.equal(hazards.mass[1:], (inside / inside.sum())[1:]) and 0 < hazards.ends < 1e-4
    assert hazards.stopping + hazards.goes_on < 1 and hazards.power == 1.5


def test_what_is_kept_keeps_no_model() -> None:
    scorer = ToyScorer(3)
    twists.hazards_of(scorer)
    known, seen = id(scorer), ref(scorer)
    assert known in twists._KNOWN
    del scorer
    gc.collect()
    assert seen() is None and known not in twists._KNOWN


def test_models_that_equal_another_have_hazards_of_their_own() -> None:
    @dataclass
    class Plain(ToyScorer):
        seed: int = 0

        def __post_init__(self) -> None:
            super().__init__(self.seed)

    one, two = Plain(1), Plain(2)  # unhashable, as dataclasses are
    assert not torch.equal(twists.hazards_of(one).mass, twists.hazards_of(two).mass)


@pytest.mark.filterwarnings("ignore::ergotext.samplers.weighted.samples.HeavyWeightsWarning")
def test_a_text_that_fits_the_window_is_written(tiny_causal: et.CausalLM) -> None:
    most = tiny_causal.longest_text
    context = "a"
    while tiny_causal.given(context).longest_text > 6:
        context += " a" * max(1, (tiny_causal.given(context).longest_text - 6) // 2)
    lm = tiny_causal.given(context)
    assert 0 < lm.longest_text <= 6 < most
    energy = et.fluency(lm) + et.keywords(["dog"])
    found = sample(energy, "smc", n=16, max_length=lm.longest_text, progress=False)
    assert len(found.samples)


def test_unlikely_lengths_are_told_apart_as_far_as_numbers_go() -> None:
    log_length = np.array([-np.inf, -5000.0, -1003.0, -1000.0])
    assert bounded(log_length).tolist() == [-np.inf, -FARTHEST, -3.0, 0.0]
    never = np.full(2, -np.inf)
    assert bounded(never).tolist() == never.tolist()


@pytest.fixture(scope="module")
def tiny_causal() -> et.CausalLM:
    return et.load("tiny-causal")
