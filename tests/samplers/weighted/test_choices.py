"""Choices among all tokens of a model are those among the tokens that are listed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ergotext.errors import InputError
from ergotext.lm.automata.explored import Explored, Outlook
from ergotext.samplers import SeededDraws
from ergotext.samplers.feasible import FeasibleAutomaton
from ergotext.samplers.weighted.choices import Dense, Listed
from ergotext.samplers.weighted.proposals import finishing, masked
from tests.faulty import load_with_fault

SIZE, END, PAD = 40, 0, 1


def automaton(explored: type = Explored) -> Explored[int]:
    """Tokens 2 … 31 + n may follow n tokens, of which an even one ends a text in as many steps.

    ``least`` after token t of position p is t modulo 3 + p % 3.
    """

    def ways(position: int) -> tuple[np.ndarray, bool]:
        return np.arange(2, 32 + position % 8), position % 2 == 0

    outlook = Outlook[int](lambda position: 1, lambda position, tokens: tokens % (3 + position % 3))
    made: Explored[int] = explored(
        END, PAD, 0, lambda position, token: (3 * position + token) % 7, ways, outlook
    )
    return made


def walked(made: Explored[int]) -> np.ndarray:
    """Some states, the dead and the finished one among them."""
    first = made.start(6)
    return np.concatenate([made.advance(first, np.arange(2, 8)), first[:1], [-1, 0]])


@pytest.mark.parametrize("room", range(6))
def test_masks_are_those_of_the_listed_tokens(room: int) -> None:
    check_masks(Explored, room)


def check_masks(explored: type, room: int) -> None:
    made = automaton(explored)
    states = walked(made)
    for _ in range(2):  # what is kept of the first call must be right in the second
        mask = made.mask_within(states, SIZE, room)
        row, token, after = made.candidates(states)
        kept = made.least(after) <= room
        expected = np.zeros((len(states), SIZE), dtype=bool)
        expected[row[kept], token[kept]] = True
        assert (mask == expected).all()
        assert (made.count(states) == np.bincount(row, minlength=len(states))).all()
    more = made.mask_within(states, SIZE, 9)
    assert (more >= mask).all()
    assert more.sum() > mask.sum() or room >= 4, "nothing was left out"


def test_a_mask_of_no_rows() -> None:
    assert automaton().mask_within(np.empty(0, dtype=np.int64), SIZE, 1).shape == (0, SIZE)


def test_tokens_that_the_model_has_not() -> None:
    made = automaton()
    with pytest.raises(InputError, match="allows token"):
        made.mask_within(made.start(1), 20, 9)


def test_masks_of_many_rows_of_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ergotext.lm.automata.explored._MOST_MASKS", 2)
    for room in (1, 4):
        check_masks(Explored, room)


@pytest.mark.parametrize("proposal", [masked, finishing])
@pytest.mark.parametrize("room", [0, 2, 9])
def test_both_choices_are_one_law(proposal: type, room: int) -> None:
    made = automaton()
    states, draws = walked(made)[:7], SeededDraws(0)
    feasible = FeasibleAutomaton(made, room)
    log_prob = torch.randn(7, SIZE, dtype=torch.float64).log_softmax(1)
    dense = proposal.look(log_prob, feasible, states, room)
    assert isinstance(dense, Dense)
    listed = Listed.of(log_prob, feasible, states, None)
    torch.testing.assert_close(dense.log_mass, listed.log_mass, rtol=0, atol=1e-12)
    rows = torch.arange(7)
    law, tokens = listed.children(rows)
    wide = torch.zeros_like(log_prob).scatter_add_(1, tokens, law)
    torch.testing.assert_close(dense.children(rows)[0], wide, rtol=0, atol=1e-12)
    step = dense.draw(draws, rows)
    assert (step.state == made.advance(states, step.token.numpy())).all()
    assert (step.state >= 0).all()
    assert bool((step.log_weight == 0).all())
    assert step.owed is not None
    assert bool((step.owed == 0).all())


def test_few_tokens_are_listed() -> None:
    made = automaton()
    log_prob = torch.zeros(1, 10_000, dtype=torch.float64).log_softmax(1)
    choice = masked.look(log_prob, FeasibleAutomaton(made, 9), made.start(1), 9)
    assert isinstance(choice, Listed)


FAULTS = {
    "what cannot end in time": ("mask[token[least > room]] = False", "pass"),
    "an end too near": ("mask[token[least > room]] = False", "mask[token[least >= room]] = False"),
    "a kept mask is written to": ("mask = mask.copy()", "pass"),
    "the farthest of another position": (
        "if number in self._farthest and self._farthest[number] <= room",
        "if self._farthest and min(self._farthest.values()) <= room",
    ),
    "the mask of another row": (
        "mask = self._mask_of(int(self._row.values[number]), size)",
        "mask = self._mask_of(int(self._row.values[-1]), size)",
    ),
    "counts of rows of tokens": (
        "self._bounds.values[row + 1] - self._bounds.values[row]",
        "self._bounds.values[row + 1]",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_caught(fault: str) -> None:
    faulty = load_with_fault("lm.automata.explored", FAULTS[fault])
    with pytest.raises(AssertionError):
        check_all_masks(faulty.Explored)


def check_all_masks(explored: type) -> None:
    for room in range(6):
        check_masks(explored, room)
