"""The production source of draws."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ergotext.samplers.draws import SeededDraws


def test_frequencies_are_the_probabilities() -> None:
    law = torch.tensor([0.5, 0.0, 0.3, 0.2, 0.0], dtype=torch.float64)
    drawn = SeededDraws(1).categorical(law.expand(200_000, -1))
    share = drawn.bincount(minlength=5).double() / len(drawn)
    error = (law * (1 - law) / len(drawn)).sqrt()
    assert share[1] == 0 and share[4] == 0
    assert ((share - law).abs() <= 5 * error).all()
    yes = SeededDraws(2).bernoulli(torch.full((200_000,), 0.3, dtype=torch.float64))
    assert abs(float(yes.double().mean()) - 0.3) < 5 * (0.21 / 200_000) ** 0.5


@given(
    weights=st.lists(st.floats(0, 1), min_size=1, max_size=30).filter(lambda w: sum(w) > 1e-300),
    u=st.sampled_from([0.0, 0.5, 1 - 2**-53]) | st.floats(0, 1, exclude_max=True),
)
@settings(deadline=None, max_examples=300)
def test_what_has_no_probability_is_never_drawn(weights: list[float], u: float) -> None:
    """Also where rounding brings u up to the total."""
    draws = SeededDraws(0)
    draws._uniform = lambda count: torch.full((count,), u, dtype=torch.float64)
    law = torch.tensor([weights], dtype=torch.float64)
    assert weights[int(draws.categorical(law)[0])] > 0
    assert not draws.bernoulli(torch.zeros(1, dtype=torch.float64))[0]
    assert draws.bernoulli(torch.ones(1, dtype=torch.float64))[0]


@pytest.mark.parametrize("row", [[0.0, 0.0], [float("nan"), 1.0], [float("inf"), 1.0]])
def test_a_law_that_is_none_is_refused(row: list[float]) -> None:
    with pytest.raises(ValueError, match="sums to zero or is not finite"):
        SeededDraws(0).categorical(torch.tensor([row], dtype=torch.float64))


def test_a_seed_names_a_stream() -> None:
    law = torch.full((50, 7), 1 / 7, dtype=torch.float64)
    one, same, other = (SeededDraws(s).categorical(law) for s in (4, 4, 5))
    assert torch.equal(one, same) and not torch.equal(one, other)
