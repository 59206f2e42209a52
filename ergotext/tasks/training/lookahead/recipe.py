"""Settings of the training of a look-ahead."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ergotext.support.records import Count, NotNegative, Positive, Share, record


@record
class Recipe:
    """Hyperparameters of the look-ahead training.

    Parameters
    ----------
    steps, batch_size : int
    learning_rate, weight_decay : float
    warm_up : int
        Steps in which the rate rises.
    width, hidden : int
        Of a matcher from scratch.
    templated : float
        Share of the examples that are templates, if there are any.
    seed : int
    every : int
        Steps between scores on the dev questions, each with a checkpoint.
    patience : int, optional
        Scores in succession, none better than the best, that end the run. Then the weights are
        those that give the right keys of the dev questions the most probability; or those that the
        run started from, unless others are better beyond chance. Without patience, the last.

    Raises
    ------
    InputError
        A number is out of its range.
    """

    steps: Count = 8000
    batch_size: Count = 32
    learning_rate: Positive = 1e-3
    weight_decay: NotNegative = 0.05
    warm_up: Count = 100
    width: Count = 96
    hidden: Count = 128
    templated: Share = 0.3
    seed: Annotated[int, Field(ge=0, lt=1 << 63)] = 0
    every: Count = 1000
    patience: Count | None = None
