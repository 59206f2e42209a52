"""Reading a passage: against every span, spelled in every way, scored by the whole model."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from transformers import PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

from ergotext.errors import InputError
from ergotext.lm.automata import Pieces
from ergotext.lm.causal import CausalLM
from ergotext.lm.seq2seq import Seq2SeqLM
from ergotext.tasks import passages
from ergotext.tasks.read import Reading, SpanReader, as_json, as_text, places_of
from tests.lm.tokenizers import test_fast as tokenizers

PASSAGE, QUESTION = "ab\n海ab", "What?"
PROMPT = "{passage}\nQ: {question}\nA: "
Row = tuple[int, ...]


def spelled(text: bytes, pieces: Pieces) -> Iterator[Row]:
    """Every tokenisation of a text."""
    if not text:
        yield ()
    for token in pieces.text.tolist():
        piece = pieces.tokens[token]
        if text.startswith(piece):
            yield from ((token, *rest) for rest in spelled(text[len(piece) :], pieces))


def rows_of(passage: str, pieces: Pieces, lead: str) -> dict[str, list[Row]]:
    """For every text of a span, without white space around it, all that spells it."""
    size = len(passage)
    texts = {passage[i:j] for i in range(size) for j in range(i + 1, size + 1)}
    found: dict[str, list[Row]] = {}
    for text in texts:
        if text.strip():
            rows = spelled((lead + text).encode(), pieces)
            found.setdefault(text.strip(), []).extend(rows)
    return found


@torch.inference_mode()
def causal_log_prob(lm: CausalLM, prompt: str, row: Row, closing: list[int]) -> float:
    """log p(row, any end | prompt): one full pass, softmax over everything."""
    before = [lm.start_id, *lm.vocabulary.encode(prompt)]
    law = lm.model(torch.tensor([[*before, *row]])).logits[0].double().log_softmax(-1)
    steps = [law[len(before) - 1 + i, token] for i, token in enumerate(row)]
    return float(sum(steps) + law[-1, [*closing, lm.end_id]].logsumexp(0))


def agrees(reading: Reading, expected: dict[str, float]) -> None:
    """All answers, in order, with exact probabilities."""
    assert reading.exact
    assert {a.text: a.log_prob for a in reading.answers} == {
        text: pytest.approx(value, abs=1e-3) for text, value in expected.items()
    }
    ranked = [a.log_prob for a in reading.answers]
    assert ranked == sorted(ranked, reverse=True)
    norm = np.logaddexp.reduce(list(expected.values()))
    for answer in reading.answers:
        wanted = math.exp(expected[answer.text] - norm)
        assert answer.probability == pytest.approx(wanted, rel=1e-3)


def check_causal(lm: CausalLM, reader: SpanReader) -> None:
    pieces = Pieces.of(lm.vocabulary.tokenizer, size=430, end=lm.end_id)
    closing = [t for t in pieces.text.tolist() if pieces.tokens[t][:1] in b"\n\r\v\f\x1c\x1d\x1e"]
    line, written = (
        PASSAGE.replace("\n", " "),
        f"{PASSAGE}\nQ: {QUESTION}\nA:".replace("\n海", " 海"),
    )
    expected = {
        text: float(np.logaddexp.reduce([causal_log_prob(lm, written, r, closing) for r in rows]))
        for text, rows in rows_of(line, pieces, " ").items()
    }
    reading = reader.read(PASSAGE, QUESTION, k=2000, beams=2000)
    agrees(reading, expected)
    places = {a.text: a.places for a in reading.answers}
    assert places["ab"] == ((0, 2), (4, 6)) and places["b 海"] == ((1, 4),)


def test_all_answers_of_a_causal_model_in_exact_order(small_lm: CausalLM) -> None:
    check_causal(small_lm, SpanReader(small_lm, prompt=PROMPT))


@pytest.fixture(scope="module")
def t5() -> tuple[Seq2SeqLM, PreTrainedTokenizerFast]:
    tokenizer = tokenizers.t5()
    torch.manual_seed(0)
    config = T5Config(
        vocab_size=len(tokenizer) + 3, d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2,
        pad_token_id=0, eos_token_id=1, decoder_start_token_id=0, initializer_factor=1.5,
    )  # fmt: skip
    return Seq2SeqLM(T5ForConditionalGeneration(config)), tokenizer


@torch.inference_mode()
def test_all_answers_of_an_encoder_decoder_in_exact_order(t5: Any) -> None:
    lm, tokenizer = t5
    reading = SpanReader(lm, tokenizer).read("sun on", "What shone?", k=1000, beams=1000)
    given = tokenizer("question: What shone? context: sun on", return_tensors="pt")["input_ids"]
    pieces = Pieces.of(tokenizer, size=lm.model.config.vocab_size, end=1)

    def log_prob(row: Row) -> float:
        decoder = torch.tensor([[0, *row]])
        law = lm.model(input_ids=given, decoder_input_ids=decoder).logits[0].double()
        return float(law.log_softmax(-1)[range(len(row) + 1), [*row, 1]].sum())

    expected = {
        text: float(np.logaddexp.reduce([log_prob(row) for row in rows]))
        for text, rows in rows_of("sun on", pieces, " ").items()
        if rows
    }
    assert len(expected) > 10
    agrees(reading, expected)


def test_tokens_that_come_before_every_answer_are_written(t5: Any) -> None:
    lm, tokenizer = t5
    reader = passages.EncodedPassage(lm, tokenizer)
    plain, spaced = reader.begin("sun", "What?")
    assert spaced
    reader._before = [7, 9]
    begun, _ = reader.begin("sun", "What?")
    for token in (7, 9):
        plain = plain.advance(torch.tensor([0]), torch.tensor([token]))
    assert torch.equal(begun.log_z(), plain.log_z())
    assert len(begun) == 1


def test_fewer_beams_find_lower_bounds(small_lm: CausalLM) -> None:
    reader = SpanReader(small_lm, prompt=PROMPT)
    every = {a.text: a.log_prob for a in reader.read(PASSAGE, QUESTION, k=500, beams=999).answers}
    few = reader.read(PASSAGE, QUESTION, k=2, beams=3)
    assert not few.exact and 1 <= len(few.answers) <= 2
    for answer in few.answers:
        assert answer.log_prob <= every[answer.text] + 1e-6
        assert answer.probability > 0


def test_default_prompts_follow_the_question(small_lm: CausalLM) -> None:
    reader = passages.PromptedPassage(small_lm)
    for question, spaced in (("What?", True), ("什么？", False)):
        decoding, after_space = reader.begin("ab {question}", question)
        prompt = passages.PROMPT if spaced else passages.PROMPT_UNSPACED
        text = prompt.replace("{question}", question).replace("{passage}", "ab {question}")
        plain = small_lm.read([small_lm.vocabulary.encode(text.rstrip(" "))])
        assert after_space is spaced
        assert decoding.log_z().tolist() == pytest.approx(plain.log_z().tolist(), abs=1e-4)


@pytest.mark.parametrize(
    ("passage", "question", "options", "why"),
    [
        (" \n", "What?", {}, "the passage is empty"),
        ("ab", "\t", {}, "the question is empty"),
        ("ab", "What?", {"k": 0}, "must be at least 1 and at most beams"),
        ("ab", "What?", {"k": 4, "beams": 3}, "must be at least 1 and at most beams"),
        ("ab", "What?", {"max_length": 0}, "at least 1"),
        ("ab " * 99, "What?", {}, "positions"),
        ("a\ud800", "What?", {}, "Unicode|surrogate"),
    ],
)
def test_what_cannot_be_read(
    placed_lm: CausalLM, passage: str, question: str, options: Any, why: str
) -> None:
    with pytest.raises(InputError, match=why):
        SpanReader(placed_lm).read(passage, question, **options)


@pytest.mark.parametrize("prompt", ["{passage}", "{question}", "{passage} {question} {passage}"])
def test_prompts_with_a_place_missing_or_twice(placed_lm: CausalLM, prompt: str) -> None:
    with pytest.raises(InputError, match="once"):
        SpanReader(placed_lm, prompt=prompt)


def test_models_that_cannot_write(t5: Any) -> None:
    with pytest.raises(InputError, match="tokenizer"):
        SpanReader(t5[0])
    with pytest.raises(InputError, match="cannot generate"):
        SpanReader("gpt2")


def test_places_and_how_they_are_shown(placed_lm: CausalLM) -> None:
    assert places_of("aa", "aaa a") == ((0, 2), (1, 3))
    reading = SpanReader(placed_lm).read("a\x1b[1ma a a a", "What?", k=5)
    shown = as_text(reading)
    assert "\x1b" not in shown and shown.count("\n") == len(reading.answers)
    assert [line.split("  [")[0] for line in shown.splitlines()[:-1]] == [
        a.text.replace("\x1b", " ") for a in reading.answers
    ]
    assert len(as_json(reading, "What?").splitlines()) == len(reading.answers)
