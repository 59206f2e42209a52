from __future__ import annotations

import json

import pytest
import torch

from ergotext.errors import InputError
from ergotext.lm.causal import CausalLM
from ergotext.lm.energies.embedding import load_encoder
from ergotext.lm.energies.overlap import words_of
from ergotext.tasks.budget import Budget
from ergotext.tasks.paraphrase import as_json, encoder_for, others, paraphrase

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
    lines = [json.loads(line) for line in as_json(found, TEXT).splitlines()]
    assert [line["text"] for line in lines] == [s.text for s in found]
    assert {line["paraphrase_of"] for line in lines} == {TEXT}
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


def test_which_encoder() -> None:
    assert encoder_for("some text", "words") is None
    assert encoder_for("一些文字", "auto") is None  # the one that comes knows English
    assert encoder_for("some text", "auto") is not None
    with pytest.raises(InputError, match="no sentence encoder 'nowhere/none'"):
        encoder_for("some text", "nowhere/none")


@pytest.mark.slow
def test_real_paraphrases(smollm2: CausalLM) -> None:
    """Fluent, close in meaning, other words: each by its own measure, and better than the start."""
    text, encoder = "The weather is very nice today, so we want to go to the beach.", load_encoder()
    budget = Budget("annealing", chains=3, steps=40)
    result = paraphrase(text, smollm2, budget, encoder=encoder, progress=False)
    best = others(result, text, 1)[0]
    assert best.terms["similarity"] / 40 < 0.35  # a cosine above 0.7
    assert best.terms["difference"] / 10 < 1.5  # less than three quarters of the runs repeated
    assert best.log_prob / len(best.tokens) > -5
