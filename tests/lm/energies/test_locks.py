"""Marks and starting rows of keywords."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import torch

from ergotext.errors import InputError
from ergotext.lm.batch import TokenBatch
from ergotext.lm.energies.locks import initial_rows, mark
from ergotext.testing.toy import toy_energy
from tests.faulty import load_with_fault

A, C, B = 1, 2, 3  # " a", " c", " b"


def test_orders_that_make_another_keyword_are_left_out() -> None:
    """ " b" " c" " a" " b" would also be read as " b c" and so on; every start is in the space."""
    words = ["a", "b c", "a b"]
    energy = toy_energy(words, any_order=True)
    start = energy.initial(12)
    for marks, n in zip(start.locked.tolist(), start.length.tolist(), strict=True):
        assert set(marks[:n]) == {1, 2, 3}
    assert torch.equal(start.locked, energy.locked(start))
    assert torch.isfinite(energy(start)).all()
    spelled = [[A], [B, C], [A, B]]
    whole = [
        order
        for order in itertools.permutations(range(3))
        if set(mark_of([t for k in order for t in spelled[k]], spelled)) == {1, 2, 3}
    ]
    assert 0 < len(whole) < 6 and len(set(start.rows())) == len(whole)


def mark_of(row: list[int], spelled: list[list[int]]) -> list[int]:
    return [int(m) for m in mark(TokenBatch.of([row]), spelled, any_order=True)[0]]


def test_a_keyword_in_another_stands_beside_it() -> None:
    assert initial_rows([[A], [A, A]], 2, any_order=True) == [[A, A, A]] * 2
    assert toy_energy(["b", "b b"]).initial(1).rows() == [(B, B, B)]


def test_keywords_that_eat_each_other_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from ergotext.lm.energies import keywords as term

    monkeypatch.setattr(term, "initial_rows", lambda *_: [])
    with pytest.raises(InputError, match="merge with one another"):
        toy_energy(["a", "b"], any_order=True).initial(2)


def test_evenly_spaced_orders() -> None:
    spelled = [[k] for k in range(1, 8)]
    rows = initial_rows(spelled, 50, any_order=True)
    assert len({tuple(row) for row in rows}) == 50
    assert len({row[0] for row in rows}) == 7
    assert initial_rows(spelled, 3, any_order=False) == [[1, 2, 3, 4, 5, 6, 7]] * 3


def test_a_missing_keyword_has_no_mark() -> None:
    assert mark(TokenBatch.of([[B, C]]), [[A], [C]], any_order=False).tolist() == [[0, 0]]
    assert mark(TokenBatch.of([[B, C]]), [[A], [C]], any_order=True).tolist() == [[0, 2]]
    assert mark(TokenBatch.of([]), [[A]], any_order=True).shape == (0, 0)


def check_nested(mark_rows: Callable[..., torch.Tensor]) -> None:
    """The longest keyword that fits, and of equal ones the first, whatever their order."""
    for row, spelled, marks in (
        ([A, A, B, A], [[A], [A, A]], [2, 2, 0, 1]),
        ([A, A, B, A], [[A, A], [A]], [1, 1, 0, 2]),
        ([A, C, B, A, C], [[A], [A, C, B], [A, C]], [2, 2, 2, 3, 3]),
        ([A, B, A], [[A], [A]], [1, 0, 2]),
    ):
        assert mark_rows(TokenBatch.of([row]), spelled, True).tolist() == [marks]


def test_keywords_inside_others() -> None:
    check_nested(mark)


@pytest.mark.parametrize("key", ["-k", "k", "(-len(spelled[k]), -k)", "(len(spelled[k]), k)"])
def test_another_choice_among_them_is_caught(key: str) -> None:
    faulty = load_with_fault("lm.energies.locks", ("(len(spelled[k]), -k)", key))
    with pytest.raises(AssertionError):
        check_nested(faulty.mark)
