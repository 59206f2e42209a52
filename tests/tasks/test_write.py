"""The writing task, on a small model."""

from __future__ import annotations

import gc
import json
import re
from pathlib import Path

import pytest
import torch

import ergotext as et
from ergotext.errors import InputError
from ergotext.lm.causal import CausalLM
from ergotext.lm.decoding import reduced
from ergotext.lm.energies.term import Sum
from ergotext.lm.energies.terms import fluency
from ergotext.lm.twist import Hazards
from ergotext.samplers.weighted.particles import Particles
from ergotext.samplers.weighted.result import WeightedResult
from ergotext.support.words import count_words, holds_words
from ergotext.tasks import demands, texts
from ergotext.tasks import write as task
from ergotext.tasks.budget import PARTICLES, Budget
from ergotext.tasks.request import sentence_with
from ergotext.tasks.selection import alike, chosen, merit, per_token, repeats
from ergotext.testing.toy import ToyFluency, ToyScorer
from tests.tasks.prompts import read_before


@pytest.fixture(scope="module")
def lm(model_folder: Path) -> CausalLM:
    return et.load(str(model_folder))


SMALL = Budget("annealing", chains=3, steps=15)


def test_every_text_holds_every_word(lm: CausalLM) -> None:
    in_order = demands.Demands(in_order=True)
    result = task.write(["summer", "ice cream"], lm, SMALL, in_order, progress=False)
    assert result.sampler == "annealing" and result.kind == "optimiser"
    assert (result.chains, result.steps, result.stopped) == (3, 15, "steps")
    for s in result.best(20):
        assert s.text.index("summer") < s.text.index("ice cream")
        assert s.terms["keywords"] == 0


def test_any_order_lets_words_trade_places(lm: CausalLM) -> None:
    short = demands.Demands(max_length=8, mean_length=4)
    result = task.write(["summer", "dog"], lm, Budget("annealing", steps=60), short, progress=False)
    first = {s.text.index("summer") < s.text.index("dog") for s in result.best(200)}
    assert first == {True, False}


def test_sets_are_checked_before_the_first_is_written(lm: CausalLM) -> None:
    with pytest.raises(et.InputError, match="empty"):
        task.write_all([["summer"], [""]], lm, SMALL)


def test_the_context_is_the_one_told(lm: CausalLM) -> None:
    assert demands.default_context(["summer"]) == demands.CONTEXT
    assert demands.default_context(["夏天", "beach"]) == demands.CONTEXT_UNSPACED
    assert demands.default_context(["beach", " 夏天"]) == demands.CONTEXT_UNSPACED
    for context, expected in ((None, demands.CONTEXT), ("", ""), ("A dog.", "A dog.")):
        result = task.write(["summer"], lm, SMALL, context=context, progress=False)
        best = result.best(1)[0]
        batch = et.TokenBatch.of([best.tokens])
        alone = et.fluency(lm, expected, end="sentence").scorer.log_prob(batch)
        assert best.log_prob == pytest.approx(float(alone[0]), abs=1e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mean_length": 41}, "above max_length"),
        ({"mean_length": 2, "max_length": 2}, "keywords alone take"),
        ({"context": "long " * 200}, "token positions"),
        ({"max_length": 10**9}, "context window leaves"),
    ],
)
def test_what_cannot_be_is_named(lm: CausalLM, options, message: str) -> None:
    context = options.get("context")
    asked = demands.Demands(**{k: v for k, v in options.items() if k != "context"})
    with pytest.raises(et.InputError, match=message):
        task.write(["summer", "beach", "ice cream"], lm, SMALL, asked, context=context)


def test_keyword_sets() -> None:
    text = '["a", "b c"]\r\n\n  \n["\u2028", "d"]\n'
    assert demands.parse_keyword_sets(text) == [["a", "b c"], ["\u2028", "d"]]
    for bad in ("a", "{}", "[1]", '["a"', "[" * 100_000, '"a"', "null"):
        with pytest.raises(et.InputError, match="line 2"):
            demands.parse_keyword_sets(f'["a"]\n{bad}')
    with pytest.raises(et.InputError, match="no keyword set"):
        demands.parse_keyword_sets(" \n")


