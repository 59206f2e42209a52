"""The model, asked for a sentence with some words."""

from __future__ import annotations

import pytest
import torch

from ergotext.lm.batch import TokenBatch
from ergotext.lm.causal import CausalLM
from ergotext.lm.endings.sentence import one_sentence
from ergotext.lm.energies.keywords import keywords
from ergotext.lm.energies.template import Parts
from ergotext.lm.energies.terms import fluency
from ergotext.lm.tokenizers.vocabulary import Vocabulary
from ergotext.support.words import count_words, holds_words
from ergotext.tasks import request as task
from ergotext.tasks import request_examples as made
from ergotext.tasks.request import sentence_with, text_filled
from tests.tasks.prompts import read_before


def said(lm: CausalLM, *words, room: int = 10, **options) -> str:
    """The whole request."""
    return read_before(sentence_with(list(words), lm, room, **options).scorer)


def test_the_words_are_asked_for(placed_lm: CausalLM, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task, "WORDS", ())
    monkeypatch.setattr(task, "WORDS_UNSPACED", ())
    assert said(placed_lm, "dog", ("ran", "runs")) == "Words: dog, ran\nSentence:"
    assert said(placed_lm, " 狗 ", "dog") == "词语：狗、dog\n句子："
    # What stands in braces is the user's own.
    assert said(placed_lm, "{said}") == "Words: {said}\nSentence:"
    monkeypatch.setattr(task, "WORDS", [("b, a", "An a and b.")])
    monkeypatch.setattr(task, "WORDS_UNSPACED", [("狗、书", "书和狗。")])
    last = "Words: dog\nSentence:"
    assert said(placed_lm, "dog") == f"Words: b, a\nSentence: An a and b.\n\n{last}"
    ordered = said(placed_lm, "dog", in_order=True)
    assert ordered == f"Words: a, b\nSentence: An a and b.\n\n{last}"
    assert said(placed_lm, "猫").startswith("词语：狗、书\n句子：书和狗。\n\n词语：猫")
    assert said(placed_lm, "dog", context="  It {words}. ").endswith(f"\n\n{last} It {{words}}.")


@pytest.mark.parametrize(("examples", "comma"), [(made.WORDS, ", "), (made.WORDS_UNSPACED, "、")])
def test_sentences_hold_their_words(examples: made.Examples, comma: str) -> None:
    for words, sentence in examples:
        assert holds_words(sentence, words.split(comma), True), sentence
        assert one_sentence(sentence) and count_words(sentence) <= 22  # of Chinese, characters
    assert len(examples) == 10


@pytest.mark.parametrize("examples", [made.FILLED, made.FILLED_UNSPACED])
def test_filled_texts_keep_what_is_given(examples: made.Examples) -> None:
    for text, filled in examples:
        blanks = Parts.of(text).fillings(filled)
        assert blanks and all(blanks), filled
        assert one_sentence(filled)


def test_a_text_is_asked_for_with_its_blanks(
    placed_lm: CausalLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task, "FILLED", (("___ b ___.", "A b c."), ("___.", "D.")))

    def asked(text: str, room: int = 10, context: str = "") -> str:
        return read_before(text_filled(text, placed_lm, room, context=context).scorer)

    most = placed_lm.max_positions - 1
    last = "Blanks: ___.\nText: D.\n\nBlanks: ___\nText:"
    assert asked("___", most - len(placed_lm.vocabulary.encode(last))) == last
    assert asked("___", most - 3, "It") == "It"  # no room for the request
    monkeypatch.setattr(task, "FILLED", ())
    monkeypatch.setattr(task, "FILLED_UNSPACED", ())
    assert asked("The ___ ran.", context="It is.") == "Blanks: The ___ ran.\nText: It is."
    assert asked("___跑了。") == "填空：___跑了。\n句子："


def test_where_no_sentence_ends_it_a_line_does(placed_lm: CausalLM) -> None:
    term = sentence_with(["dog"], placed_lm, 20, end="token")
    rows = [placed_lm.vocabulary.encode(text) for text in (" It is. It was.", " It\nis.")]
    one, two = term(TokenBatch.of(rows)).isfinite().tolist()
    assert one and not two


def test_it_is_the_model_after_the_request(placed_lm: CausalLM) -> None:
    term = sentence_with(["dog"], placed_lm, 20, context="It rained.")
    batch = TokenBatch.of([placed_lm.vocabulary.encode(t) for t in (" A dog.", " It is")])
    model = fluency(placed_lm, said(placed_lm, "dog", room=20, context="It rained."), "sentence")
    torch.testing.assert_close(term(batch), model(batch))
    assert (term.name, term.lowest) == ("request", 0.0)


def test_one_automaton_serves_both_terms(placed_lm: CausalLM) -> None:
    """It is the dearest part of a search, and knows of the model the tokenizer alone."""
    first = keywords(["dog"], True).bind(placed_lm)
    assert first.bind(placed_lm) is first
    automaton = first.automaton
    second = first.bind(sentence_with(["dog"], placed_lm, 20).scorer)
    assert second is not first and second.automaton is automaton
    vocabulary = Vocabulary(placed_lm.vocabulary.tokenizer, 430)
    other = CausalLM(placed_lm.model, vocabulary, placed_lm.start_id, 2)
    assert first.bind(other).automaton is not automaton  # it has another end
