"""Faults put into the logits processor one at a time: each must be caught.

The numbers are those of the list of known faults in CONTRIBUTING.md.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import torch

from tests.faulty import load_with_fault
from tests.lm.automata import test_logits_processor
from tests.lm.automata.test_logits_processor import INPUTS, KEYS, Row, llama, log_prob, t5, trie
from tests.lm.automata.worlds import END

ROWS = ("generated_rows", "")
"""Before faults of that module."""
FAULTS: dict[str, tuple[tuple[str, str], ...]] = {
    "18: rows are found by their place": (
        ("source = _same_rows(before, last.ids)", "source = np.arange(len(ids)) % len(last.ids)"),
    ),
    "18: rows are found by their last token": (
        ("return np.where((rows[found] == wanted).all(axis=1), found, -1)", "return found"),
        ("factors = np", "factors = np.eye(1, rows.shape[1], rows.shape[1] - 1, dtype=np.uint64)"
                         "[0] if rows.shape[1] else np"),
    ),
    "21: a finished row may write anything": (
        ("masked[torch.from_numpy(idle).to(masked.device), pad] = 0.0",
         "masked[torch.from_numpy(idle)] = scores[torch.from_numpy(idle)]"),
    ),
    "21: a row is finished by its padding": (
        ROWS,
        ("self.finished | (tokens == automaton.end)", "tokens == automaton.end"),
    ),
    "24: a dead end goes on unconstrained": (
        ("self._close(masked, np.flatnonzero(~alive), written)",
         "masked[torch.from_numpy(~alive)] = scores[torch.from_numpy(~alive)]"),
    ),
    "24: a row that left the automaton is padded": (
        ("idle = np.flatnonzero(written.finished)",
         "idle = np.flatnonzero(written.finished | (written.states == DEAD))"),
    ),
    "24: a dead end passes for a whole sequence": (
        ROWS,
        ("whole = written.finished & self.automaton.accepting(written.states)",
         "whole = written.finished"),
    ),
    "the prompt is read as text": (
        ("written = self._states(ids[:, self.prompt_length :]",
         "written = self._states(ids[:, self.prompt_length - 1 :]"),
    ),
}  # fmt: skip


def greedy_search_ends() -> None:
    """Keys of differing lengths, in a batch: finished rows wait for the others."""
    for make in (t5, llama):
        torch.manual_seed(3)
        model = make().eval()
        for start in range(3):
            inputs: list[Row] = [(a, b) for a in (1, 5, 7) for b in range(start + 1, start + 4)]
            made = test_logits_processor.processor(model, trie(), inputs)
            out = test_logits_processor.run(model, made, inputs, do_sample=True)
            assert made.accepted(out.sequences).all()
            for row in out.sequences[:, made.prompt_length :].tolist():
                behind = set(row[row.index(END) + 1 :])
                assert tuple(row[: row.index(END)]) in KEYS and behind <= {0, END}


def beams_are_exact() -> None:
    torch.manual_seed(3)
    model = t5().eval()
    made = test_logits_processor.processor(model, trie())
    out = test_logits_processor.run(
        model, made, INPUTS, num_beams=6, num_return_sequences=6, length_penalty=0.0,
        early_stopping="never",
    )  # fmt: skip
    expected = [sorted((log_prob(model, i, k) for k in KEYS), reverse=True) for i in INPUTS]
    assert out.sequences_scores.reshape(3, 6).numpy() == pytest.approx(
        torch.tensor(expected).numpy(), abs=1e-4
    )


def moved_rows_are_found() -> None:
    for seed in range(15):
        for name in test_logits_processor.AUTOMATA:
            test_logits_processor.check_moved_rows(seed, name, seed % 2 == 0)


def dead_ends_are_told() -> None:
    torch.manual_seed(3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        test_logits_processor.test_dead_ends_are_closed_and_told(t5().eval())


def faulty(changes: tuple[tuple[str, str], ...]) -> ModuleType:
    """The module of the logits processor, with faults in it or in that of its rows."""
    if changes[0] != ROWS:
        return load_with_fault("lm.automata.logits_processor", *changes)
    rows = load_with_fault("lm.automata.generated_rows", *changes[1:])
    source = "from ergotext.lm.automata.generated_rows import"
    return load_with_fault("lm.automata.logits_processor", (source, f"from {rows.__name__} import"))


KNOWN = (AssertionError, ValueError, RuntimeError, IndexError, UserWarning, pytest.fail.Exception)

CHECKS: list[Callable[[], Any]] = [
    greedy_search_ends, beams_are_exact, dead_ends_are_told, moved_rows_are_found
]  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_the_checks_see_it(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = faulty(FAULTS[fault])
    for name in ("AutomatonLogitsProcessor", "DeadEndWarning", "DeadEndError"):
        monkeypatch.setattr(test_logits_processor, name, getattr(module, name))

    def passes(check: Callable[[], Any]) -> bool:
        try:
            check()
        except KNOWN:
            return False
        return True

    assert not all(map(passes, CHECKS))


def test_without_a_fault() -> None:
    for check in CHECKS:
        check()
