"""What the sets of questions with known answers hold, found as a retriever finds it."""

from __future__ import annotations

import math
from types import ModuleType

import pytest

from ergotext.tasks.datasets.kgclue.data import Question, Triple
from ergotext.tasks.evaluation import coverage as module
from ergotext.tasks.retrieval.coverage import SetScores
from ergotext.tasks.retrieval.results import Hit, Hits
from tests.faulty import load_with_fault

SHARES = (0.4, 0.3, 0.00005)


def check_told(module: ModuleType) -> None:
    """1 for the likeliest, 0 for what is in no set, else the probability."""
    made = module.SetOutcome
    assert [made(SHARES, math.nan, right).told for right in (0, 1, 2, None)] == [1, 0.3, 0, 0]
    assert [made(SHARES, 0.5, right).told for right in (0, 1)] == [0.4, 0.3]
    assert made((0.4, 0.4), 0.2, 1).told == 1 == made((0.4,), 0.4, 0).told
    assert [made(SHARES, none, None, True).told for none in (0.5, 0.35)] == [1, 0.35]
    assert made(SHARES, math.nan, None, True).told == 0
    assert made((), math.nan, None).told == 0 and made((), math.nan, None, True).told == 1


def check_sets(module: ModuleType) -> None:
    made = module.SetOutcome
    assert made(SHARES, 0.2, 1).set(1.0) == (1, False)
    assert made(SHARES, 0.2, 1).set(0.3) == (2, True)
    assert made(SHARES, 0.2, None).set(0.2) == (3, False)
    assert made(SHARES, 0.2, None, True).set(0.2) == (3, True)
    assert made((), math.nan, None).set(0.9) == (1, False)


def check_agreement(module: ModuleType) -> None:
    """A right entry is in the set exactly if its nonconformity is low enough."""
    for right, none, absent in ((0, 0.1, False), (1, 0.5, False), (1, math.nan, False),
                                (None, 0.3, True), (None, 0.3, False)):  # fmt: skip
        one = module.SetOutcome((0.45, 0.3), none, right, absent)
        scores = SetScores.of([1.0] * 5 + [0.4, 0.3, 0.2, 0.1])
        for level in (0.5, 0.6, 0.7, 0.8, 0.9):
            least = scores.least(level)
            held = one.told == 1 or (one.told > 0 and one.told >= least)
            assert one.set(least)[1] == held


def hits(*told: tuple[str, str, float], none: float = 0.1) -> Hits:
    return Hits([
        Hit("", {"subject": s, "predicate": p}, [], 0.0, 0.0, share, share, share)
        for s, p, share in told
    ], none=none)  # fmt: skip


def check_outcome(module: ModuleType) -> None:
    asked = Question(1, 1, "?", Triple("b", "c", "x"))
    both = hits(("a", "c", 0.5), ("b", "c", 0.3))
    assert module.outcome(both, asked) == module.SetOutcome((0.5, 0.3), 0.1, 1)
    assert module.outcome(hits(("b", "d", 0.5)), asked).right is None
    alone = module.outcome(hits(("b", "c", math.nan), none=math.nan), asked)
    assert alone.told == 1 and alone.set(0.01) == (1, True)  # it is the set, however likely
    absent = Question(1, 1, "?", None, absent=True)
    assert module.outcome(both, absent) == module.SetOutcome((0.5, 0.3), 0.1, None, True)


CHECKS = (check_told, check_sets, check_agreement, check_outcome)


@pytest.mark.parametrize("check", CHECKS)
def test_outcomes(check) -> None:
    check(module)


FAULTS = {
    "what was not found is held by none": ("elif self.right is None:", "elif self.right == -1:"),
    "none is never right": ("held = none if self.absent else", "held = False if self.absent else"),
    "the least probability is forgotten": ("share if share >= LEAST else 0.0", "share"),
    "none does not count": ("return count + none, held", "return count, held"),
    "the last one is not in": ("self.right < count", "self.right < count - 1"),
    "unknown probabilities": ("1.0 if math.isnan(hit.probability) else hit.probability",
                              "hit.probability"),
    "subjects do not matter": ("[(subject, ", "[(wanted[0], "),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_seen(fault: str) -> None:
    faulty = load_with_fault("tasks.evaluation.coverage", FAULTS[fault])

    def checks() -> None:
        for check in CHECKS:
            check(faulty)

    with pytest.raises((AssertionError, TypeError)):
        checks()
