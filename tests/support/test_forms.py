"""Inflected forms of English words."""

from __future__ import annotations

import sys

import pytest

from ergotext.errors import InputError
from ergotext.support.forms import forms, with_forms
from tests.faulty import load_with_fault

WORDS = [
    ("throw", "throws threw thrown throwing"),
    ("threw", "throw throws thrown throwing"),
    ("sit", "sits sat sitting"),
    ("mouse", "mice"),
    ("mice", "mouse"),
    ("child", "children"),
    ("beach", "beaches beached beaching"),
    ("be", "am is are was were been being"),
    ("left", "leave leaves leaving lefts"),
    ("Sit", "Sits Sat Sitting"),
    ("Mice", "Mouse"),
    ("sheep", ""),
    ("frisbee", "frisbees"),  # in no dictionary
    ("frisbees", "frisbee"),
    ("Zzyzxa", ""),  # a name
    ("NASA", ""),
    ("SAT", ""),
    ("iPhone", ""),
    ("ice cream", ""),
    ("throw away", ""),
    ("海滩", ""),
    ("café", ""),
    ("7", ""),
    ("quickly", ""),
]


@pytest.mark.parametrize(("word", "others"), WORDS)
def test_forms(word: str, others: str) -> None:
    found = forms(word)
    assert found[0] == word and len(set(found)) == len(found)
    assert set(found[1:]) == set(others.split())


def test_forms_of_keywords_come_after_what_was_given() -> None:
    assert with_forms([("sat", "stood"), "mouse"])[1] == ("mouse", "mice")
    both = with_forms([("sat", "stood")])[0]
    assert both[:2] == ("sat", "stood") and {"sit", "stand", "standing"} <= set(both)


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lemminflect", None)
    with pytest.raises(InputError, match="lemminflect is not installed"):
        forms("blanket")


FAULTS = {
    "a form of the lemma stands first": ("[word, *(found", "[*(found"),
    "names have a plural": ("guess=word == plain", "guess=True"),
    "what is no noun and no verb is taken for a noun": ("if guess and not lemmas:", "if guess:"),
    "only nouns have forms": ('INFLECTED = ("NOUN", "VERB")', 'INFLECTED = ("NOUN",)'),
    "forms lose the capital": ("map(str.capitalize, found)", "found"),
    "abbreviations have forms": (" or word not in (plain, plain.capitalize())", ""),
    "an alternative has no forms": ("for word in given for form", "for word in given[:1] for form"),
    "forms come before what was given": (
        "[*given, *(form for word in given for form in forms(word))]",
        "[form for word in given for form in forms(word)]",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_noticed(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = load_with_fault("support.forms", FAULTS[fault])
    monkeypatch.setitem(globals(), "forms", module.forms)
    monkeypatch.setitem(globals(), "with_forms", module.with_forms)
    with pytest.raises(AssertionError):
        check_all()


def check_all() -> None:
    for word, others in WORDS:
        test_forms(word, others)
    test_forms_of_keywords_come_after_what_was_given()
