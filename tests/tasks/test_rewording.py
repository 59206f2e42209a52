"""The model after a text that it is asked to say in other words."""

from __future__ import annotations

import pytest

from ergotext.lm.batch import TokenBatch
from ergotext.lm.causal import CausalLM
from ergotext.tasks import rewording as task
from ergotext.tasks.rewording import rewording
from tests.tasks.prompts import read_before


def context(lm: CausalLM, text: str, room: int) -> str:
    return read_before(rewording(text, lm, room, single=True).scorer)


def test_examples_go_where_the_window_is_short(placed_lm: CausalLM) -> None:
    assert context(placed_lm, "The sun shone.", 20) == "Sentence: The sun shone.\nIn other words:"
    assert context(placed_lm, "太阳", 20) == "句子：太阳\n换句话说："
    # Braces of a text are its own.
    assert "{said} {text}" in context(placed_lm, "{said} {text}", 20)


def test_the_text_comes_last(placed_lm: CausalLM, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task, "EXAMPLES", [("A b.", "B a."), ("C d.", "D c.")])
    last = "Sentence: The sun.\nIn other words:"
    second = f"Sentence: C d.\nIn other words: D c.\n\n{last}"
    whole = f"Sentence: A b.\nIn other words: B a.\n\n{second}"
    for expected in (whole, second, last):
        room = placed_lm.max_positions - 1 - len(placed_lm.vocabulary.encode(expected))
        assert context(placed_lm, "The sun.", room) == expected


def test_texts_end_with_a_sentence_or_a_line(placed_lm: CausalLM) -> None:
    encode = placed_lm.vocabulary.encode
    two = TokenBatch.of([encode(" It is. It was."), encode(" It\nis")])
    single = rewording("It is.", placed_lm, 20, single=True)(two)
    lines = rewording("It is. It was.", placed_lm, 20, single=False)
    assert single[0].isinf() and single[1].isfinite()
    assert lines(two)[0].isfinite() and lines(two)[1].isinf()
    # The mass of all that begins a line is the end's.
    scorer, row = lines.scorer, TokenBatch.of([encode(" It is.")])
    # The scorer of lines has a model within; the protocol of scorers does not say so.
    plain = scorer.lm.next_log_prob(row, row.length)[0]  # type: ignore[attr-defined]
    ends = [t for t in range(430) if placed_lm.vocabulary.text([t]).startswith(("\n", "\r"))]
    assert ends
    ended = scorer.next_log_prob(row, row.length)[0]
    assert ended[scorer.end_id].exp() >= plain[[*ends, scorer.end_id]].exp().sum() - 1e-9
