"""The line on a terminal: how far a run is, and its best text so far."""

from __future__ import annotations

import io
import sys
from typing import Any

import pytest
import torch

from ergotext.lm.batch import TokenBatch
from ergotext.lm.energies.keywords import keywords
from ergotext.lm.energies.terms import custom
from ergotext.samplers import SAMPLERS, SeededDraws, sample
from ergotext.samplers.progress import Bar, Growth
from ergotext.testing.toy import ToyFluency, ToyScorer

pytestmark = pytest.mark.filterwarnings(
    "ignore::ergotext.samplers.weighted.samples.HeavyWeightsWarning"
)


class Stream(io.StringIO):
    """What stands in for stderr."""

    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


class Told(ToyScorer):
    """Texts that drive a terminal, of which one is a line more."""

    def decode(self, batch: TokenBatch) -> list[str]:
        return [{1: "a\x1b[31m\n  b\u202e", 2: "plain"}.get(row[0], "") for row in batch.rows()]


def shown(monkeypatch: pytest.MonkeyPatch, merit: list[float], open_: list[bool]) -> str:
    """The last line on a terminal, which is erased afterwards."""
    terminal = Stream(True)
    monkeypatch.setattr(sys, "stderr", terminal)
    with Bar(Told(), 5, "token") as bar:
        of = torch.tensor(merit).double()
        bar.watch(Growth(TokenBatch.of([(1,), (2,)]), of, torch.tensor(open_), torch.arange(2), of))
        bar._bar.refresh()
        lines = terminal.getvalue().split("\r")
    *_, last, erased = terminal.getvalue().split("\r")
    assert not last.strip() and not erased
    return lines[-1].rstrip()


def test_the_best_text_is_shown_and_drives_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    found = shown(monkeypatch, [-1.0, -2.0], [False, False])
    assert found.startswith("1/5 tokens [") and found.endswith("], a [31m b")
    assert shown(monkeypatch, [-3.0, -2.0], [False, False]).endswith("], plain")


def test_a_whole_text_comes_first_and_a_beginning_has_dots(monkeypatch: pytest.MonkeyPatch) -> None:
    dead = -torch.inf
    assert shown(monkeypatch, [-9.0, -2.0], [False, True]).endswith("], a [31m b")
    assert shown(monkeypatch, [dead, -2.0], [False, True]).endswith("], plain…")
    assert shown(monkeypatch, [-3.0, -2.0], [True, True]).endswith("], plain…")
    assert shown(monkeypatch, [dead, dead], [False, False]).endswith("]")


def test_the_dead_are_not_among_the_best() -> None:
    def never(batch: TokenBatch) -> torch.Tensor:
        held = torch.tensor([1 in row for row in batch.rows()], dtype=torch.bool)
        return torch.where(held, torch.inf, 0.0).double()

    seen: list[Growth] = []
    sampler = SAMPLERS["smc"](ToyFluency(ToyScorer()) + custom(never, of="tokens"), 3)
    sampler.watch = seen.append
    sampler.draw(SeededDraws(0), 32)
    ended = [
        (row, merit)
        for one in seen
        for row, merit, more in zip(
            one.batch.rows(), one.merit.tolist(), one.open.tolist(), strict=True
        )
        if not more
    ]
    assert {1 in row for row, _ in ended} == {True, False}
    assert all((merit == -torch.inf) == (1 in row) for row, merit in ended)


@pytest.mark.parametrize("name", ["smc", "mh"])
def test_runs_show_it_on_a_terminal_alone(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    energy = ToyFluency(ToyScorer()) + keywords(["b"])
    options: dict[str, Any] = {"n": 8} if name == "smc" else {"chains": 2, "steps": 4}
    said = []
    for terminal, progress in ((True, True), (True, False), (False, True)):
        stream = Stream(terminal)
        monkeypatch.setattr(sys, "stderr", stream)
        monkeypatch.setattr("ergotext.samplers.progress.LEAST_SECONDS", 0.0)
        sample(energy, name, max_length=3, progress=progress, **options)
        said.append(stream.getvalue())
    assert said[1:] == ["", ""]
    lines = said[0].split("\r")
    assert any(" b" in line.partition("]")[2] for line in lines), lines
    assert lines[-1].strip() == ""
