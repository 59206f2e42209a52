"""Output layers of which it is known which tokens can be the argmax."""

from __future__ import annotations

import numpy as np
import torch
from scipy.spatial import ConvexHull

Layer = tuple[torch.Tensor, torch.Tensor | None, set[int]]
"""Weight, bias, and the tokens that are never the argmax."""


def in_the_plane(seed: int, tokens: int = 60) -> Layer:
    """Points of a plane: the corners of their hull are argmaxable and no others."""
    points = np.random.default_rng(seed).normal(size=(tokens, 2)) + 3.0
    corners = set(ConvexHull(points).vertices.tolist())
    return torch.tensor(points), None, set(range(tokens)) - corners


def on_the_line(seed: int, tokens: int = 60) -> Layer:
    """Numbers with a bias: the corners of the upper hull of (w, b), as lines' upper envelope."""
    points = np.random.default_rng(seed).normal(size=(tokens, 2)) - 2.0
    # A corner far below makes every other face of the hull an upper one.
    far = np.vstack([points, [points[:, 0].mean(), -1e6]])
    corners = set(ConvexHull(far).vertices.tolist())
    weight, bias = torch.tensor(points).split(1, 1)
    return weight, bias[:, 0], set(range(tokens)) - corners


def planted(seed: int, tokens: int, width: int, inside: int, bias: bool = False) -> Layer:
    """Random rows, of which so many were moved into the hull of the others.

    Before, all are argmaxable: points of a sphere, or of a paraboloid with a bias of −‖w‖²/2.
    """
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(tokens, width))
    if bias:
        rows[:, -1] = -np.square(rows[:, :-1]).sum(1) / 2
    else:
        rows /= np.linalg.norm(rows, axis=1)[:, None]
    rows += rng.normal(size=width)
    chosen = rng.choice(tokens, inside, replace=False)
    others = np.setdiff1d(np.arange(tokens), chosen)
    for token in chosen:
        corners = rng.choice(others, 4 * width, replace=False)
        rows[token] = rng.dirichlet(np.ones(len(corners))) @ rows[corners]
        rows[token, -1] -= 0.1 * bias  # of the bias: lower than the mixture
    weight = torch.tensor(rows[:, :-1] if bias else rows)
    return weight, torch.tensor(rows[:, -1]) if bias else None, set(chosen.tolist())
