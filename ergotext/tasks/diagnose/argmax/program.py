"""Decide one token by the rows that stand in its way, added as they are needed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linprog, nnls

from ergotext.support.arrays import Floats, Ints

RADIUS = 1e-6
"""A cone of directions that holds no ball of this radius, inside the box, counts as empty."""
ADDED = 256
"""Most rows that are added between two solutions."""
Solver = Callable[[Floats, bool, float], tuple[Floats, Floats] | None]
"""From normals [m, D], whether there is a bias, and seconds: a direction [D] and weights [m]."""


@dataclass(frozen=True, eq=False)
class Solved:
    """What is proven of a token; neither field is set where nothing is.

    Parameters
    ----------
    direction : float64 [D], optional
        Makes the token the only argmax, by a margin above all rounding.
    radius : float, optional
        No ball of directions larger than this makes it the argmax: at most ``RADIUS``.
    """

    direction: Floats | None = None
    radius: float | None = None


def solve(rows: Floats, token: int, has_bias: bool, deadline: float) -> Solved:
    """Decide whether a token can be the only argmax.

    With n_j = (row_j − row_i)/‖row_j − row_i‖, it can if some x has n_j·x < 0 for all j. Both
    answers are proven in float64, whatever the tolerances of the solver that found them:

    * x itself is tried on all rows. Rows that it violates join the few that are solved for.
    * Weights λ ≥ 0 with Σ λ_j = 1 bound the radius of every ball of such x in the box [−1, 1] by
      max_x −(Σ λ_j n_j)·x. A few rows prove it for all.

    Non-negative least squares gives an x or such weights, a hundred times faster than the linear
    program of the largest ball (Chebyshev centre; Grivas et al. 2022, section 4.1), which decides
    what least squares cannot.

    Parameters
    ----------
    rows : float32 or float64 [V, D]
        With a bias as the last column, if ``has_bias``; then x has its last entry in [0, 1].
    token : int
        Its row is no other token's.
    deadline : float
        As ``time.time`` has it.
    """
    own = rows[token].astype(np.float64)
    norm = _distances(rows, own)
    norm[token] = 1.0
    size = np.linalg.norm(own) + np.sqrt(_blocks(rows, lambda b: np.square(b).sum(1)).max())
    active = _nearest(rows, token, norm)
    solvers: list[Solver] = [largest_ball, least_squares]
    while solvers and (left := deadline - time.time()) > 0:
        normals = (rows[active].astype(np.float64) - own) / norm[active, None]
        found = solvers[-1](normals, has_bias, left)
        if found is None:
            solvers.pop()
            continue
        direction, weight = found
        if (bound := _bound(normals, weight, has_bias)) <= RADIUS:
            return Solved(radius=bound)
        margin = own @ direction - _blocks(rows, lambda b: b @ direction)  # noqa: B023 - called at once
        margin[token] = np.inf
        slack = (len(own) + 8) * np.finfo(np.float64).eps * np.linalg.norm(direction) * size
        if margin.min() > slack and (not has_bias or direction[-1] >= 0):
            return Solved(direction=direction)
        worst = np.argsort(margin / norm)[:ADDED]
        fresh = np.setdiff1d(worst[margin[worst] < 0], active)
        active = np.concatenate([active, fresh])
        if not len(fresh):
            solvers.pop()  # within its tolerance of the edge
    return Solved()


def least_squares(normals: Floats, has_bias: bool, _: float) -> tuple[Floats, Floats] | None:
    """The shortest mixture of the normals: the weights, and the direction away from it.

    minimise ‖Σ λ_j n_j‖² + (1 − Σ λ_j)² over λ ≥ 0. Where that is not 0, x = −Σ λ_j n_j has
    n_j·x ≤ Σ λ − 1 < 0 for all j. With a bias, −e_t is one more column: x_t ≥ 0.
    """
    columns = np.vstack([normals.T, np.ones(len(normals))])
    if has_bias:
        columns = np.column_stack([columns, -np.eye(len(columns))[-2]])
    goal = np.eye(len(columns))[-1]
    try:
        weight = nnls(columns, goal)[0]
    except RuntimeError:  # too many steps
        return None
    return (goal - columns @ weight)[:-1], weight[: len(normals)]


def largest_ball(normals: Floats, has_bias: bool, seconds: float) -> tuple[Floats, Floats] | None:
    """Maximise r such that n_j·x + r ≤ 0, −1 ≤ x ≤ 1 and r ≥ 0: x, and the dual weights."""
    width = normals.shape[1]
    last = (0.0, 1.0) if has_bias else (-1.0, 1.0)
    found = linprog(
        np.append(np.zeros(width), -1.0),
        A_ub=np.column_stack([normals, np.ones(len(normals))]),
        b_ub=np.zeros(len(normals)),
        bounds=[(-1.0, 1.0)] * (width - 1) + [last, (0.0, None)],
        method="highs",
        options={
            "time_limit": seconds,
            "primal_feasibility_tolerance": 1e-9,
            "dual_feasibility_tolerance": 1e-10,
        },
    )
    if found.status != 0:
        return None
    return found.x[:-1], np.maximum(-found.ineqlin.marginals, 0.0)


def _bound(normals: Floats, weight: Floats, has_bias: bool) -> float:
    """The largest radius that the weights leave possible."""
    if not weight.sum() > 0:
        return np.inf
    mixed = weight / weight.sum() @ normals
    if has_bias:
        return float(np.abs(mixed[:-1]).sum() + max(0.0, -mixed[-1]))
    return float(np.abs(mixed).sum())


def _nearest(rows: Floats, token: int, norm: Floats) -> Ints:
    """The rows to begin with: those that come closest to the token in its own direction."""
    direction = rows[token] - rows.mean(0, dtype=np.float64)
    scores = _blocks(rows, lambda block: block @ direction)
    scores = (scores - scores[token]) / norm
    scores[token] = -np.inf
    count = min(len(rows) - 1, 2 * rows.shape[1])
    return np.argsort(-scores)[:count].astype(np.int64)


def _distances(rows: Floats, own: Floats) -> Floats:
    return _blocks(rows, lambda block: np.linalg.norm(block - own, axis=1))


def _blocks(rows: Floats, function: Callable[[Floats], Floats]) -> Floats:
    """A number for each row, computed in float64 without a copy of all rows."""
    blocks = np.array_split(rows, max(1, len(rows) // 4096))
    return np.concatenate([function(block.astype(np.float64)) for block in blocks])
