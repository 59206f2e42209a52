from __future__ import annotations

import json
import math
import warnings
from dataclasses import replace
from typing import Any

import pytest
import torch

from ergotext.errors import InputError
from ergotext.lm.batch import TokenBatch
from ergotext.lm.causal import CausalLM
from ergotext.lm.energies.embedding import load_encoder
from ergotext.lm.energies.keywords import keywords
from ergotext.lm.energies.overlap import difference, kept_words
from ergotext.lm.energies.term import Sum
from ergotext.lm.energies.terms import custom, fluency, length
from ergotext.samplers.sampling import sample
from ergotext.samplers.weighted.particles import Particles
from ergotext.samplers.weighted.result import WeightedResult
from ergotext.samplers.weighted.samples import HeavyWeightsWarning, ZeroWeightError
from ergotext.support.plain_words import words_of
from ergotext.support.words import count_words, find_word
from ergotext.tasks import paraphrase as task
from ergotext.tasks.budget import Budget
from ergotext.tasks.demands import CONTEXT
from ergotext.tasks.encoders import encoders_for
from ergotext.tasks.kept_parts import kept_parts
from ergotext.tasks.paraphrase import LEAST_OF_WORDS, MEANING_OF_WORDS, paraphrase
from ergotext.tasks.rewording import rewording
from ergotext.tasks.selection import alike, per_token
from ergotext.tasks.wordings import as_json, others, similarity_of
from tests.faulty import load_with_fault

TEXT = "The summer sun is on the beach"
SHORT = Budget("annealing", chains=3, steps=25)


def test_it_starts_from_the_text_and_leaves_it(placed_lm: CausalLM) -> None:
    result = paraphrase(TEXT, placed_lm, SHORT, progress=False)
    first = placed_lm.decode(result.trace.states[0])
    assert [text.strip() for text in first] == [TEXT] * 3
    assert set(result.best(1)[0].terms) == {"fluency", "kept_words", "difference", "length"}
    assert result.best(1)[0].energy < float(result.energy[0, 0])
    found = others(result, TEXT, 2)
    assert len(found) == 2 and all(words_of(s.text) != words_of(TEXT) for s in found)
    lines = [json.loads(line) for line in as_json(found, TEXT, result).splitlines()]
    assert [line["text"] for line in lines] == [s.text for s in found]
    assert {line["paraphrase_of"] for line in lines} == {TEXT}
    kept = [math.exp(-s.terms["kept_words"] / MEANING_OF_WORDS) for s in found]
    assert [line["similarity"] for line in lines] == pytest.approx(kept)
    assert all(LEAST_OF_WORDS <= share <= 1 for share in kept)
    again = paraphrase(f"  {TEXT} ", placed_lm, SHORT, progress=False)
    assert torch.equal(again.energy, result.energy)


def test_a_run_that_found_nothing_else_says_so(placed_lm: CausalLM) -> None:
    """Behind a wall of meaning the chain stays where it is: the text itself is no paraphrase."""
    stuck = paraphrase(
        TEXT,
        placed_lm,
        Budget("annealing", chains=1, steps=1),
        meaning=1e6,
        wording=0.0,
        progress=False,
    )
    assert all(words_of(s.text) == words_of(TEXT) for s in stuck.best(5))
    assert others(stuck, TEXT, 5) == []


def test_bad_texts(placed_lm: CausalLM) -> None:
    for text in ("", " ?! "):
        with pytest.raises(InputError, match="no words to paraphrase"):
            paraphrase(text, placed_lm, SHORT)
    with pytest.raises(InputError, match="cannot spell"):
        paraphrase("a <mask> b", placed_lm, SHORT)
    for weight in (0.0, -1.0, math.nan):
        with pytest.raises(InputError, match="weight of meaning must be above 0"):
            paraphrase(TEXT, placed_lm, SHORT, meaning=weight, progress=False)


def test_which_encoder() -> None:
    assert encoders_for(["some text"], "words") == [None]
    first, none, again = encoders_for(["some text", "一些文字", "more of it"], "auto")
    assert none is None and first is again is not None  # the one that comes knows English
    assert encoders_for(["一些文字"], "auto") == [None]
    with pytest.raises(InputError, match="no sentence encoder 'nowhere/none'"):
        encoders_for(["some text"], "nowhere/none")


