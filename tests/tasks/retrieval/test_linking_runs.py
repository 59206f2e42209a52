"""Random models, titles and texts: nothing but titles of the index comes out."""

from __future__ import annotations

import sys

import pytest

from ergotext.lm.automata import prefix_function
from tests.faulty import load_with_fault
from tests.paths import ROOT

sys.path.append(str(ROOT / "benchmarks"))

from linking import run


def no_other_titles(runs: int) -> None:
    counts = run(runs, seed=7)
    assert sum(one.runs for one in counts.values()) == runs
    assert {name: (one.outside, one.flagged) for name, one in counts.items()} == dict.fromkeys(
        counts, (0, 0)
    )


@pytest.mark.slow
def test_no_title_outside_of_the_index() -> None:
    no_other_titles(100)


@pytest.mark.parametrize(
    "fault",
    [
        ("key = ids.tobytes()", "key = ids[:, -1:].tobytes()"),
        ("token = self.automaton.candidates(written.states)[1]",
         "token = self.automaton.candidates(self.automaton.start(1))[1]"),
    ],
)  # fmt: skip
def test_a_fault_is_seen(fault: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    faulty = load_with_fault("lm.automata.prefix_function", fault)
    monkeypatch.setattr(prefix_function, "PrefixFunction", faulty.PrefixFunction)
    with pytest.raises((AssertionError, ValueError)):
        no_other_titles(30)
