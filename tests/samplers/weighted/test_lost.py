"""Draws that all have weight zero: the error says what they lack, and what would do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import ergotext as et
from ergotext.errors import InputError
from ergotext.lm.automata import KeywordCoverage, Pieces, json_schema, regex, union
from ergotext.lm.automata.combine import intersection
from ergotext.lm.batch import TokenBatch
from ergotext.lm.causal import CausalLM
from ergotext.lm.energies.matches import matches, pieces_of
from ergotext.lm.tokenizers.characters import Alphabet
from ergotext.samplers import demanded
from ergotext.samplers.weighted.samples import ZeroWeightError
from tests.faulty import load_with_fault

SCHEMA = {"type": "array", "items": {"const": "zebra"}, "minItems": 3}
KINDS: dict[str, tuple[Any, str]] = {
    "keyword": (et.keywords(["zebra"]), "contains 'zebra'"),
    "alternatives": (et.keywords([("zebra", "zebras")]), "contains 'zebra|zebras'"),
    "expression": (matches("zebra{2,3}"), "matches the expression 'zebra{2,3}'"),
    "length window": (et.keywords([], words_between=(12, 12)), "has 12 to 12 words"),
}


@pytest.fixture(scope="module")
def lm(placed_lm: CausalLM) -> CausalLM:
    return placed_lm


def lost(energy: Any, sampler: str = "smc", **options: Any) -> str:
    """What the one-line error says."""
    given = {"n": 6, "max_length": 12, "proposal": "model"} | options
    with pytest.raises(ZeroWeightError, match="draws have weight zero") as error:
        et.sample(energy, sampler, progress=False, **given)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("sampler", ["smc", "importance"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_killed_them_is_named(lm: CausalLM, kind: str, sampler: str) -> None:
    term, says = KINDS[kind]
    energy = et.fluency(lm) + term
    said = lost(energy, sampler)
    assert f"within 12 tokens 6 were no text that {says}; the shortest text that" in said, said
    (least,) = energy.automaton.least(energy.automaton.start(1))
    assert f"takes at least {least} token" in said, said


def test_a_schema_is_named_and_a_text_that_would_do(lm: CausalLM) -> None:
    said = lost(et.fluency(lm) + matches(json_schema(SCHEMA, pieces_of(lm))), max_length=60)
    assert '6 were no text that fits the JSON schema \'{"type": "array"' in said
    assert "the shortest text that would do takes at least" in said and "is known)" in said


def test_excluded_words_are_named(lm: CausalLM) -> None:
    """Texts that end in an excluded word, or go on after it, as they stood when they died."""
    automaton = (et.fluency(lm) + et.keywords(["dog"], without=["sun"])).automaton
    rows = [lm.vocabulary.encode(text) for text in (" dog sun", " sun ran", " dog ran")]
    said = demanded.shortfall(automaton, TokenBatch.of(rows), np.array([False, False, True]))
    assert said.startswith(
        "2 were no text that is without 'sun'; 1 were no text that contains 'dog'; 1 went on to no "
        "text that contains 'dog' and is without 'sun'; the shortest text"
    )


def test_the_demands_of_several_terms(lm: CausalLM) -> None:
    pieces = pieces_of(lm)
    word = et.keywords(["dog"]).bind(lm).automaton
    both = intersection(word, regex("[a-z ]+", pieces))
    rows = [lm.vocabulary.encode(text) for text in (" dog", " sun")]
    said = demanded.shortfall(both, TokenBatch.of(rows))
    assert said.startswith(
        "1 were no text that contains 'dog'; 1 satisfied the constraint and have"
    )
    assert demanded.demanded(union(regex("a", pieces), regex("b+", pieces))) == (
        "matches the expression 'a', or matches the expression 'b+'"
    )


def test_the_padding_of_a_row_is_none_of_it() -> None:
    pieces = Pieces(Alphabet(4, 3, 2), [b"a", b"b"])
    automaton = KeywordCoverage(["b"], pieces)
    said = demanded.shortfall(automaton, TokenBatch.of([(1,), (0, 1)]))
    assert said.startswith("1 were no text that contains 'b'; 1 satisfied the constraint and")


def test_another_term_of_the_energy(lm: CausalLM) -> None:
    never = et.custom(lambda texts: torch.full((len(texts),), torch.inf), "never")
    said = lost(et.fluency(lm) + matches("[a-z]?") + never, proposal="masked")
    assert "6 satisfied the constraint and have weight zero by the model or by another term" in said


def test_what_cannot_be_is_named_before_the_run(lm: CausalLM) -> None:
    energy = et.fluency(lm) + et.keywords(["summer", "dog"], any_order=True, without=["sun"])
    says = "the shortest text that contains 'summer' and contains 'dog' and is without 'sun' has"
    with pytest.raises(InputError, match=says):
        et.sample(energy, "smc", max_length=1, progress=False)


def test_chains_of_particles_say_it_too(lm: CausalLM) -> None:
    never = et.custom(lambda texts: torch.full((len(texts),), torch.inf), "never")
    energy = et.fluency(lm) + matches("[a-z]?") + never
    with pytest.raises(ZeroWeightError, match="of the last of each, 2 satisfied the constraint"):
        et.sample(
            energy, "pimh", chains=2, steps=1, max_length=3, proposal="masked", progress=False
        )


FAULTS = {
    "the demand met most often": ("np.argsort(-missing", "np.argsort(missing"),
    "met demands are told": ("if missing[n]][:NAMED]", "if True][:NAMED]"),
    "refused tokens are forgotten": ("(accepted & refused)", "(accepted & ~accepted)"),
    "what follows the end of a row is read": ("(column < length) & (after >= 0)", "(after >= 0)"),
    "a refused token is a state": ("(column < length) & (after >= 0)", "(column < length)"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_tests_see_a_fault(lm: CausalLM, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    faulty = load_with_fault("samplers.demanded", FAULTS[fault])
    monkeypatch.setattr(demanded, "shortfall", faulty.shortfall)
    with pytest.raises(AssertionError):
        all_of_it(lm)


def all_of_it(lm: CausalLM) -> None:
    test_excluded_words_are_named(lm)
    test_the_demands_of_several_terms(lm)
    test_the_padding_of_a_row_is_none_of_it()
