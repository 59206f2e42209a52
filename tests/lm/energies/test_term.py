"""Energies: their values, how they add up, and what they refuse."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

import ergotext as et
import ergotext.lm.energies.term as energy_module
from ergotext.lm.batch import TokenBatch
from ergotext.lm.causal import CausalLM
from ergotext.lm.energies.matches import accepted
from ergotext.lm.protocols import Energy
from ergotext.support.words import holds_words
from ergotext.testing.toy import ToyFluency, ToyScorer, toy_energy
from tests.faulty import load_with_fault
from tests.lm.energies.test_keyword_faults import odd_token


def batch_of(lm: CausalLM, *texts: str) -> TokenBatch:
    return TokenBatch.of([lm.vocabulary.encode(text) for text in texts])


def test_length_is_a_normal_law_on_whole_numbers() -> None:
    prior = et.length(3, sd=1.5)
    batch = TokenBatch.of([[5] * n for n in range(60)])
    p = (-prior(batch)).exp()
    assert float(p.sum()) == pytest.approx(1, abs=1e-12)
    assert float(p[3] / p[5]) == pytest.approx(math.exp(4 / (2 * 1.5**2)))
    assert int(p.argmax()) == 3


def test_keywords_are_checked_in_the_decoded_text(small_lm: CausalLM) -> None:
    term = et.keywords(["summer", "ice cream"]).bind(small_lm)
    good = [
        "the summer ice cream",
        "summer, ice cream",
        "(summer)ice cream!",
        "summer summer ice cream",
    ]
    bad = ["ice cream summer", "midsummer ice cream", "summer ice creams", "summer ice  cream", "",
           "Summer ice cream", "summer ice_cream"]  # fmt: skip
    assert torch.equal(term(batch_of(small_lm, *good)), torch.zeros(len(good)).double())
    assert torch.isinf(term(batch_of(small_lm, *bad))).all()
    loose = et.keywords(["summer", "ice cream"], any_order=True).bind(small_lm)
    assert float(loose(batch_of(small_lm, "ice cream in summer"))[0]) == 0


def test_any_spelling_of_a_word_counts(small_lm: CausalLM) -> None:
    """The constraint is on the text, not on the tokens that happen to spell it."""
    letters = [small_lm.vocabulary.encode(c)[0] for c in " summer"]
    assert len(letters) == 7
    term = et.keywords(["summer"]).bind(small_lm)
    assert float(term(TokenBatch.of([letters]))[0]) == 0


def test_chinese_words_need_no_boundary(small_lm: CausalLM) -> None:
    term = et.keywords(["夏天", "海"]).bind(small_lm)
    assert float(term(batch_of(small_lm, "今年夏天的海滩"))[0]) == 0
    assert math.isinf(float(term(batch_of(small_lm, "海边的夏天"))[0]))


def test_a_sum_is_the_sum_of_its_terms(small_lm: CausalLM) -> None:
    energy = 0.5 * et.fluency(small_lm) + et.length(4) + et.length(6, sd=2)
    batch = batch_of(small_lm, "the summer", "a dog ran after the ball")
    terms = energy.terms(batch)
    assert list(terms) == ["fluency", "length", "length_2"]
    torch.testing.assert_close(sum(terms.values()), energy(batch))
    torch.testing.assert_close(terms["fluency"], -0.5 * small_lm.log_prob(batch))
    assert isinstance(energy, Energy) and isinstance(toy_energy(), Energy)


def test_a_context_changes_fluency_and_nothing_else(small_lm: CausalLM) -> None:
    batch = batch_of(small_lm, "the summer")
    plain, given = et.fluency(small_lm), et.fluency(small_lm, "A dog ran.")
    assert float(plain(batch)[0]) != float(given(batch)[0])
    torch.testing.assert_close(given(batch), -small_lm.given("A dog ran.").log_prob(batch))


def test_users_own_functions(small_lm: CausalLM) -> None:
    def shout(texts: list[str]) -> list[float]:
        return [float(text.count("!")) for text in texts]

    def short(batch: TokenBatch) -> torch.Tensor:
        return batch.length.double()

    energy = et.fluency(small_lm) + et.custom(shout, "shout") + short
    batch = batch_of(small_lm, "the summer!!", "")
    terms = energy.terms(batch)
    assert terms["shout"].tolist() == [2.0, 0.0]
    assert terms["short"].tolist() == batch.length.tolist()
    # A callable on either side of the sum.
    assert "short" in (short + et.fluency(small_lm)).terms(batch)


class Returns(et.Term):
    """A user's term that returns this."""

    name = "returns"

    def __init__(self, value: object) -> None:
        self.value = value

    def __call__(self, batch: TokenBatch) -> Any:
        return self.value


