"""What rows begin with alike is laid out once."""

from __future__ import annotations

import torch

from ergotext.lm.decoding.tree import forests


def test_shared_tokens_stand_once() -> None:
    rows = [(1, 2, 3, 4), (1, 2, 3, 5), (1, 2, 6), (7,), (1, 2)]
    (whole, forest) = forests(rows, [2, 2, 2, 0, 2], opening=3, budget=100)
    assert whole.rows == [4] and not whole.ids.numel() and not whole.nodes[0].numel()
    assert forest.rows == [0, 1, 2, 3] and forest.ids.tolist() == [[3, 4, 5, 6, 7]]
    assert [at.tolist() for at in forest.nodes] == [[0, 1], [0, 2], [3], [4]]
    assert forest.position.tolist() == [[5, 6, 6, 5, 3]]
    assert forest.columns == [[(0, 0, 2)]], "(1, 2) was read before, and stands there once"
    attended = forest.seen[0, :, 3:].int()
    assert forest.seen[:, :, :3].all()
    assert attended.tolist() == [
        [1, 1, 1, 0, 0, 0, 0],
        [1, 1, 1, 1, 0, 0, 0],
        [1, 1, 1, 0, 1, 0, 0],
        [1, 1, 0, 0, 0, 1, 0],
        [0, 0, 0, 0, 0, 0, 1],
    ]


def test_passes_keep_to_the_budget() -> None:
    draw = torch.Generator().manual_seed(0)
    rows = [tuple(torch.randint(1, 4, (9,), generator=draw).tolist()) for _ in range(60)]
    rows = list(dict.fromkeys(rows))
    starts = [3] * len(rows)
    found = list(forests(rows, starts, opening=1, budget=50))
    assert sorted(r for forest in found for r in forest.rows) == list(range(len(rows)))
    for forest in found:
        old = sum(last - first for runs in forest.columns for _, first, last in runs)
        assert int(forest.real.sum()) + old <= 50
        flat = forest.ids[forest.real]
        for r, at in zip(forest.rows, forest.nodes, strict=True):
            assert tuple(flat[at].tolist()) == rows[r][3:]
    total = sum(int(forest.real.sum()) for forest in found)
    assert total < 0.95 * sum(len(row) - 3 for row in rows)
