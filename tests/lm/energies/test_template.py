"""Texts with blanks: read, locked, begun, and sampled exactly on a toy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ergotext.errors import InputError, ModelError
from ergotext.lm.automata.template_chain import Blank
from ergotext.lm.batch import TokenBatch
from ergotext.lm.causal import CausalLM
from ergotext.lm.energies.template import TemplateTerm, template
from ergotext.lm.energies.template_parts import Parts
from ergotext.lm.energies.term import Sum
from ergotext.lm.energies.terms import Length, fluency
from ergotext.lm.loading import load
from ergotext.samplers.chains.metropolis import MetropolisHastings
from ergotext.samplers.chains.moves import EditMoves
from ergotext.samplers.chains.token_proposal import Slot
from ergotext.testing.exhaust import one_aperiodic_class, paths_of_step, stationary, transitions
from ergotext.testing.toy import SPELLING, ToyFluency, ToyScorer, ToyVocabulary, space
from tests.faulty import load_with_fault


@pytest.mark.parametrize(
    ("text", "texts", "fits", "not_"),
    [
        ("The ___ sat on the ___ .", ("The", " sat on the", "."),
         ["The cat sat on the old mat.", "The x sat on the y."],
         ["The sat on the mat.", "The cat sat on the.", "Then cat sat on the mat.",
          "The cat sat on the mat", "The  cat sat on the mat.", "The cat sat on the mat .",
          "The cat\nsat sat on the mat."]),
        ("un___able", ("un", "able"), ["unbelievable", "unbeaten fable"], ["unable", "un do able"]),
        ("___{2} ran.", ("", " ran."), ["A dog ran."], ["Dogs ran.", "A big dog ran."]),
        ("He ___{1,2} it", ("He", " it"), ["He ate it", "He will eat it"],
         ["He would have done it", "Heate it"]),
        ("I ___{2,}.", ("I", "."), ["I am so.", "I am not here."], ["I am.", "I."]),
        ("今天___{2}很好。", ("今天", "很好。"), ["今天天气很好。"],
         ["今天天很好。", "今天大天气很好。"]),
        ("a_b __ ____ c", ("a_b __", " c"), ["a_b __ x c"], ["a_b x c"]),
        ("a (b) ___ *", ("a (b)", " *"), ["a (b) c *"], ["a b c *"]),
    ],
)  # fmt: skip
def test_what_a_template_says(text: str, texts, fits, not_) -> None:
    parts = Parts.of(text)
    assert parts.texts == texts
    for good in fits:
        assert parts.pattern.fullmatch(good), good
    for bad in not_:
        assert not parts.pattern.fullmatch(bad), bad


def test_blanks_and_their_lengths() -> None:
    given = "A ___ b ___{2} c ___{1,} d___{ 2 , 4 } e"
    assert Parts.of(given).blanks == (
        Blank(1, None), Blank(2, 2), Blank(1, None), Blank(2, 4, glued=True),
    )  # fmt: skip
    assert Parts.of("___。").blanks == (Blank(1, None, spaced=False),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("The cat.", "no blank"),
        ("", "no blank"),
        ("The ___ ___ cat", "are adjacent"),
        ("The ___{0} cat", "at least one word"),
        ("The ___{3,2} cat", "minimum is above its maximum"),
        ("The ___{x} cat", "'___{x} cat' has an invalid length"),
        ("The ___{ 2 cat", "invalid length"),
        ("The ___{,3} cat", "invalid length"),
        ("a\x07 ___", "control character"),
    ],
)
def test_what_is_no_template(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        template(text)


@pytest.fixture(scope="module")
def lm(model_folder: Path) -> CausalLM:
    return load(str(model_folder))


@pytest.mark.parametrize(
    "text",
    [
        "The ___ sat on the ___ .",
        "___ beach",
        "dog ___{2}",
        "海滩___很热",
        "un___{1}",
        "海___{2}。",
    ],
)
def test_chains_begin_within(lm: CausalLM, text: str) -> None:
    energy = fluency(lm) + template(text)
    batch = energy.initial(5)
    assert len(batch) == 5 and torch.isfinite(energy(batch)).all()
    assert torch.equal(batch.locked, energy.locked(batch))
    term = template(text).bind(lm)
    for written in lm.decode(batch):
        found = term.parts.fillings(written)
        assert found is not None and len(found) == len(term.parts.blanks)
    given = sum(len(tokens) for tokens in term.spelled)
    assert (batch.locked > 0).sum(1).tolist() == [given] * 5


def test_a_template_without_a_model() -> None:
    with pytest.raises(InputError, match="add it to fluency"):
        template("a ___")(TokenBatch.of([(1,)]))


class Vocabulary(ToyVocabulary):
    def text(self, ids):
        return "".join(SPELLING[token] for token in ids)

    def encode(self, text):
        return self.spell(text)


class Scorer(ToyScorer):
    vocabulary = Vocabulary()


def problem(text: str) -> tuple[Sum, TokenBatch]:
    energy = Sum([(0.8, ToyFluency(Scorer())), (1.0, Length(3, 1.5)), (1.0, template(text))])
    return energy, space(energy, 5)


def deviation(text: str) -> tuple[float, bool]:
    energy, states = problem(text)
    kernel = MetropolisHastings(
        energy, 5, moves=EditMoves(5, (3.0, 2.0, 4.0, 0.0), Slot(top=2, horizon=1))
    )
    value = energy(states)
    matrix = transitions(paths_of_step(kernel, states, value), states)
    pi = stationary(value)
    # Rows that spell what is given in other tokens keep their law, and no chain slips across.
    given = {n for n, part in enumerate(Parts.of(text).texts, 1) if part}
    marked = np.array([set(row) - {0} == given for row in states.locked.tolist()])
    assert marked.any() and not matrix[marked][:, ~marked].any()
    assert (states.locked[~torch.from_numpy(marked)] == 0).all()
    off = float(np.abs(pi @ matrix - pi).max())
    return off, one_aperiodic_class(matrix[marked][:, marked])


@pytest.mark.parametrize("text", ["a ___", "___ c", "a ___ c", "___ b ___", "c ___{1,2} b"])
def test_the_chain_is_exact_on_texts_with_blanks(text: str) -> None:
    """Two tokens spell b: the one that the tokenizer writes is locked, the other may fill."""
    off, one_class = deviation(text)
    assert off < 1e-9 and one_class


def test_what_runs_into_a_given_word_is_refused(lm: CausalLM) -> None:
    """The string decides, not the tokens: "Then" is not "The" with something behind it."""
    energy = fluency(lm) + template("The ___ dog")
    good = energy.initial(1).rows()[0]
    at = len(template("The ___ dog").bind(lm).spelled[0])
    joined = lm.vocabulary.encode("n")
    bad = (*good[:at], *joined, *good[at + 1 :])
    assert template("The ___ dog").bind(lm)._places(bad) is not None
    assert energy(TokenBatch.of([bad]))[0] == torch.inf
    module = load_with_fault(
        "lm.energies.template",
        ("[self.parts.filled(text) for text in texts]",
         "[self._places(row) is not None for row in batch.rows()]"),
    )  # fmt: skip
    assert module.TemplateTerm("The ___ dog", lm)(TokenBatch.of([bad]))[0] == 0


def check_places(make: Callable[[str], TemplateTerm]) -> None:
    """The word of a blank may be that which is given behind it: the blank comes first."""
    for text, row, marks in (
        ("a ___ b ___ c", (1, 3, 3, 3, 2), [1, 0, 2, 0, 3]),
        ("a ___ b ___ c", (1, 3, 2, 3, 3, 2), [1, 0, 0, 2, 0, 3]),
    ):
        assert make(text).bind(Scorer()).locked(TokenBatch.of([row])).tolist() == [marks]
    assert make("a ___ b ___ c").bind(Scorer()).locked(TokenBatch.of([(1, 3, 3, 2)])).sum() == 0


def test_a_blank_is_never_empty() -> None:
    check_places(template)


@pytest.mark.parametrize("step", ["at += 0", "at += 2"])
def test_another_beginning_of_what_follows_a_blank_is_caught(step: str) -> None:
    faulty = load_with_fault("lm.energies.template", ("at += 1  # a blank", f"{step}  # a blank"))
    with pytest.raises(AssertionError):
        check_places(faulty.TemplateTerm)


@pytest.mark.parametrize("text", ["___{99999999}", "a ___{99999999}", "夏___{99999999}天"])
def test_more_words_than_can_be_written_are_refused_at_once(
    lm: CausalLM, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_word, calls = TemplateTerm._with_word, []

    def counted(*given: Any) -> list[list[int]]:
        calls.append(given)
        assert len(calls) < 500
        return with_word(*given)

    monkeypatch.setattr(TemplateTerm, "_with_word", counted)
    with pytest.raises((InputError, ModelError)):
        (fluency(lm) + template(text)).initial(2)