def test_a_term_may_return_an_array(small_lm: CausalLM) -> None:
    batch = TokenBatch.of([[5], [6]])
    for value in (np.array([1.0, 2.0]), [1, 2], torch.tensor([1.0, 2.0])):
        terms = (et.fluency(small_lm) + 3 * Returns(value)).terms(batch)
        assert terms["returns"].tolist() == [3.0, 6.0] and terms["returns"].dtype == torch.float64


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda lm: (et.fluency(lm) + Returns("low"))(TokenBatch.of([[5]])), "'low', expected one"),
        (lambda lm: et.keywords([]), "no keyword"),
        (lambda lm: et.keywords("summer"), "must be a list"),
        (lambda lm: et.keywords([()]), "no alternatives"),
        (lambda lm: et.keywords([], without="sun"), "must be a list"),
        (lambda lm: et.keywords(["a", "b"], words_between=(0, 1)), "2 keywords cannot stand"),
        (lambda lm: et.fluency(lm) + et.keywords(["sun"], without=["sun"]), "both demanded and"),
        (lambda lm: et.fluency(lm) + et.keywords(["sun", "  "]), "empty"),
        (lambda lm: et.fluency(lm) + et.keywords(["a\x07b"]), "control character"),
        (lambda lm: et.fluency(lm) + et.keywords(["</s>"]), "cannot spell"),
        (lambda lm: et.fluency(lm) + et.keywords(["a"]) + et.keywords(["b"]), "one keywords"),
        (lambda lm: et.fluency(lm) + 0 * et.keywords(["a"]), "hard constraint"),
        (lambda lm: et.keywords(["a"])(TokenBatch.of([[5]])), "have no tokenizer"),
        (lambda lm: math.nan * et.fluency(lm), "finite"),
        (lambda lm: et.length(3, sd=0), "spread"),
        (lambda lm: et.length(-1), "0 tokens or more"),
        (lambda lm: et.fluency(lm) + 3, "cannot add"),
        (
            lambda lm: (et.fluency(lm) + (lambda b: torch.zeros(1, 2)))(TokenBatch.of([[5]])),
            "shape",
        ),
        (
            lambda lm: (et.fluency(lm) + et.custom(lambda t: [math.nan]))(TokenBatch.of([[5]])),
            "NaN",
        ),
        (
            lambda lm: (-1.0 * (et.fluency(lm) + (lambda b: torch.tensor([math.inf]))))(
                TokenBatch.of([[5]])
            ),
            "would turn into",
        ),
        (lambda lm: et.custom(lambda t: [0.0])(TokenBatch.of([[5]])), "reads text"),
        (
            lambda lm: et.custom(lambda t: "low", of="tokens")(TokenBatch.of([[5]])),
            "returned 'low'",
        ),
        (
            lambda lm: (et.fluency(lm) + et.custom(lambda t: [None]))(TokenBatch.of([[5]])),
            "expected one number per text",
        ),
    ],
)
def test_bad_input_is_named(small_lm: CausalLM, make, message: str) -> None:
    with pytest.raises(et.InputError, match=message):
        make(small_lm)


def test_initial_states_hold_the_keywords(small_lm: CausalLM) -> None:
    words = ["summer", "beach", "dog"]
    energy = et.fluency(small_lm) + et.keywords(words)
    start = energy.initial(4)
    assert len(set(start.rows())) == 1 and torch.isfinite(energy(start)).all()
    assert start.locked[start.inside].min() == 1 and int(start.locked.max()) == 3
    loose = et.fluency(small_lm) + et.keywords(words, any_order=True)
    assert len(set(loose.initial(6).rows())) == 6
    assert len(set(loose.initial(4).rows())) == 4
    assert torch.isfinite(loose(loose.initial(13))).all()


def test_keywords_with_alternatives_and_limits(small_lm: CausalLM) -> None:
    term = et.keywords(
        [("beach", "beaches"), "dog"], any_order=True, without=["sun"], words_between=(3, 6)
    ).bind(small_lm)
    good = ["a dog on beaches", "the beach and a dog", "sunny beach dog"]
    bad = ["dog beach", "a dog in the sun on a beach", "the dogs on the beach", "a dog",
           "one two three four five dog beach"]  # fmt: skip
    for text in good + bad:
        batch = batch_of(small_lm, text)
        assert bool(term(batch) == 0) == (text in good)
        assert bool(accepted(term.automaton, batch)) == (text in good)
    start = term.initial(4)
    assert torch.isfinite(term(start)).all() and len(start) == 4
    # Only the keyword of one spelling is held in place.
    assert set(start.locked.unique().tolist()) == {0, 1} and term.marks == {1}