def test_nothing_in_a_text_drives_the_terminal(lm: CausalLM) -> None:
    result = task.write(["summer"], lm, SMALL, progress=False)
    best = result.best(1)[0]
    odd = et.samplers.Sample("a\x1b[31m\nb\u202ec", -1.0, 1.0, {}, 0, 0, ())
    lines = texts.as_text(result, [odd, best], approximate=True).split("\n")
    assert lines[0] == "a [31m b c  [log p -1.0, -1.00 a token, energy 1.0]" and len(lines) == 3
    assert "approximate" in lines[2] and "15 steps" in lines[2]
    record = json.loads(texts.as_json([odd], [{"keywords": ["a"]}]))
    assert record["text"] == odd.text and record["keywords"] == ["a"]


def test_particles_hold_every_word(lm: CausalLM) -> None:
    asked = demands.Demands(without=["cat"], words_between=(2, 8), max_length=16)
    result = task.write(["summer", ("dog", "dogs")], lm, Budget(), asked, progress=False)
    assert result.sampler == "smc" and len(result.samples) > 1
    best = chosen(result, 5)
    for one in best:
        assert holds_words(one.text, ["summer", ("dog", "dogs")], True, without=["cat"])
        assert 2 <= count_words(one.text) <= 8
        assert one.terms["fluency"] == pytest.approx(-one.log_prob, abs=1e-4)
        assert one.energy == pytest.approx(one.terms["fluency"] + one.terms["request"], abs=1e-4)
    rates = [(not repeats(one.tokens), merit(one)) for one in best]
    assert rates == sorted(rates, reverse=True)
    samples = result.samples
    assert isinstance(samples, Particles) and len(set(samples.batch.rows())) <= 8
    assert (
        samples.tries == 48 == PARTICLES and result.settings["options"]["resampling"] == "distinct"
    )
    again = task.write(["summer", ("dog", "dogs")], lm, Budget(), asked, progress=False)
    assert [one.text for one in chosen(again, 5)] == [one.text for one in best]


