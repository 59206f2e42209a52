from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch

from ergotext.errors import InputError
from ergotext.lm.batch import TokenBatch
from ergotext.lm.causal import CausalLM
from ergotext.lm.energies.overlap import difference, kept_words, repeated
from ergotext.lm.energies.terms import fluency
from ergotext.support.plain_words import words_of


def test_words() -> None:
    assert words_of("The cat's ice-cream, 42!") == ["the", "cat's", "ice", "cream", "42"]
    assert words_of("我的iPhone很好。") == ["我", "的", "iphone", "很", "好"]
    assert words_of("… ?") == []


def test_repeated_runs_by_hand() -> None:
    assert repeated("the sun is warm", "The sun is warm.") == 1.0
    assert repeated("the sun is warm", "a moon was cold") == 0.0
    # 1: the, sun; clipped: "the" once only. 2: (the sun). 3, 4: none.
    assert repeated("the sun is warm", "the sun the end") == pytest.approx((2 / 4 + 1 / 3) / 4)
    # Two words have runs of one and of two only.
    assert repeated("the sun is warm", "warm sun") == pytest.approx((1.0 + 0.0) / 2)
    assert repeated("anything", "") == 0.0
    # Order counts: the same words, another share.
    assert repeated("a b c d", "d c b a") == pytest.approx(1 / 4)


def test_more_in_common_costs_more() -> None:
    reference = "the weather is very nice today"
    texts = ["clouds hang low", "the clouds hang low", "the weather hangs low",
             "the weather is low", "the weather is very nice", reference]  # fmt: skip
    costs = [-math.log(max(0.01, 1 - repeated(reference, text))) for text in texts]
    assert all(a < b for a, b in pairwise(costs[:-1])) and costs[0] == 0.0
    assert costs[-1] == pytest.approx(math.log(100))


@pytest.fixture
def spelled(placed_lm: CausalLM) -> TokenBatch:
    texts = [" the summer beach", " the summer", " the", " sun", " beach summer the"]
    return TokenBatch.of([placed_lm.vocabulary.encode(text) for text in texts])


def test_difference_is_an_energy_of_texts(placed_lm: CausalLM, spelled: TokenBatch) -> None:
    energy = fluency(placed_lm) + difference("The summer beach")
    term = energy.terms(spelled)["difference"]
    texts = [text.strip() for text in placed_lm.decode(spelled)]
    wanted = [-math.log(max(0.01, 1 - repeated("The summer beach", text))) for text in texts]
    assert term.tolist() == pytest.approx(wanted)
    assert term.dtype == torch.float64 and float(term.min()) == 0.0


def test_kept_words_weigh_their_surprise(placed_lm: CausalLM, spelled: TokenBatch) -> None:
    """Order does not count, a missing word costs what the model would not have guessed."""
    energy = fluency(placed_lm) + kept_words("the summer beach, the summer", placed_lm)
    words = {word: TokenBatch.of([placed_lm.vocabulary.spell(word)]) for word in
             ("the", "summer", "beach")}  # fmt: skip
    weight = {w: -float(placed_lm.token_log_prob(b)[0, :-1].sum()) for w, b in words.items()}
    total = 2 * weight["the"] + 2 * weight["summer"] + weight["beach"]
    kept = [weight["the"] + weight["summer"] + weight["beach"], weight["the"] + weight["summer"],
            weight["the"], 0.0]  # fmt: skip
    wanted = [-math.log(max(0.01, part / total)) for part in kept]
    got = energy.terms(spelled)["kept_words"].tolist()
    assert got == pytest.approx([*wanted, wanted[0]])
    assert len({round(cost, 6) for cost in wanted}) == 4


def test_a_reference_without_words(placed_lm: CausalLM) -> None:
    with pytest.raises(InputError, match="has no words"):
        difference("?!")
    with pytest.raises(InputError, match="has no words"):
        kept_words("", placed_lm)


def test_too_few_kept_words_are_forbidden(placed_lm: CausalLM) -> None:
    term = kept_words("summer beach", placed_lm).bind(placed_lm)
    batch = TokenBatch.of([placed_lm.vocabulary.encode(f" {text}") for text in ("summer", "beach")])
    share = (-term(batch)).exp().tolist()
    least = kept_words("summer beach", placed_lm, max(share)).bind(placed_lm)(batch).tolist()
    expected = [-math.log(s) if s == max(share) else math.inf for s in share]
    assert least == pytest.approx(expected)
