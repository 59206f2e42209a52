"""Which of two retrievers is better, and by how much."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ergotext.tasks.datasets.kgclue.data import Triple
from ergotext.tasks.datasets.kgclue.metrics import mark
from ergotext.tasks.training.retriever import comparison, fit
from ergotext.tasks.training.retriever.comparison import Comparison
from tests.faulty import load_with_fault

GOLD = [Triple(f"s{n}", "p", "o") for n in range(40)]


def compared(new: int, other: int, module: object = comparison) -> Comparison:
    """One answers the first so many questions rightly, the other the last."""
    told = {
        "mine": [str(one) if n < new else "" for n, one in enumerate(GOLD)],
        "tiny-retriever": [str(one) if n >= 40 - other else "" for n, one in enumerate(GOLD)],
        "string matching": [""] * 40,
    }
    made: Comparison = module.Comparison({name: mark(GOLD, some) for name, some in told.items()})  # type: ignore[attr-defined]  # a module, maybe with a fault
    return made


def check_difference(module: object) -> None:
    """The mean over the same questions, and its error by pairs: not by two samples."""
    gap, error = compared(40, 30, module).difference("tiny-retriever")
    each = np.repeat([100.0, 0.0], [10, 30])
    assert gap == pytest.approx(25) and error == pytest.approx(each.std(ddof=1) / math.sqrt(40))
    assert compared(40, 40, module).difference("tiny-retriever") == (0.0, 0.0)


def test_difference() -> None:
    check_difference(comparison)
    for change in (
        ("spread / math.sqrt(len(each))", "spread"),
        ("std(ddof=1)", "std(ddof=0)"),
        ("new.emf1 - self.marks[other].emf1", "self.marks[other].emf1 - new.emf1"),
        ("new = next(iter(self.marks.values()))", "new = [*self.marks.values()][-1]"),
    ):  # fmt: skip
        with pytest.raises(AssertionError):
            check_difference(load_with_fault("tasks.training.retriever.comparison", change))


def test_what_is_said() -> None:
    lines = compared(40, 20).text().splitlines()
    assert lines[0] == "40 questions that nothing was chosen by:"
    assert [line.split()[0] for line in lines[1:4]] == ["mine", "tiny-retriever", "string"]
    assert "EMF1 100.0" in lines[1] and "EMF1  50.0" in lines[2] and "EMF1   0.0" in lines[3]
    assert lines[4].startswith("mine is better than tiny-retriever by 50.0 (standard error 8.0)")
    assert "chance" not in lines[4]
    worse = compared(20, 40).text()
    assert "tiny-retriever is better than mine by 50.0" in worse and "use tiny-retriever" in worse
    assert "may be chance" in compared(21, 20).text()
    assert "mine and tiny-retriever score the same" in compared(40, 40).text()


def test_best_scale() -> None:
    """0 is no scale: it is the model without look-ahead. Of equals the nearest to the usual one."""
    assert fit.best_scale({0.0: 99, 1.0: 50, 20.0: 60, 100.0: 60}, 20) == 20
    assert fit.best_scale({0.0: 60, 1.0: 60, 10.0: 60, 100.0: 60}, 20) == 10
    assert fit.best_scale({0.0: 0, 1.0: 61, 20.0: 60}, 20) == 1
