"""Texts with blanks, grown as answers to a request, on a small model."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import ergotext as et
from ergotext.lm.batch import TokenBatch
from ergotext.lm.causal import CausalLM
from ergotext.lm.energies.template import Parts
from ergotext.lm.energies.terms import fluency
from ergotext.tasks import infill as task
from ergotext.tasks.budget import Budget
from ergotext.tasks.demands import CONTEXT
from ergotext.tasks.request import text_filled
from ergotext.tasks.selection import chosen, merit
from tests.faulty import load_with_fault

GIVEN = "The ___ sat on the ___{1,2}."
SMALL = Budget(particles=24, seed=3)


@pytest.fixture(scope="module")
def lm(model_folder: Path) -> CausalLM:
    return et.load(str(model_folder))


def test_fillings_have_the_energy_of_both_laws(lm: CausalLM) -> None:
    result = task.infill(GIVEN, lm, SMALL, context="It is.", progress=False)
    best = chosen(result, 5)
    assert best and [merit(one) for one in best] == sorted(map(merit, best), reverse=True)
    fluent = fluency(lm, "It is.", "sentence")
    request = text_filled("The ___ sat on the ___.", lm, 30, context="It is.")
    for one in best:
        fillings = Parts.of(GIVEN).fillings(one.text)
        assert fillings and all(fillings), one.text
        batch = TokenBatch.of([one.tokens])
        assert one.log_prob == pytest.approx(-float(fluent(batch)[0]), abs=1e-4)
        own, asked = one.terms["fluency"], one.terms["request"]
        assert asked == pytest.approx(float(request(batch)[0]), abs=1e-4)
        assert one.energy == pytest.approx(own + asked, abs=1e-4)


class Copying:
    """A model by which a blank is the likeliest of all fillings."""

    def __init__(self, lm: CausalLM) -> None:
        self._lm, self._blank = lm, lm.vocabulary.encode(" ___")

    def __getattr__(self, name: str) -> object:
        return getattr(self._lm, name)

    def given(self, context: str) -> Copying:
        return Copying(self._lm.given(context))

    def in_precision(self, name: str) -> Copying:
        return self

    def next_log_prob(self, batch: TokenBatch, position: torch.Tensor) -> torch.Tensor:
        law = self._lm.next_log_prob(batch, position).clone()
        law[:, self._blank] += 9
        return law.log_softmax(1)

    def token_log_prob(self, batch: TokenBatch) -> torch.Tensor:
        scores = self._lm.token_log_prob(batch)
        for row, tokens in zip(scores, batch.rows(), strict=True):
            for place, token in enumerate(tokens):
                row[place] += 3.0 * (token in self._blank)
        return scores

    def log_prob(self, batch: TokenBatch) -> torch.Tensor:
        return self.token_log_prob(batch).sum(1)


@pytest.mark.parametrize("fault", [None, ('if "___" in text else', 'if "____" in text else')])
def test_a_blank_does_not_fill_a_blank(
    lm: CausalLM, monkeypatch: pytest.MonkeyPatch, fault: tuple[str, str] | None
) -> None:
    module = task if fault is None else load_with_fault("tasks.infill", fault)
    result = module.infill("The ___ ran.", Copying(lm), Budget(particles=48), progress=False)
    copied = [one.text for one in chosen(result, 48) if "___" in one.text]
    assert bool(copied) == (fault is not None), copied
    assert len(chosen(result, 48))


def test_edits_know_of_no_request(lm: CausalLM) -> None:
    edits = Budget("annealing", chains=2, steps=8)
    result = task.infill(GIVEN, lm, edits, progress=False)
    (best,) = result.best(1)
    assert "request" not in best.terms
    alone = fluency(lm, CONTEXT)
    assert best.log_prob == pytest.approx(-float(alone(TokenBatch.of([best.tokens]))[0]), abs=1e-4)
