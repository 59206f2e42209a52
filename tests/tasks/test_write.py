"""The writing task, on a small model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import ergotext as et
from ergotext.lm.causal import CausalLM
from ergotext.tasks import write as task


@pytest.fixture(scope="module")
def lm(model_folder: Path) -> CausalLM:
    return et.load(str(model_folder))


SMALL = task.Budget(chains=3, steps=15)


def test_every_text_holds_every_word(lm: CausalLM) -> None:
    result = task.write(["summer", "ice cream"], lm, SMALL, progress=False)
    assert result.sampler == "annealing" and result.kind == "optimiser"
    assert (result.chains, result.steps, result.stopped) == (3, 15, "steps")
    for s in result.best(20):
        assert s.text.index("summer") < s.text.index("ice cream")
        assert s.terms["keywords"] == 0


def test_any_order_lets_words_trade_places(lm: CausalLM) -> None:
    result = task.write(["summer", "dog"], lm, task.Budget(steps=60), any_order=True, max_length=8,
                        mean_length=4, progress=False)  # fmt: skip
    first = {s.text.index("summer") < s.text.index("dog") for s in result.best(200)}
    assert first == {True, False}


def test_sets_are_checked_before_the_first_is_written(lm: CausalLM) -> None:
    with pytest.raises(et.InputError, match="empty"):
        task.write_all([["summer"], [""]], lm, SMALL)


def test_the_context_is_the_one_told(lm: CausalLM) -> None:
    assert task.default_context(["summer"]) == task.CONTEXT
    assert task.default_context(["夏天", "beach"]) == task.CONTEXT_UNSPACED
    assert task.default_context(["beach", " 夏天"]) == task.CONTEXT_UNSPACED
    for context, expected in ((None, task.CONTEXT), ("", ""), ("A dog.", "A dog.")):
        result = task.write(["summer"], lm, SMALL, context=context, progress=False)
        best = result.best(1)[0]
        batch = et.TokenBatch.of([best.tokens])
        alone = lm.given(expected).log_prob(batch)
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
    with pytest.raises(et.InputError, match=message):
        task.write(["summer", "beach", "ice cream"], lm, SMALL, **options)


def test_keyword_sets() -> None:
    text = '["a", "b c"]\r\n\n  \n["\u2028", "d"]\n'
    assert task.parse_keyword_sets(text) == [["a", "b c"], ["\u2028", "d"]]
    for bad in ("a", "{}", "[1]", '["a"', "[" * 100_000, '"a"', "null"):
        with pytest.raises(et.InputError, match="line 2"):
            task.parse_keyword_sets(f'["a"]\n{bad}')
    with pytest.raises(et.InputError, match="no keyword set"):
        task.parse_keyword_sets(" \n")


def test_nothing_in_a_text_drives_the_terminal(lm: CausalLM) -> None:
    result = task.write(["summer"], lm, SMALL, progress=False)
    best = result.best(1)[0]
    odd = et.samplers.Sample("a\x1b[31m\nb\u202ec", -1.0, 1.0, {}, 0, 0, ())
    lines = task.as_text(result, [odd, best], approximate=True).split("\n")
    assert lines[0] == "a [31m b c  [log p -1.0]" and len(lines) == 3
    assert "approximate" in lines[2] and "15 steps" in lines[2]
    record = json.loads(task.as_json([odd], ["a"]))
    assert record["text"] == odd.text and record["keywords"] == ["a"]
