"""TokenBatch and microbatches."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ergotext.lm.batch import TokenBatch, microbatches

rows = st.lists(st.lists(st.integers(0, 9), max_size=6), max_size=6)


@given(rows, st.integers(0, 4))
def test_padding_changes_no_row(lists: list[list[int]], more: int) -> None:
    batch = TokenBatch.of(lists, [[n % 3 for n in row] for row in lists])
    wide = batch.padded(batch.width + more)
    assert batch.rows() == wide.rows() == [tuple(row) for row in lists]
    assert wide.width == batch.width + more
    assert torch.equal(wide.padded(wide.longest).ids, batch.ids)
    assert int(wide.ids[~wide.inside].abs().sum()) == 0 == int(wide.locked[~wide.inside].sum())


@given(rows, st.data())
def test_select_and_where(lists: list[list[int]], data: st.DataObject) -> None:
    batch = TokenBatch.of(lists)
    keep = data.draw(st.lists(st.booleans(), min_size=len(lists), max_size=len(lists)))
    mask = torch.tensor(keep, dtype=torch.bool)
    assert batch.select(mask).rows() == [
        row for row, yes in zip(batch.rows(), keep, strict=True) if yes
    ]
    other = TokenBatch.of([[7, *row] for row in lists])
    assert batch.where(mask, other).rows() == [
        a if yes else b for a, b, yes in zip(batch.rows(), other.rows(), keep, strict=True)
    ]


def test_select_nothing() -> None:
    assert len(TokenBatch.of([[1], [2]]).select([])) == 0


@pytest.mark.parametrize(
    ("ids", "length", "locked", "message"),
    [
        ([[1, 2]], [3], [[0, 0]], "do not fit"),
        ([[1, 2]], [-1], [[0, 0]], "do not fit"),
        ([[1, 2]], [1, 1], [[0, 0]], "must be"),
        ([[1, 2]], [1], [[0]], "alike"),
    ],
)
def test_arrays_that_do_not_fit(ids, length, locked, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TokenBatch(torch.tensor(ids), torch.tensor(length), torch.tensor(locked))


@given(st.lists(st.integers(0, 50), max_size=40), st.integers(1, 120))
def test_microbatches_hold_every_row_once_within_the_budget(sizes: list[int], budget: int) -> None:
    groups = list(microbatches(sizes, budget))
    assert sorted(row for group in groups for row in group) == list(range(len(sizes)))
    for group in groups:
        assert len(group) == 1 or sum(sizes[r] for r in group) <= budget
