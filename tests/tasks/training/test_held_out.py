"""Which questions are trained on, which choose, and which are scored."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest

from ergotext.errors import InputError
from ergotext.tasks.datasets.kgclue.data import Question, Triple
from ergotext.tasks.training import held_out
from tests.faulty import load_with_fault


def asked(count: int = 200, absent: int = 40) -> list[Question]:
    """Three questions a subject, and some that the base does not answer."""
    known = [
        Question(n, n, f"question {n}", Triple(f"subject {n // 3}", f"p{n % 3}", "x"))
        for n in range(count)
    ]
    return known + [
        Question(n, n, f"other {n}", None, absent=True) for n in range(count, count + absent)
    ]


def subjects(some: list[Question]) -> set[str]:
    return {one.answer.subject for one in some if one.answer is not None}


def check_parts(module: ModuleType) -> None:
    every = asked()
    rest, (first, second) = module.parted(every, [0.15, 0.15])
    each = [rest, first, second]
    assert sorted(one.id for part in each for one in part) == [one.id for one in every]
    assert all(part == sorted(part, key=lambda one: one.line) for part in each)
    assert not any(
        subjects(one) & subjects(other) for one in each for other in each if one is not other
    )
    for part in (first, second):
        assert 30 <= sum(one.answer is not None for one in part) <= 32
        assert sum(one.absent for one in part) == 6


def check_lines(module: ModuleType) -> None:
    """Neither the order of the file nor other questions change where a subject belongs."""
    every = asked()
    _, (first, second) = module.parted(every, [0.15, 0.15])
    _, (same, other) = module.parted(every[::-1], [0.15, 0.15])
    assert subjects(first) == subjects(same) and subjects(second) == subjects(other)
    names = sorted({int(name.split()[1]) for name in subjects(first)})
    assert max(names) - min(names) > 20  # not a run of neighbours, which files often hold together


def check_texts(module: ModuleType) -> None:
    """Where nothing is trained on, a subject may be in both halves: two questions are enough."""
    every = [one for one in asked(6, 0) if one.answer and one.answer.subject == "subject 0"]
    first, (second,) = module.parted(every[:2], [0.5], trained=False)
    assert len(first) == len(second) == 1


@pytest.mark.parametrize("check", [check_parts, check_lines, check_texts])
def test_parts(check: Callable[[ModuleType], None]) -> None:
    check(held_out)


FAULTS = {
    "subjects apart": (check_parts, ("one.answer is not None and trained", "False")),
    "without absent ones": (check_parts, ("for known in (True, False)", "for known in (True,)")),
    "by subject alone": (check_texts, ("one.answer is not None and trained", "True")),
    "as many of all": (check_parts, ("share * count", "share * len(asked)")),
    "in the order of the file": (check_lines, (
        "sorted(about, key=lambda name: blake2b(name.encode()).digest())", "list(about)"
    )),
    "both at once": (check_parts, ("about.pop(names.pop())", "about[names.pop()]")),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_fault_is_caught(name: str) -> None:
    check, change = FAULTS[name]
    with pytest.raises((AssertionError, IndexError)):
        check(load_with_fault("tasks.training.held_out", change))


def test_too_few() -> None:
    held_out.check_enough(asked(20, 0), "q.jsonl", held_out.FEWEST)
    with pytest.raises(
        InputError, match=r"q\.jsonl has 19 questions with an answer: .* give 1 more, or dev"
    ):
        held_out.check_enough(asked(19, 30), "q.jsonl", held_out.FEWEST)
    with pytest.raises(InputError, match=r"takes 2; give 1 more$"):
        held_out.check_enough(asked(1), "dev.jsonl", held_out.FEWEST_DEV)
