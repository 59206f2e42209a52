"""Answer sets: what they promise, worlds in which it must hold, and what lies in a file."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from ergotext.errors import InputError, ModelError
from ergotext.lm.sources import source_of
from ergotext.lm.trie import TokenTrie
from ergotext.tasks.retrieval import coverage as module
from ergotext.tasks.retrieval.calibration import Calibration
from ergotext.tasks.retrieval.coverage import LEAST, MOST, SetScores, members
from ergotext.tasks.retrieval.lookahead.learned import load_lookahead
from ergotext.tasks.retrieval.none_features import FEATURES
from ergotext.tasks.retrieval.origin import model_digest
from ergotext.tasks.retrieval.results import Hits
from ergotext.tasks.retrieval.retriever import Retriever
from tests.faulty import load_with_fault
from tests.tasks.retrieval import test_retriever_table as table
from tests.tasks.retrieval.table_reader import TableReader

RNG = np.random.default_rng(11)
WORLDS = 4000


def world(rng: np.random.Generator, count: int, lost: float) -> list[tuple[list[float], int]]:
    """Questions with falling shares of six entries, and the right one: too sure of itself."""
    scores = rng.normal(size=(count, 6)) * 2
    law = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    right = (law.cumsum(1) < rng.random((count, 1))).sum(1)
    told = np.exp(2 * scores) / np.exp(2 * scores).sum(1, keepdims=True)
    order = np.argsort(-told, axis=1)
    place = np.argmax(order == right[:, None], axis=1)
    place[rng.random(count) < lost] = 6
    return list(zip(np.sort(told)[:, ::-1].tolist(), place.tolist(), strict=True))


def told(shares: list[float], place: int) -> float:
    """As ``SetScores.of`` takes it."""
    return 0.0 if place == 6 else 1.0 if place == 0 else shares[place]


def check_coverage(module: ModuleType) -> None:
    """Over many draws of few questions, a further one is held as often as promised, and no more.

    The mean of the coverage is rank / (n + 1), which a missing + 1 changes by 1 / n.
    """
    for count, level, lost in ((9, 0.8, 0.05), (11, 0.9, 0.02), (20, 0.6, 0.3)):
        rng = np.random.default_rng(1)
        held = 0
        for _ in range(WORLDS):
            *known, (shares, place) = world(rng, count + 1, lost)
            scores = module.SetScores.of(told(*one) for one in known)
            try:
                size, _ = module.members(shares, math.nan, scores.least(level))
            except InputError:  # too many were lost: everything that was found
                size = 6
            held += place < size
        mean = held / WORLDS
        error = math.sqrt(level * (1 - level) / WORLDS)
        assert mean > level - 3 * error
        assert mean < math.ceil(level * (count + 1)) / (count + 1) + 4 * error


def check_quantile(module: ModuleType) -> None:
    """The rank, by hand: nine questions, five right at once, three not, one lost."""
    scores = module.SetScores.of([1.0, 0.3, 1.0, 0.1, 1.0, 0.0, 1.0, 0.2, 1.0])
    assert (scores.first, scores.rest, scores.lost) == (5, (0.3, 0.2, 0.1), 1)
    assert [scores.least(c) for c in (0.1, 0.5, 0.51, 0.6, 0.61, 0.7, 0.71, 0.8)] == [
        1, 1, 0.3, 0.3, 0.2, 0.2, 0.1, 0.1,
    ]  # fmt: skip
    assert scores.most == 0.8
    with pytest.raises(InputError, match=r"not find .* of 1 of 9 questions; ask for at most 0\.8$"):
        scores.least(0.81)
    with pytest.raises(InputError, match=r"takes at least 10 questions .* there are 9:"):
        scores.least(0.901)
    assert module.SetScores.of([1.0] * 99).least(0.99) == 1
    for level, need in ((0.9, 9), (0.98, 49), (0.95, 19), (2 / 3, 2)):
        with pytest.raises(InputError, match=f"at least {need} questions"):
            module.SetScores.of([1.0] * (need - 1)).least(level)
        assert module.SetScores.of([1.0] * need).least(level) == 1


def check_members(module: ModuleType) -> None:
    assert module.members([], math.nan, 0.5) == (0, True)  # nothing was found
    assert module.members([], 0.2, 0.5) == (0, True)
    assert module.members([0.3, 0.3, 0.2], math.nan, 0.9) == (2, False)  # ties are in together
    assert module.members([0.3, 0.3, 0.2], 0.3, 0.9) == (2, True)
    assert module.members([0.3, 0.2], 0.5, 0.9) == (0, True)
    assert module.members([0.3, 0.2], 0.5, 0.3) == (1, True)
    assert module.members([0.3, 0.2], 0.5, 0.2) == (2, True)
    assert module.members([0.5, 0.2], 0.3, 0.4) == (1, False)


def test_coverage_holds() -> None:
    check_coverage(module)


def test_quantile() -> None:
    check_quantile(module)


def test_members() -> None:
    check_members(module)


def test_sets_are_never_empty() -> None:
    for _ in range(500):
        shares = sorted(RNG.dirichlet(np.ones(5))[: RNG.integers(0, 5)].tolist(), reverse=True)
        none = 1 - sum(shares) if RNG.random() < 0.5 else math.nan
        count, inside = members(shares, none, float(RNG.random()))
        assert count + inside >= 1


def test_what_is_kept_makes_no_set_smaller() -> None:
    some = [1.0, 0.12345678, LEAST, LEAST / 2, 1 - 1e-9, 0.0]
    scores = SetScores.of(some)
    assert (scores.first, scores.lost) == (1, 2)
    assert scores.rest == (0.99999, 0.12345, LEAST)
    assert SetScores.read(json.loads(json.dumps(scores.record()))) == scores


@pytest.mark.parametrize("level", [0, 1, -0.1, 1.5, math.nan, math.inf])
def test_levels_are_between_0_and_1(level: float) -> None:
    with pytest.raises(InputError, match="coverage must be above 0 and below 1, got"):
        SetScores.of([1.0] * 100).least(level)


def test_what_is_promised_is_said() -> None:
    scores = SetScores.of([1.0] * 95 + [0.2] * 5, what="mine")
    said = scores.guarantee(0.9)
    assert (
        "at least 90% of questions, on average over" in said
        and "the 100 that this was measured on: mine" in said
    )
    assert said.endswith("the likeliest alone is enough: it is right in 95.0%")
    assert "is enough" not in scores.guarantee(0.98) and "base has none" not in said
    assert "(or says that the base has none)" in replace(scores, absent=3).guarantee(0.9)


FAULTS = {
    "no + 1": ("_exact(coverage) * (self.count + 1)", "_exact(coverage) * self.count"),
    "rounded down": ("return math.ceil(_exact(coverage)", "return math.floor(_exact(coverage)"),
    "rounding errors": ("return Fraction(repr(float(number)))", "return Fraction(float(number))"),
    "the wrong side": ("sorted((_kept(p) for p in every if LEAST <= p < 1), reverse=True)",
                       "sorted(_kept(p) for p in every if LEAST <= p < 1)"),
    "one too few": ("self.rest[rank - self.first - 1]", "self.rest[max(0, rank - self.first - 2)]"),
    "lost ones are forgotten": ("return self.first + len(self.rest) + self.lost",
                                "return self.first + len(self.rest)"),
    "lost ones may be promised": ("if rank > self.first + len(self.rest):", "if False:"),
    "empty sets": ("bar = min(least, max(shares[0], other))", "bar = least"),
    "ties are broken": ("sum(share >= bar for", "sum(share > bar for"),
    "none is never the likeliest": ("max(shares[0], other))", "shares[0])"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_seen(fault: str) -> None:
    faulty = load_with_fault("tasks.retrieval.coverage", FAULTS[fault])
    checks: list[Callable[[Any], None]] = [check_quantile, check_members, check_coverage]

    def all_checks() -> None:
        for check in checks:
            check(faulty)

    with pytest.raises((AssertionError, IndexError, InputError, pytest.fail.Exception)):
        all_checks()


def test_coverage_alone_sees_faults() -> None:
    """Of the simulated worlds, without what is counted by hand."""
    for fault in ("no + 1", "the wrong side", "lost ones are forgotten", "empty sets"):
        faulty = load_with_fault("tasks.retrieval.coverage", FAULTS[fault])
        with pytest.raises((AssertionError, IndexError)):
            check_coverage(faulty)


def calibrated(odds: float, told: list[float], **about: Any) -> Calibration:
    some = Calibration(3.0, {name: odds * (name == "one") for name in FEATURES})
    return replace(some, sets=SetScores.of(told, fitted=some.digest, **about))


def ahead(_: str, keys: Any) -> np.ndarray:
    return ((keys.ordinals * 7919) % 13).astype(np.float64)


def hits_of(reader: TableReader, trie: TokenTrie, question: str = "", **how: Any) -> Hits:
    retriever = Retriever(reader, trie, triples=True)
    (hits,) = retriever.retrieve([question or table.QUESTIONS[0]], lookahead=ahead, **how)
    return hits


def test_sets_of_a_retriever(reader: TableReader, trie: TokenTrie) -> None:
    rest = [0.2, 0.1, 0.05, 0.02]
    calibration = calibrated(-0.5, [1.0] * 5 + rest, what="mine")
    every = hits_of(reader, trie, k=1000, calibration=calibration, threshold=0)
    shares = [hit.probability for hit in every]
    for k in (1, 5):
        for level, least in ((0.5, 1.0), (0.6, 0.2), (0.7, 0.1), (0.8, 0.05), (0.9, 0.02)):
            hits = hits_of(reader, trie, calibration=calibration, coverage=level, k=k)
            bar = min(least, max(shares[0], every.none))
            assert [hit.text for hit in hits] == [h.text for h in every if h.probability >= bar]
            assert hits.answer_set is not None and hits.answer_set.none == (every.none >= bar)
            lines = hits.shown("?").splitlines()
            assert ("(none of these)" in "".join(lines)) == hits.answer_set.none
            assert hits or hits.answer_set.none
    assert len(hits) > 5
    record = json.loads(hits.json("?"))["set"]
    assert (
        record["coverage"] == 0.9
        and "like the 9 that this was measured on: mine" in record["guarantee"]
    )
    assert json.loads(every.json("?"))["set"] is None
    with pytest.raises(InputError, match="at least 10 questions"):
        hits_of(reader, trie, calibration=calibration, coverage=0.905)


def test_nothing_is_withheld_from_a_set(reader: TableReader, trie: TokenTrie) -> None:
    calibration = calibrated(6.0, [1.0] * 8 + [LEAST])
    alone = hits_of(reader, trie, calibration=calibration, coverage=0.5)
    assert not alone and alone.answer_set is not None and alone.answer_set.none
    assert alone.shown("?").splitlines() == ["?", "  0.998  (none of these)"]
    both = hits_of(reader, trie, calibration=calibration, coverage=0.9)
    assert both and both.answer_set is not None and both.answer_set.none
    for question in ("?", " "):
        empty = hits_of(reader, trie, question, calibration=calibration, coverage=0.9)
        assert not empty and empty.answer_set is not None and empty.answer_set.none
        assert "  (none of these)" in empty.shown("?")


def test_what_does_not_go_with_sets(reader: TableReader, trie: TokenTrie) -> None:
    good = calibrated(0.0, [1.0] * 9)
    for how, said in (
        ({"calibration": replace(good, sets=None)}, "was not: run ergotext calibrate"),
        ({"model_probability": True}, "take an index of triples, a look-ahead"),
        ({"calibration": good, "spans": False}, "search for subjects"),
        ({"calibration": good, "threshold": 0.0}, "drop coverage or threshold"),
        ({"calibration": good, "temperature": 2.0}, "drop temperature or coverage"),
        ({}, "was not: run ergotext calibrate"),
    ):
        with pytest.raises(InputError, match=said):
            hits_of(reader, trie, coverage=0.5, **how)
    with pytest.raises(InputError, match="coverage"):
        hits_of(reader, trie, coverage="all", calibration=good)


def test_sets_are_kept_with_their_calibration(tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    good = calibrated(0.25, RNG.uniform(0.001, 0.5, size=MOST).tolist())
    good.save(path)
    assert path.stat().st_size < 20_000
    assert Calibration.load(path) == good and good.sets is not None
    kept = json.loads(path.read_text(encoding="utf-8"))
    for changes in ({"temperature": 3.1}, {"weights": {**kept["weights"], "one": 0.26}}):
        path.write_text(json.dumps({**kept, **changes}))
        assert Calibration.load(path).sets is None  # measured with other numbers
    sets = kept["sets"]
    for damaged in (
        [], {}, {**sets, "first": -1}, {**sets, "first": MOST}, {**sets, "first": 10**400},
        {**sets, "lost": "1"}, {**sets, "rest": [0.1]}, {**sets, "rest": "0.1 0.2"},
        {**sets, "rest": "0.0"}, {**sets, "rest": "nan"}, {**sets, "rest": "2"},
        {**sets, "rest": "a"}, {**sets, "absent": MOST + 1}, {**sets, "more": 1},
        {**sets, "rest": sets["rest"] + " 0.0001"}, {**sets, "what": None},
    ):  # fmt: skip
        path.write_text(json.dumps({**kept, "sets": damaged}))
        with pytest.raises(ModelError, match=r"calibration.json .*fit it again"):
            Calibration.load(path)


def test_the_shipped_sets_are_of_the_shipped_weights() -> None:
    """If this fails: fit anew (``training/fit_coverage.py``, after ``fit_calibration.py``)."""
    folder = source_of("tiny-retriever")
    look = load_lookahead("tiny-retriever")
    assert look.calibration.sets is not None
    assert look.calibration.about["model"] == model_digest(folder)
    assert look.calibration.about["lookahead"] == look.digest
    assert look.calibration.sets.least(0.9) < 0.5


def test_calibrations_know_with_what_they_were_fitted(reader: TableReader, trie: TokenTrie) -> None:
    good = replace(calibrated(0.0, [1.0] * 9), about={"lookahead": "mine"})

    class Ahead:
        digest = "mine"
        calibration = good
        __call__ = staticmethod(ahead)

    class Other(Ahead):
        digest = "other"

    retriever = Retriever(reader, trie, triples=True)
    (hits,) = retriever.retrieve(table.QUESTIONS[:1], lookahead=Ahead(), coverage=0.9)
    assert hits.answer_set is not None and not any("fitted" in note for note in hits.notes)
    (hits,) = retriever.retrieve(table.QUESTIONS[:1], lookahead=Other())
    assert math.isnan(hits.none)  # as without a calibration
    assert "fitted with another look-ahead: probabilities are not calibrated" in hits.notes[-1]
    with pytest.raises(InputError, match="fitted with another look-ahead: fit one with this"):
        retriever.retrieve(table.QUESTIONS[:1], lookahead=Other(), calibration=good)
    with pytest.raises(InputError, match="was not: run ergotext calibrate"):
        retriever.retrieve(table.QUESTIONS[:1], lookahead=Other(), coverage=0.9)
    (hits,) = retriever.retrieve(table.QUESTIONS[:1], lookahead=Other(), model_probability=True)
    assert not any("fitted" in note for note in hits.notes)
