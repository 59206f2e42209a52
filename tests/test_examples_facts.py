"""The base of facts that ships, and the templates of questions: format, size, tongues."""

from __future__ import annotations

import json
import re
import unicodedata
from pathlib import Path

import pytest

from tests.paths import ROOT

FACTS = ROOT / "examples" / "facts.tsv"
TEMPLATES = {tongue: ROOT / "training" / f"questions_{tongue}.tsv" for tongue in ("en", "zh")}
CHINESE = re.compile(r"[\u4e00-\u9fff]")
QUESTIONS = ROOT / "examples" / "questions.jsonl"
SYNONYMS = ROOT / "training" / "synonyms_zh.tsv"


def rows(path: Path, columns: int) -> list[tuple[str, ...]]:
    """The lines' fields, found to be well-formed."""
    text = path.read_bytes().decode("utf-8")
    assert text.endswith("\n") and "\r" not in text
    lines = text[:-1].split("\n")
    assert len(set(lines)) == len(lines), "a line stands twice"
    fields = [tuple(line.split("\t")) for line in lines]
    for line, row in zip(lines, fields, strict=True):
        assert len(row) == columns, line
        assert all(field and field == field.strip() for field in row), line
        assert unicodedata.is_normalized("NFC", line), line
        assert not any(unicodedata.category(c) in ("Cc", "Cf") for c in "".join(row)), line
    return fields


def test_facts_are_well_formed() -> None:
    facts = rows(FACTS, 3)
    subjects = {subject for subject, _, _ in facts}
    chinese = sum(bool(CHINESE.search(subject)) for subject, _, _ in facts)
    assert len(facts) >= 600 and 0.4 < chinese / len(facts) < 0.6
    for subject in subjects:
        assert subject.count("（") == subject.count("）") <= 1, subject
        assert re.fullmatch(r"[^（）]+(（[^（）]+）)?", subject), subject


def test_choosing_matters() -> None:
    """Every subject has several predicates, and some keys several objects."""
    facts = rows(FACTS, 3)
    predicates: dict[str, set[str]] = {}
    for subject, predicate, _ in facts:
        predicates.setdefault(subject, set()).add(predicate)
    assert all(len(of) >= 2 for of in predicates.values())
    keys = [fact[:2] for fact in facts]
    assert len(set(keys)) < len(keys)
    names = [subject.partition("（")[0] for subject in predicates]
    assert len(set(names)) < len(names), "no homonyms"


@pytest.mark.parametrize("tongue", TEMPLATES)
def test_templates_are_well_formed(tongue: str) -> None:
    for predicate, template in rows(TEMPLATES[tongue], 2):
        assert template.count("{subject}") == 1, (predicate, template)
        assert not re.search(r"[{}@]", template.replace("{subject}", "")), template
        assert bool(CHINESE.search(template)) == (tongue == "zh"), template
        assert template.endswith("?") == (tongue == "en"), template


@pytest.mark.parametrize("tongue", TEMPLATES)
def test_templates_paraphrase(tongue: str) -> None:
    """Most do not contain their predicate, and every predicate has a choice."""
    templates = rows(TEMPLATES[tongue], 2)
    verbatim = sum(predicate in template for predicate, template in templates)
    assert verbatim < 0.2 * len(templates)
    counts: dict[str, int] = {}
    for predicate, _ in templates:
        counts[predicate] = counts.get(predicate, 0) + 1
    assert min(counts.values()) >= 4 and len(counts) >= 300


def test_every_predicate_of_the_facts_has_templates() -> None:
    asked = {predicate for tongue in TEMPLATES for predicate, _ in rows(TEMPLATES[tongue], 2)}
    assert {predicate for _, predicate, _ in rows(FACTS, 3)} <= asked


def test_questions_are_answered_by_the_facts() -> None:
    facts = {fact[:2]: fact[2] for fact in reversed(rows(FACTS, 3))}
    asked = [json.loads(line) for line in QUESTIONS.read_text(encoding="utf-8").splitlines()]
    assert len(asked) > 50 and len({one["id"] for one in asked}) == len(asked)
    for one in asked:
        subject, predicate, value = one["answer"].split(" ||| ")
        assert facts[subject, predicate] == value
        assert subject.partition("（")[0] in one["question"], one


def test_synonyms_are_well_formed() -> None:
    lines = SYNONYMS.read_text(encoding="utf-8").splitlines()
    groups = [line.split("\t") for line in lines]
    assert len(groups) > 3000 and len({frozenset(group) for group in groups}) == len(groups)
    for group in groups:
        assert len(group) >= 2 and len(set(group)) == len(group), group
        assert all(re.fullmatch(r"[\u4e00-\u9fff]+", word) for word in group), group
