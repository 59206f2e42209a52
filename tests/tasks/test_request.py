"""The model, asked for a sentence with some words."""

from __future__ import annotations

import pytest
import torch

from ergotext.lm.batch import TokenBatch
from ergotext.lm.causal import CausalLM
from ergotext.lm.energies.keywords import keywords
from ergotext.lm.energies.terms import fluency
from ergotext.lm.tokenizers.vocabulary import Vocabulary
from ergotext.support.words import count_words, holds_words
from ergotext.tasks import request as task
from ergotext.tasks.request import requested


def said(lm: CausalLM, *words, room: int = 10**6, **options) -> str:
    """The whole request."""
    scorer = requested(list(words), lm, room, **options).scorer
    return lm.vocabulary.text(scorer.context)  # type: ignore[attr-defined]  # of a CausalLM


def test_the_words_are_asked_for(placed_lm: CausalLM, monkeypatch: pytest.MonkeyPatch) -> None:
    assert said(placed_lm, "dog", ("ran", "runs")) == "Words: dog, ran\nSentence:"
    assert said(placed_lm, " 狗 ", "dog") == "词语：狗、dog\n句子："
    # What stands in braces is the user's own.
    assert said(placed_lm, "{said}") == "Words: {said}\nSentence:"
    monkeypatch.setattr(task, "EXAMPLES", [("b, a", "An a and b.")])
    monkeypatch.setattr(task, "EXAMPLES_UNSPACED", [("狗、书", "书和狗。")])
    last = "Words: dog\nSentence:"
    assert said(placed_lm, "dog", room=10) == f"Words: b, a\nSentence: An a and b.\n\n{last}"
    ordered = said(placed_lm, "dog", room=10, in_order=True)
    assert ordered == f"Words: a, b\nSentence: An a and b.\n\n{last}"
    assert said(placed_lm, "猫", room=10).startswith("词语：狗、书\n句子：书和狗。\n\n词语：猫")
    assert said(placed_lm, "dog", context="  It {words}. ") == f"{last} It {{words}}."


@pytest.mark.parametrize(
    ("examples", "comma"), [(task.EXAMPLES, ", "), (task.EXAMPLES_UNSPACED, "、")]
)
def test_examples_do_what_they_show(examples, comma: str) -> None:
    for words, sentence in examples:
        assert holds_words(sentence, words.split(comma), True), sentence
        assert count_words(sentence) <= 22  # of Chinese, characters
    assert len(examples) == 10


def test_it_is_the_model_after_the_request(placed_lm: CausalLM) -> None:
    term = requested(["dog"], placed_lm, 20, context="It rained.")
    batch = TokenBatch.of([placed_lm.vocabulary.encode(t) for t in (" A dog.", " It is")])
    model = fluency(placed_lm, said(placed_lm, "dog", room=20, context="It rained."), "sentence")
    torch.testing.assert_close(term(batch), model(batch))
    assert (term.name, term.lowest) == ("request", 0.0)


def test_one_automaton_serves_both_terms(placed_lm: CausalLM) -> None:
    """It is the dearest part of a search, and knows of the model the tokenizer alone."""
    first = keywords(["dog"], True).bind(placed_lm)
    assert first.bind(placed_lm) is first
    automaton = first.automaton
    second = first.bind(requested(["dog"], placed_lm, 20).scorer)
    assert second is not first and second.automaton is automaton
    vocabulary = Vocabulary(placed_lm.vocabulary.tokenizer, 430)
    other = CausalLM(placed_lm.model, vocabulary, placed_lm.start_id, 2)
    assert first.bind(other).automaton is not automaton  # it has another end
