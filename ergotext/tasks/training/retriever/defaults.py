"""Settings of a run from scratch, and of one that goes on from a trained retriever."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ergotext.tasks.training.lookahead.recipe import Recipe
from ergotext.tasks.training.settings import Settings

NEW = "new"
"""The name to start from for a retriever from scratch."""
INCLUDED = "tiny-retriever"
"""The model to start from by default, and to compare with."""
MODEL_SHARE, LOOKAHEAD_SHARE = 0.25, 0.8
"""Shares of the time by which encoder-decoder and look-ahead are trained; the rest is for fits."""
SCORED_A_MINUTE = 20
"""Questions to choose by, and as many to score, for each minute of a time limit."""
TRAINED_SETTINGS = {
    "steps": 400, "batch_size": 8, "learning_rate": 1e-4, "warm_up": 0.1, "objective": "listwise",
    "rivals": 8, "every": 50, "patience": 3,
}  # fmt: skip
TRAINED_RECIPE = {
    "steps": 1500, "learning_rate": 3e-4, "warm_up": 20, "every": 50, "patience": 6,
}  # fmt: skip
"""Where a trained model goes on: a lower rate, and a stop when it gets no better."""
FEWEST_SCORED, MOST_SCORED = 20, 500


def settings_for(start: str, **changes: Any) -> Settings:
    """Settings of the encoder-decoder; those that are None have their defaults."""
    return Settings(**_known(TRAINED_SETTINGS if start != NEW else {}, changes))


def recipe_for(start: str, **changes: Any) -> Recipe:
    """Settings of the look-ahead; those that are None have their defaults."""
    return Recipe(**_known(TRAINED_RECIPE if start != NEW else {}, changes))


def most_scored(minutes: float | None) -> int:
    """Questions to choose by at most, and to score."""
    if minutes is None:
        return MOST_SCORED
    return min(MOST_SCORED, max(FEWEST_SCORED, int(SCORED_A_MINUTE * minutes)))


def _known(defaults: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    return {**defaults} | {name: value for name, value in changes.items() if value is not None}
