"""The learning rate by steps and by the clock."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from ergotext.tasks.training import schedule
from ergotext.tasks.training.schedule import Cosine, Pace, PacedRate


def rates(one: Pace, steps: int) -> list[float]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=one.rate)
    paced, found = PacedRate(optimizer, one), []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        paced.step()
    return found


def test_it_rises_stays_and_falls() -> None:
    found = rates(Pace(100, rate=2.0, warm_up=0.1, cool_down=0.5), 100)
    assert found[0] == pytest.approx(0.2) and found[9:50] == pytest.approx([2.0] * 41)
    assert found[4] == pytest.approx(1.0) and found[74] == pytest.approx(1.0)
    assert all(a >= b for a, b in pairwise(found[9:])) and found[-1] < 0.01


def test_the_clock_ends_it_earlier(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(schedule.time, "monotonic", lambda: now[0])
    one = Pace(1000, rate=1.0, warm_up=0.0, cool_down=0.5, seconds=10.0)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    paced = PacedRate(optimizer, one)
    for second in range(1, 11):
        assert not paced.over
        now[0] = float(second)
        optimizer.step()
        paced.step()
        assert optimizer.param_groups[0]["lr"] == pytest.approx(
            max(1e-3, min(1.0, (10 - second) / 5)), abs=1e-9
        )
    assert paced.over and paced.last_epoch == 10


def test_time_spent_goes_on_after_a_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(schedule.time, "monotonic", lambda: now[0])
    one = Pace(1000, seconds=10.0)

    def fresh() -> PacedRate:
        return PacedRate(torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0), one)

    first = fresh()
    now[0] = 4.0
    first.optimizer.step()
    first.step()
    now[0] = 100.0  # nothing runs meanwhile
    second = fresh()
    second.load_state_dict(first.state_dict())
    now[0] = 107.0
    second.optimizer.step()
    second.step()
    assert second.spent == pytest.approx(11.0) and second.over and second.last_epoch == 2


def test_a_cosine_ends_by_the_clock_as_well() -> None:
    """The same wave in the time that there is; without a clock, by steps alone."""
    timed, free = Cosine(1000, 2.0, 1, seconds=10.0), Cosine(10, 2.0, 1)
    for tenth in range(1, 11):
        assert timed.rate_at(tenth, float(tenth)) == pytest.approx(free.rate_at(tenth, 1e9))
    assert timed.share(5, 9.9) < 1.0 == timed.share(5, 10.0) == timed.share(1000, 0.0)
    assert free.share(9, 1e9) < 1.0 == free.share(10, 0.0)
    assert free.rate_at(10, 0.0) == pytest.approx(0.1)  # a twentieth