def test_limits_alone(small_lm: CausalLM) -> None:
    term = et.keywords([], without=["dog"], words_between=(2, 2)).bind(small_lm)
    start = term.initial(3)
    assert torch.isfinite(term(start)).all() and not start.locked.any() and not term.marks


def test_bytes_that_are_no_text_are_for_the_automaton_to_judge(small_lm: CausalLM) -> None:
    odd, dog = odd_token(small_lm), small_lm.vocabulary.encode(" dog")
    term = et.keywords(["dog"]).bind(small_lm)
    for row in ([odd, *dog], [*dog, odd]):
        batch = TokenBatch.of([row])
        assert "\ufffd" in small_lm.decode(batch)[0]
        assert not torch.isfinite(term(batch)) and not accepted(term.automaton, batch)


def test_chains_start_where_keywords_do_not_touch(small_lm: CausalLM) -> None:
    """A start is found by writing on."""
    term = et.keywords(["dog", "sun"], without=["dog sun"]).bind(small_lm)
    assert torch.isfinite(term(term.initial(2))).all()


@pytest.mark.filterwarnings("ignore::ergotext.samplers.weighted.samples.HeavyWeightsWarning")
def test_weighted_samplers_write_under_the_automaton(small_lm: CausalLM) -> None:
    energy = et.fluency(small_lm) + et.keywords([("dog", "dogs"), "ball"], words_between=(2, 4))
    assert energy.soft is None and energy.automaton is not None
    found = et.sample(energy, "importance", n=8, max_length=8, progress=False)
    assert len(found.all()) == 8
    assert all(holds_words(one.text, [("dog", "dogs"), "ball"]) for one in found.all())


@pytest.mark.parametrize("sampler", ["mh", "suffix"])
def test_chains_keep_the_limits(small_lm: CausalLM, sampler: str) -> None:
    energy = et.fluency(small_lm) + et.keywords([("dog", "dogs"), "sun"], words_between=(3, 5))
    found = et.sample(energy, sampler, chains=2, steps=10, max_length=12, progress=False)
    assert all(math.isfinite(one.energy) for one in found.best(3))


def test_marks_depend_on_the_tokens_alone() -> None:
    energy = toy_energy(["a", "c b"])
    rows = [(1, 2, 3), (2, 3, 1, 2, 3), (1, 1, 2, 4, 2, 3), (1, 2, 4), (2, 1, 3)]
    marks = energy.locked(TokenBatch.of(rows)).tolist()
    assert [m[: len(r)] for m, r in zip(marks, rows, strict=True)] == [
        [1, 2, 2],
        [0, 0, 1, 2, 2],
        [1, 0, 0, 0, 2, 2],
        [1, 0, 0],  # token 4 spells " b" as well, but is not the keyword's spelling
        [0, 1, 0],
    ]
    loose = toy_energy(["a", "c b"], any_order=True)
    assert loose.locked(TokenBatch.of([(2, 3, 1)])).tolist() == [[2, 2, 1]]


class Low(et.Term):
    """Never below −0.7 nats."""

    name = "low"
    lowest = -0.7

    def __call__(self, batch: TokenBatch) -> torch.Tensor:
        return torch.full((len(batch),), self.lowest, dtype=torch.float64)


def check_floor(module: Any) -> None:
    """The lowest value of what stands beside −log p: each term's by its weight."""
    prior, fluency = et.length(3, sd=1.5), ToyFluency(ToyScorer())
    parts = [(1.0, fluency), (2.0, prior), (0.5, Low())]
    energy = module.Sum(parts)
    assert prior.lowest is not None and prior.lowest > 0.5
    assert energy.floor == pytest.approx(2 * prior.lowest - 0.35)
    rows = TokenBatch.of([(1,) * n for n in range(8)])
    assert float(energy.soft(rows).min()) == pytest.approx(energy.floor)
    assert module.Sum([(1.0, fluency), (-1.0, Low())]).floor is None
    assert module.Sum([(0.5, fluency), (1.0, Low())]).floor is None


def test_the_floor_of_a_sum_goes_by_its_weights() -> None:
    check_floor(energy_module)


def test_a_floor_without_weights_is_seen() -> None:
    fault = ("total += weight * term.lowest", "total += term.lowest")
    with pytest.raises(AssertionError):
        check_floor(load_with_fault("lm.energies.term", fault))
