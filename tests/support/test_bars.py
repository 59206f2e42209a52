"""Progress shows on a terminal and in a notebook, and nowhere else."""

from __future__ import annotations

import io
import sys
import time
from types import ModuleType, SimpleNamespace

import pytest

from ergotext.support import bars
from tests.faulty import load_with_fault
from tests.waiting import until


class Stream(io.StringIO):
    """What stands in for stderr."""

    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


def written(
    monkeypatch: pytest.MonkeyPatch, module: ModuleType, *, terminal: bool, notebook: bool = False,
    progress: bool = True, kernel: bool = True,
) -> str:  # fmt: skip
    """What a bar and a busy line write to stderr."""
    stream = Stream(terminal)
    shell = SimpleNamespace(**({"kernel": None} if kernel else {}))
    fake = SimpleNamespace(get_ipython=lambda: shell, version_info=(9,))
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", stream)
        patch.setitem(sys.modules, "tqdm.autonotebook", sys.modules["tqdm"])  # no ipywidgets here
        if notebook:
            patch.setitem(sys.modules, "IPython", fake)
        with module.bar(total=3, desc="three steps", progress=progress) as line:
            line.update(3)
        with module.busy("waiting for it", progress):
            pass
    return stream.getvalue()


def check(monkeypatch: pytest.MonkeyPatch, module: ModuleType) -> None:
    shown = written(monkeypatch, module, terminal=True)
    assert "three steps: 100%" in shown and "waiting for it [00:00]" in shown
    assert "waiting for it" not in shown.rpartition("\r")[2], "a busy line is erased"
    assert written(monkeypatch, module, terminal=False) == "", "files and pipes stay clean"
    assert written(monkeypatch, module, terminal=True, progress=False) == ""
    shown = written(monkeypatch, module, terminal=False, notebook=True)
    assert "three steps: 100%" in shown and "waiting for it" in shown
    assert written(monkeypatch, module, terminal=False, notebook=True, progress=False) == ""
    shell = written(monkeypatch, module, terminal=False, notebook=True, kernel=False)
    assert shell == "", "IPython in a pipe has no kernel"


def test_where_progress_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    check(monkeypatch, bars)


@pytest.mark.parametrize(
    "change",
    [
        ("disable=off or None", "disable=None"),
        ("disable=off or None", "disable=off"),
        ("disable=not progress", "disable=None"),
        ('return hasattr(found, "kernel")', "return found is not None"),
        ("leave=False, ", ""),
    ],
)
def test_faults_are_seen(monkeypatch: pytest.MonkeyPatch, change: tuple[str, str]) -> None:
    faulty = load_with_fault("support.bars", change)
    with pytest.raises(AssertionError):
        check(monkeypatch, faulty)


def test_a_closed_stderr_is_written_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    with bars.bar(total=1) as line:
        line.update()
    with bars.busy("waiting"):
        pass


def test_a_busy_line_tells_the_time_and_ends_with_its_work(monkeypatch) -> None:
    stream = Stream(True)
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(bars, "TICK", 0.01)
    with bars.busy("counting"):
        until(lambda: "counting [00:01]" in stream.getvalue())
    shown = stream.getvalue()
    assert "counting [00:00]" in shown
    time.sleep(0.05)
    assert stream.getvalue() == shown, "nothing ticks on"


def check_patience(
    monkeypatch: pytest.MonkeyPatch, module: ModuleType, seconds: float = 60.0
) -> None:
    """Nothing before the delay is over; then the time between steps too; nothing in the end."""
    asked: list[float] = []

    def clock() -> float:
        asked.append(time.monotonic())
        return asked[-1]

    stream = Stream(True)
    with monkeypatch.context() as patch:
        patch.setattr(module, "TICK", 0.01)
        patch.setattr(module, "time", SimpleNamespace(monotonic=clock))
        patch.setattr(sys, "stderr", stream)
        with module.ticking(total=2, desc="two steps", delay=600.0) as line:
            line.update()
            until(lambda: len(asked) > 3 or stream.getvalue() != "", seconds)
            assert stream.getvalue() == ""
        assert stream.getvalue() == ""
        with module.ticking(total=2, desc="two steps", delay=0.05) as line:
            line.update()
            until(lambda: "two steps:  50%" in stream.getvalue(), seconds)
        assert stream.getvalue().endswith("\r") and not stream.getvalue().split("\r")[-2].strip()


def test_a_line_that_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    check_patience(monkeypatch, bars)


@pytest.mark.parametrize(
    "change",
    [
        ("if time.monotonic() - began >= delay:", "if True:"),
        ("line.refresh()", "pass"),
        ("line.delay = 0", "pass"),
        ("delay=delay, ", ""),
    ],
)
def test_faults_of_waiting_are_seen(monkeypatch, change: tuple[str, str]) -> None:
    faulty = load_with_fault("support.bars", change)
    with pytest.raises(AssertionError):
        check_patience(monkeypatch, faulty, 2.0)


def test_samplers_that_show_no_text_show_the_time(monkeypatch) -> None:
    from ergotext.samplers import sample
    from ergotext.testing.toy import ToyFluency, ToyScorer

    stream = Stream(True)
    monkeypatch.setattr(sys, "stderr", stream)
    sample(ToyFluency(ToyScorer()), "importance", n=64, max_length=3)
    assert "importance, 64 draws [00:0" in stream.getvalue()
