"""Answers of two steps: paths over two entries."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest

import ergotext as et
from ergotext.lm.trie.schema import TRIPLES
from ergotext.tasks.retrieval import retriever as retriever_module
from ergotext.tasks.retrieval import two_steps as module
from ergotext.tasks.retrieval.bearing import QuestionKey, words_of
from ergotext.tasks.retrieval.calibration import PATHS, Calibration
from ergotext.tasks.retrieval.candidates import Candidates
from ergotext.tasks.retrieval.none_features import FEATURES
from ergotext.tasks.retrieval.results import Hits
from ergotext.tasks.retrieval.retriever import Retriever
from tests.faulty import load_with_fault
from tests.tasks.retrieval.table_reader import TableReader

LINES = [
    ("France", "capital", "Paris"), ("France", "currency", "euro"), ("France", "king", "Nobody"),
    ("Paris", "mayor", "Anne"), ("Paris", "river", "Seine"), ("Paris", "river", "Marne"),
    ("Seine", "mouth", "Havre"), ("Rome", "patron", "Mercury（god）"),
    ("Mercury（god）", "father", "Zeus"), ("Mercury（planet）", "moons", "0"),
    ("Mercury（planet）", "father", "Sun"), ("Ship", "patron", "Mercury（planet）"),
    ("Emile", "novel", "《Nana》"), ("Rome", "king", "Nana II"), ("Nana", "author", "Zola"),
]  # fmt: skip
WHO = frozenset(["who", "what", "is", "the", "of"])
DRAWN = dict(zip(PATHS, (-1.0, 0.5, 0.7, -0.3, 0.4), strict=True))
MAYOR = "Who is the mayor of the capital of France?"


def ahead(question: str, keys: Candidates) -> np.ndarray:
    """30 for an entry whose predicate stands in the question."""
    there = words_of(question)
    return np.array([30.0 * there.count(predicate) for predicate in keys.predicates])


def calibration(odds: float = 0.4, paths: dict[str, float] = DRAWN) -> Calibration:
    weights = {name: odds * (name == "one") for name in FEATURES}
    return Calibration(12.0, weights, WHO, 10.0, paths=paths)


def retriever(lines: list[tuple[str, str, str]] = LINES) -> Retriever:
    keys = [(TRIPLES.key_text(s, p), o) for s, p, o in lines]
    reader = TableReader([key for key, _ in keys])
    return Retriever(reader, et.build_trie(keys, reader.keys), triples=True)


@pytest.fixture(scope="module")
def base() -> Retriever:
    return retriever()


def asked(base: Retriever, question: str, odds: float = 0.4, **how: object) -> Hits:
    how = {"calibration": calibration(odds), "threshold": 0.0} | how
    (hits,) = base.retrieve([question], 9, lookahead=ahead, **how)
    return hits


def test_a_path(base: Retriever) -> None:
    hits = asked(base, MAYOR)
    (path,) = [hit for hit in hits if hit.then is not None]
    assert (path.text, path.values) == ("France\tcapital", ["Paris"])
    assert path.then is not None and path.then.fields == {"subject": "Paris", "predicate": "mayor"}
    assert path.then.values == ["Anne"] and path.then.text == "Paris\tmayor"
    assert path.line() == f"  {path.probability:.3f}  France\tcapital\tParis\tmayor\tAnne"
    told = json.loads(hits.json(MAYOR))["results"]
    assert next(one for one in told if one["then"])["then"]["values"] == ["Anne"]
    assert [hit.probability for hit in hits] == sorted((h.probability for h in hits), reverse=True)


def test_the_outer_question(base: Retriever) -> None:
    (keys,), _ = base.spotter.find([MAYOR], other_letters=True)
    values = ahead(MAYOR, keys)
    steps = module.TwoSteps(base.spotter, base.schema, ahead, calibration())
    ((path,), none) = steps(
        [QuestionKey(MAYOR, keys, int(np.argmax(values)))] * 2,
        [values, np.full(len(keys), -np.inf)],
    )
    assert path.second.question == "Who is the mayor of the Paris?" and not none
    mention = path.second.mention
    assert mention is not None and path.second.question[mention.start : mention.stop] == "Paris"


def test_shares(base: Retriever) -> None:
    plain = asked(base, MAYOR, calibration=calibration(paths={}))
    hits = asked(base, MAYOR)
    (path,) = [hit for hit in hits if hit.then is not None]
    weights = np.array([*DRAWN.values()])
    # 30 of each predicate, at a unit of 10: rest 3, word 3, and 3 before the other entry
    odds = np.exp(weights @ [1.0, 3 / 3, 3 / 3, 3 / 3, 3 / 3])
    assert path.probability == pytest.approx(plain.none * odds / (1 + odds))
    assert hits.none == pytest.approx(plain.none / (1 + odds))
    single = [hit for hit in hits if hit.then is None]
    assert [h.probability for h in single] == [h.probability for h in plain]
    assert sum(hit.probability for hit in hits) + hits.none == pytest.approx(1.0)


def test_what_is_between(base: Retriever) -> None:
    for question, value, second in (
        ("Who is the father of the patron of Rome?", "Mercury（god）", "Mercury（god）\tfather"),
        (
            "Who is the father of the patron of Ship?",
            "Mercury（planet）",
            "Mercury（planet）\tfather",
        ),
        ("Who is the author of the novel of Emile?", "《Nana》", "Nana\tauthor"),
        ("What is the mouth of the river of Paris?", "Seine", "Seine\tmouth"),
    ):
        (path,) = [hit for hit in asked(base, question) if hit.then is not None]
        assert path.values == [value] and path.then is not None and path.then.text == second


def test_no_second_step(base: Retriever) -> None:
    for question in (
        "What is the capital of France?",
        "Who is the mayor of the currency of France?",
        "Who is the mayor of France?",
        "Who is the author of the king of Rome?",
    ):
        assert not [hit for hit in asked(base, question) if hit.then is not None]


def test_only_where_an_entry_may_not_do(base: Retriever, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    real = module.TwoSteps.__call__

    def counted(self: module.TwoSteps, choices: list, potentials: list) -> list:
        calls.append(len(choices))
        return real(self, choices, potentials)

    monkeypatch.setattr(module.TwoSteps, "__call__", counted)
    gate = float(np.log(module.GATE / (1 - module.GATE)))
    for odds, some in ((gate - 0.01, 0), (gate + 0.01, 1)):
        calls.clear()
        asked(base, MAYOR, odds)
        assert sum(calls) == some
    calls.clear()
    asked(base, MAYOR, calibration=calibration(paths={}))
    asked(base, MAYOR, calibration=None, model_probability=True)
    assert not calls


def test_withheld_only_where_no_path_does(base: Retriever) -> None:
    never = dict.fromkeys(PATHS, 0.0) | {"one": -2.0}
    always = never | {"one": 2.0}
    for paths, answered in ((never, False), (always, True)):
        hits = asked(base, MAYOR, 3.0, threshold=None, calibration=calibration(3.0, paths))
        assert bool(hits) == answered
    assert hits[0].then is not None


def test_paths_are_in_the_base() -> None:
    """Whatever is asked, both entries are lines of the base, joined by an object."""
    rng = random.Random(3)
    names, kinds = [f"n{n}" for n in range(12)], ["kin", "home", "boss", "pet"]
    found = 0
    for _ in range(12):
        lines = [(rng.choice(names), rng.choice(kinds), rng.choice(names)) for _ in range(40)]
        base = retriever(lines)
        steps = module.TwoSteps(base.spotter, base.schema, ahead, calibration())
        for _ in range(50):
            question = f"{rng.choice(kinds)} of the {rng.choice(kinds)} of {rng.choice(names)}"
            (keys,), _ = base.spotter.find([question], other_letters=True)
            if not len(keys):
                continue
            values = ahead(question, keys) + np.array([rng.random() for _ in range(len(keys))])
            (paths,) = steps([QuestionKey(question, keys, int(np.argmax(values)))], [values])
            found += len(paths)
            for path in paths:
                first, second = (
                    base.schema.parts(f"{one.mention.subject}\t{one.keys.rests[one.key]}")
                    for one in (path.first, path.second)
                    if one.mention is not None
                )
                assert first is not None and second is not None
                assert (*first, path.value) in lines and second[0] == path.value
                values_of = path.second.keys.values(path.second.key)
                assert values_of and all((*second, one) in lines for one in values_of)
    assert found > 300


FAULTS = {
    "paths have all of none": ("two_steps", "answers[number].none * np.exp(", "np.exp("),
    "a path leaves none as it was": ("two_steps", "answers[number].none - sum(",
                                     "answers[number].none - 0 * sum("),
    "every question is looked at": ("two_steps", "and one.none >= GATE", ""),
    "the inner part stays": ("two_steps", "first.question[parts.stop :]", "first.question[start:]"),
    "meanings are not told apart": ("two_steps", "not meaning or keys.rests[row].endswith",
                                      "True or keys.rests[row].endswith"),
    "quotes stay": ("two_steps", "(value.strip(_QUOTES), value)", "(value,)"),
    "any part of an object is one": ("two_steps", "mention.text == name", "mention.text"),
    "the worst second entry": ("two_steps", "int(np.argmax(values))", "int(np.argmin(values))"),
    "no outer words are needed": ("two_steps", "parts.explained and parts.outer", "parts"),
    "features of another unit": ("two_steps", "values / self.calibration.unit", "values"),
    "the objects are the first entry's": ("entries", "replace(first, values=[path.value]",
                                          "replace(first, values=first.values * 2"),
    "paths come last": ("entries", "sorted(hits, key=lambda hit: -hit.probability)", "hits"),
    "none is as before": ("entries", "withheld(hits, none, plan.threshold)",
                          "withheld(hits, found.none, plan.threshold)"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_seen(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, *change = FAULTS[fault]
    faulty = load_with_fault(f"tasks.retrieval.{name}", (change[0], change[1]))
    if name == "two_steps":
        monkeypatch.setattr(module, "TwoSteps", faulty.TwoSteps)
        monkeypatch.setattr(retriever_module, "TwoSteps", faulty.TwoSteps)
        base = retriever()
    else:
        monkeypatch.setattr(retriever_module, "Entries", faulty.Entries)
        base = retriever()

    def checks() -> None:
        for test in (
            test_a_path, test_the_outer_question, test_shares, test_what_is_between,
            test_no_second_step, test_withheld_only_where_no_path_does,
        ):  # fmt: skip
            test(base)
        with monkeypatch.context() as patch:
            test_only_where_an_entry_may_not_do(base, patch)

    with pytest.raises((AssertionError, ValueError, IndexError)):
        checks()