def test_what_is_shown_is_scored_by_the_model_itself(
    lm: CausalLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever proposed: numbers of texts and of the run are those of the model as it is."""
    monkeypatch.setattr(reduced, "_fastest", lambda: "int8")
    asked = demands.Demands(words_between=(2, 6), max_length=10)
    result = task.write(["summer"], lm, Budget(particles=40), asked, progress=False)
    samples = result.samples
    assert isinstance(samples, Particles) and samples.proposed_in == "int8"
    assert "40 particles, proposed in int8, " in texts.how(result)
    lm.forget()
    model = fluency(lm, demands.CONTEXT, "sentence") + sentence_with(["summer"], lm, 10)
    torch.testing.assert_close(result.energy, model(samples.batch), rtol=0, atol=1e-4)
    monkeypatch.setattr(reduced, "_fastest", lambda: "float32")
    plain = task.write(["summer"], lm, Budget(particles=40), asked, progress=False)
    assert plain.samples.proposed_in is None and "proposed" not in texts.how(plain)


@pytest.mark.parametrize("precision", ["bfloat16", "float32"])
def test_what_a_set_has_read_is_freed_with_its_result(
    lm: CausalLM, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Megabytes of each set, in so few objects that the collector of circles comes too late."""
    monkeypatch.setattr(reduced, "_fastest", lambda: precision)
    written = task.write_all([["cat"], ["dog"]], lm, Budget(particles=8), progress=False)
    next(written)
    gc.collect()
    gc.disable()
    try:
        next(written)
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        left = sum(isinstance(one, torch.Tensor) for one in gc.garbage)
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert left == 0


def test_what_is_asked_for_is_what_was_demanded(
    lm: CausalLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request has the context, the end and the order of the run."""
    asked: list[str] = []

    def told(*given, **options):
        request = sentence_with(*given, **options)
        asked.append(read_before(request.scorer))
        assert (options["end"], options["in_order"]) == ("token", True)
        return request

    monkeypatch.setattr(task, "sentence_with", told)
    wanted = demands.Demands(in_order=True, end="token", max_length=8)
    few = Budget(particles=16)
    for context, last in (("It is. ", "Sentence: It is."), (None, "Sentence:")):
        task.write(["dog"], lm, few, wanted, context=context, progress=False)
        assert asked[-1].endswith(f"Words: dog\n{last}")


def test_nothing_is_estimated_of_words_that_were_asked_for(
    lm: CausalLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hazards of the power that they are known of; to another power they are estimated."""
    estimated = list[float]()

    def estimate(scorer, categorical, *, power):
        estimated.append(power)
        return Hazards.of_answers(scorer)

    monkeypatch.setattr(Hazards, "estimate", estimate)
    wanted = demands.Demands(max_length=8)
    result = task.write(["dog"], lm, Budget(particles=16), wanted, progress=False)
    assert not estimated and "Twist" in result.settings["options"]["twist"]
    assert " at 0x" not in str(result.settings)
    task.write(["dog"], lm, Budget(particles=16, power=2.0), wanted, progress=False)
    assert estimated == [2.0]


def test_phrases_that_cannot_fit_are_refused_before_the_run(
    lm: CausalLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Too many for the shortest way through them all; nothing is drawn."""
    phrases = [
        f"{a} and no {b}" for a in ("sun", "dog", "rain") for b in ("sea", "ice", "ball", "day")
    ]
    monkeypatch.setattr(task, "answers", None)
    says = r"the keywords alone take (\d+) tokens, but the maximum length is 40"
    with pytest.raises(InputError, match=says) as refused:
        task.write(phrases, lm, demands=demands.Demands(max_length=40), progress=False)
    needed = int(re.findall(r"\d+", str(refused.value))[0])
    spelled = sum(len(lm.vocabulary.spell(phrase)) for phrase in phrases)
    assert 40 < needed <= spelled


def test_words_beyond_the_window_are_refused_before_an_automaton_is_made(
    lm: CausalLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of 3,000 letters takes half a minute."""
    monkeypatch.setattr("ergotext.lm.energies.keywords.KeywordCoverage", None)
    with pytest.raises(InputError, match="context window leaves only"):
        task.write(["a" * 3000, "The dog ran."], lm, progress=False)


def test_the_best_differ() -> None:
    """Ancestors first, then texts that differ in more than a word, then what there is."""
    texts = {
        (1, 2): (-2.0, 0, "the dog ran home"),
        (1, 3): (-2.2, 0, "one cat sat there"),  # of the same ancestor
        (4, 4): (-9.0, 1, "a bird flew off"),
        (4, 3): (-3.0, 2, "the cat ran home"),  # one word apart from the first
        (2, 2, 2, 2): (-1.0, 3, "so so so so"),  # repeats itself
    }
    found = particles(texts)
    assert [one.tokens for one in chosen(found, 2)] == [(1, 2), (4, 4)]
    assert [one.tokens for one in chosen(found, 3)] == [(1, 2), (1, 3), (4, 4)]
    assert [one.tokens for one in chosen(found, 4)][-1] == (2, 2, 2, 2)
    assert len(chosen(found, 9)) == 5
    assert per_token(chosen(found, 1)[0]) == pytest.approx(-2.0 / 3)  # the end is one
    assert repeats((1, 2, 3, 9, 1, 2, 3)) and not repeats((1, 2, 3, 1, 2, 4))
    assert alike("The dog ran.", "the cat ran.") and not alike("a dog ran", "the cat ran")
    assert alike("a b c", "a b") and not alike("a b c d", "a b")
    assert alike("猫站在窗户边。", "猫坐在窗户上。") and not alike("猫站在窗户边。", "猫躺在床上。")


def particles(texts: dict[tuple[int, ...], tuple[float, int, str]]) -> WeightedResult:
    """Particles of these tokens, each with log p, ancestor and text."""

    class Told(ToyScorer):
        def log_prob(self, batch):
            return torch.tensor([texts[row][0] for row in batch.rows()], dtype=torch.float64)

        def decode(self, batch):
            return [texts[row][2] for row in batch.rows()]

    energy = ToyFluency(Told())
    batch = et.TokenBatch.of(list(texts))
    root = torch.tensor([root for _, root, _ in texts.values()])
    samples = Particles(batch, torch.zeros(len(texts)).double(), len(texts), root)
    return WeightedResult(Sum([(1.0, energy)]), samples, "smc", 0, 0.0)