def check_grown(module: Any, lm: CausalLM) -> None:
    """What particles write, and that their weights are those of exp(−E)."""
    text, budget = "Anna is still on the beach at 5 today.", Budget(particles=12, seed=1)
    result = module.paraphrase(text, lm, budget, least=0.0, progress=False)
    texts = [one.text for one in result.all()]
    assert texts and all(find_word(one, "5") >= 0 for one in texts)
    assert all(7 <= count_words(one) <= 12 for one in texts)
    own = lm.given(CONTEXT)
    proposed = rewording(text, lm, 60, single=True)
    size = len(own.vocabulary.encode(f" {text}"))
    ahead = length(size, 3.0)
    demanded = keywords(kept_parts(text, own), True, (), (7, 12), one_line=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HeavyWeightsWarning)  # of twelve particles
        run = sample(
            1.5 * proposed + ahead + demanded,
            "smc",
            n=12,
            seed=1,
            max_length=size + 9,
            threshold=0.1,
            progress=False,
        )
    assert isinstance(run, WeightedResult)
    energy = fluency(own, end="sentence") + 40 * kept_words(text, own) + 10 * difference(text)
    energy += length(size, 3.0)
    batch = run.samples.batch
    # p^1.5 of the proposal and its length give way to exp(-E).
    log_weight = run.samples.log_weight + 1.5 * proposed(batch) + ahead(batch) - energy(batch)
    expected = dict(zip(batch.rows(), log_weight.tolist(), strict=True))
    found = result.samples
    for row, weight in zip(found.batch.rows(), found.log_weight.tolist(), strict=True):
        assert weight == pytest.approx(expected[row], abs=1e-3)
    assert set(found.batch.rows()) == set(batch.rows())
    # This model, whose weights are random, does not come to write a negation.
    with pytest.raises(ZeroWeightError, match="negation"):
        module.paraphrase("The sun is not on.", lm, Budget(particles=2), least=0.0, progress=False)
    best = others(result, text, 2)
    assert [s.energy for s in best] == pytest.approx([float(energy(TokenBatch.of([s.tokens])))
                                                      for s in best], abs=1e-3)  # fmt: skip


def test_particles_weigh_by_the_energy(placed_lm: CausalLM) -> None:
    check_grown(task, placed_lm)


FAULTS: dict[str, tuple[str, str, str]] = {
    "the weight of the proposal stays": (
        "searching", "result.problem(batch) - energy(batch)", "-energy(batch)"
    ),
    "the ratio is turned around": (
        "searching", "result.problem(batch) - energy(batch)",
        "energy(batch) - result.problem(batch)",
    ),
    "28: the power stays in the weights": (
        "searching", "(1 - budget.power) * log_prob", "0 * log_prob"
    ),
    "numbers are not kept": ("paraphrase", "keywords(kept_parts(text, lm)", "keywords([]"),
    "a negation gets lost": (
        "paraphrase", "energy + demanded + negation, same.bind(own) + negation, nothing)",
        "energy + demanded, same.bind(own), nothing)",
    ),
    "any length will do": ("paraphrase", "FEWEST, MOST = 0.75, 1.34", "FEWEST, MOST = 0.1, 3.0"),
    "the target is the proposal": (
        "paraphrase", "fluency(own, end=end)\n", "proposed\n"
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_the_check_sees_it(
    fault: str, placed_lm: CausalLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, old, new = FAULTS[fault]
    module = load_with_fault(f"tasks.{name}", (old, new))
    if name == "searching":
        for each in ("grown", "turned"):
            monkeypatch.setattr(task, each, getattr(module, each))
        module = task
    with pytest.raises((AssertionError, KeyError, pytest.fail.Exception)):
        check_grown(module, placed_lm)


def test_too_few_that_are_close_is_one_line(placed_lm: CausalLM) -> None:
    with pytest.raises(ZeroWeightError, match="none of 4 particles came to a similarity of 1 to"):
        paraphrase(TEXT, placed_lm, Budget(particles=4), least=1.0, progress=False)
    for wrong in (-0.1, 1.5, math.nan):
        with pytest.raises(InputError, match="must be from 0 to 1"):
            paraphrase(TEXT, placed_lm, SHORT, least=wrong)


def test_others_differ_from_the_text_and_from_one_another(placed_lm: CausalLM) -> None:
    result = paraphrase(TEXT, placed_lm, Budget(particles=4), least=0.0, progress=False)
    said = {
        "The summer sun is on the beach.": 1.0,  # its own words
        "The summer sun is on a beach": 2.0,  # a word more
        "On the beach there is a sun": 5.0,
        "On the beach there is the sun": 4.0,
        "We saw the sun at sea": 6.0,
    }
    batch = TokenBatch.of([placed_lm.vocabulary.encode(f" {one}") for one in said])
    values = dict(zip(batch.rows(), said.values(), strict=True))
    energy = fluency(placed_lm, "") + custom(
        lambda rows: [values[row] for row in rows.rows()], "given", of="tokens"
    )
    energy = Sum([(0.0, energy.parts[0][1]), energy.parts[1]])
    count = len(said)
    zero = torch.zeros(count, dtype=torch.float64)
    held = Particles(batch, zero, count, torch.arange(count), island=zero.long())
    found = others(replace(result, problem=energy, samples=held), TEXT, 4)
    assert [s.energy for s in found] == [4.0, 6.0, 2.0, 5.0]


@pytest.mark.slow
def test_real_paraphrases(smollm2: CausalLM) -> None:
    """Fluent, close in meaning, other words: each by its own measure, and better than the start."""
    text, encoder = "The weather is very nice today, so we want to go to the beach.", load_encoder()
    budget = Budget(particles=16)
    result = paraphrase(text, smollm2, budget, encoder=encoder, progress=False)
    best = others(result, text, 1)[0]
    cosine = float(encoder.encode([text])[0] @ encoder.encode([best.text])[0])
    assert cosine > 0.8 and similarity_of(best, result) == pytest.approx(cosine, abs=1e-4)
    assert not alike(best.text, text) and per_token(best) > -4.5
