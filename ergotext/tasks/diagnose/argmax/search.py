"""Look for directions that make tokens the argmax: many tokens at once, as matrix products."""

from __future__ import annotations

import time
from collections.abc import Iterator

import torch
from torch import Tensor

from ergotext.tasks.diagnose.argmax.layer import OutputLayer, rounding

STEPS = 200
"""Reflections after which a token is left to ``program``."""
TILT = 1e-4
"""Least share of the bias entry in a reflected direction."""


def whitened(layer: OutputLayer, tokens: Tensor) -> Tensor:
    """float32 [n, D]: each token's row less their mean, times the rows' inverse covariance."""
    return _upward(layer, layer.centred[tokens] @ layer.whitening)


def won(layer: OutputLayer, tokens: Tensor, deadline: float) -> Iterator[Tensor]:
    """Tokens that the whitened directions of these tokens make the argmax.

    A direction counts for whichever token it favours, most often its own. Stops at the deadline.
    """
    for part in layer.chunks(tokens):
        if time.time() >= deadline:
            return
        directions = whitened(layer, part)
        scores = directions @ layer.centred.T
        best = scores.max(1)
        scores.scatter_(1, best.indices[:, None], -torch.inf)
        sure = best.values - scores.amax(1) > _slack(layer, directions, best.indices)
        yield best.indices[sure]


def reflected(
    layer: OutputLayer, tokens: Tensor, deadline: float, steps: int = STEPS
) -> Iterator[tuple[Tensor, Tensor]]:
    """Tokens for which reflection finds a direction, and these directions, float32 [n, D].

    Wherever another token j has the higher score, the direction is reflected at the hyperplane on
    which i and j are equal. Where the directions that favour i have an inside, this ends
    (Motzkin and Schoenberg 1954; "braid reflection" in Grivas et al. 2022, section 4.2).
    """
    for part in layer.chunks(tokens):
        at = whitened(layer, part)
        for _ in range(steps):
            if time.time() >= deadline or not len(part):
                break
            at = at / at.norm(dim=1, keepdim=True).clamp(min=torch.finfo(at.dtype).tiny)
            gap, other = _gaps(layer, at, part)
            slack = _slack(layer, at, part)
            done = gap > slack
            near = (gap > 0) & ~done
            if bool(near.any()):
                done[near] = layer.argmaxed(at[near], part[near])
            if bool(done.any()):
                yield part[done], at[done]
                part, at, other, gap, slack = (x[~done] for x in (part, at, other, gap, slack))
            apart = layer.centred[part] - layer.centred[other]
            # A gap too small to be sure of is widened.
            step = torch.maximum(-2 * gap, 2 * slack) / apart.square().sum(1)
            at = _upward(layer, at + step[:, None] * apart, TILT)


def _gaps(layer: OutputLayer, directions: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
    """float32 [n]: each token's score less the highest other one; int64 [n]: whose that is."""
    scores = directions @ layer.centred.T
    own = scores.gather(1, tokens[:, None])[:, 0]
    scores.scatter_(1, tokens[:, None], -torch.inf)
    best = scores.max(1)
    return own - best.values, best.indices


def _slack(layer: OutputLayer, directions: Tensor, tokens: Tensor) -> Tensor:
    """float32 [n]: what rounding in float32 can make of a difference of two scores."""
    norm = layer.centred.norm(dim=1)
    relative = rounding(torch.float32, directions.shape[1])
    slack: Tensor = relative * directions.norm(dim=1) * (norm[tokens] + norm.max())
    return slack


def _upward(layer: OutputLayer, directions: Tensor, least: float = 0.0) -> Tensor:
    """With a bias, the last entry of a direction may not be below 0: it is reflected too."""
    if layer.has_bias:
        size = least * directions.norm(dim=1)
        last = directions[:, -1]
        directions[:, -1] = torch.where(last < size, 2 * size - last, last)
    return directions
