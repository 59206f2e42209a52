"""One token: both solvers decide, and what they find is proven."""

from __future__ import annotations

import numpy as np
import pytest

from ergotext.tasks.diagnose.argmax import program
from ergotext.tasks.diagnose.argmax.workers import solved
from tests.tasks.diagnose.argmax.planted import in_the_plane, on_the_line, planted

LATE = 4e9
LAYERS = [in_the_plane(5), on_the_line(5), planted(6, 200, 7, 9), planted(7, 200, 7, 9, bias=True)]


def rows_of(layer) -> np.ndarray:
    weight, bias, _ = layer
    parts = [weight.numpy()] + ([] if bias is None else [bias.numpy()[:, None]])
    return np.hstack(parts)


@pytest.mark.parametrize("solver", ["least_squares", "largest_ball"])
@pytest.mark.parametrize("number", range(len(LAYERS)))
def test_each_solver_decides_alone(number: int, solver: str, monkeypatch) -> None:
    rows, (_, bias, never) = rows_of(LAYERS[number]), LAYERS[number]
    other = {"least_squares": "largest_ball", "largest_ball": "least_squares"}[solver]
    monkeypatch.setattr(program, other, lambda *_: None)
    for token in [*sorted(never)[:9], *sorted(set(range(len(rows))) - never)[:12]]:
        found = program.solve(rows, token, bias is not None, LATE)
        assert (found.radius is not None) == (token in never)
        if found.direction is not None:
            scores = rows @ found.direction
            assert scores.argmax() == token and (scores == scores.max()).sum() == 1
            assert bias is None or found.direction[-1] >= 0


def test_the_ball_is_the_largest() -> None:
    square = np.array([[1.0, 0], [-1.0, 0], [0, 1.0], [0, -1.0]])
    normals = (square[1:] - square[0]) / np.linalg.norm(square[1:] - square[0], axis=1)[:, None]
    found = program.largest_ball(normals, False, 60.0)
    assert found is not None and found[0] == pytest.approx([1.0, 0.0])
    assert program._bound(normals, found[1], False) == pytest.approx(np.sqrt(0.5))


def test_nothing_is_proven_after_the_deadline() -> None:
    rows = rows_of(LAYERS[0])
    found = program.solve(rows, 0, False, 0.0)
    assert found.direction is None and found.radius is None


def test_processes_decide_the_same() -> None:
    rows, never = rows_of(LAYERS[2]), LAYERS[2][2]
    wanted = [*sorted(never), 0, 1, 2]
    found = dict(solved(rows, wanted, False, 2, LATE))
    assert sorted(found) == sorted(wanted)
    assert {token for token, one in found.items() if one.radius is not None} == never & set(wanted)
