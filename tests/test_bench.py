"""The table of ``make bench``, its sizes cut down: every row runs, whatever its figures."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> object:
    """The module that times rows."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from table import rows

    return rows


def test_every_row_runs(tmp_path: Path) -> None:
    written = tmp_path / "bench.json"
    command = [sys.executable, str(BENCHMARKS / "bench.py"), "--quick", "-o", str(written)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(written.read_text())
    subjects = {row["subject"] for row in found["rows"]}
    assert subjects == {"decoding", "starting", "tries", "chains"}
    for row in found["rows"]:
        assert row["ours"] > 0, row
        assert row["ratio"] is None or row["ratio"] > 0, row
        assert f"| {row['name']} |" in done.stdout
    assert {"processor", "threads", "torch", "when"} <= found["machine"].keys()
    assert f"{len(found['rows'])} rows in {written}" in done.stdout


def test_sides_take_turns_and_ratios_are_of_rounds(rows, monkeypatch) -> None:
    clock = iter([0.0, 1, 1, 3, 3, 5, 5, 9, 9, 10, 10, 18])
    monkeypatch.setattr(rows.time, "perf_counter", lambda: next(clock))
    calls: list[tuple[str, int]] = []

    def side(name: str):
        def work(number: int) -> float:
            calls.append((name, number))
            return 8.0

        return work

    row = rows.Row("copies", "texts", side("ours"), {"theirs": side("theirs"), "other": "no such"})
    (one,) = rows.measure("tries", row, rows.Scale(rounds=3))
    order = [(name, n) for n in range(4) for name in ("ours", "theirs")]
    assert calls == order  # once for nothing, then by turns
    # Ours took 1, 2 and 1 seconds, theirs 2, 4 and 8.
    assert (one.ours, one.theirs) == (8.0, 2.0)
    assert (one.ratio, one.least, one.most) == (2.0, 2.0, 8.0)
    assert one.cells() == ["copies", "texts", "8", "theirs", "2", "2.00", "2.00–8.00"]


def test_a_row_without_a_peer_says_why(rows) -> None:
    row = rows.Row("copies", "texts", lambda _: 1.0, {"other": "not installed"})
    (one,) = rows.measure("tries", row, rows.Scale(quick=True, rounds=1))
    assert one.peer == "other: not installed"
    assert one.ratio is None
    assert one.cells()[3:] == ["other: not installed", "", "", ""]


def test_cost_against_size_is_drawn(tmp_path: Path) -> None:
    figures, picture = tmp_path / "sizes.json", tmp_path / "cost.svg"
    command = [
        sys.executable, str(BENCHMARKS / "sizes.py"), "--model", "tiny-causal", "--keys", "50",
        "100", "--particles", "1", "4", "--tokens", "4", "8", "--keywords", "1", "2",
        "--draw", str(picture), "-o", str(figures),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(figures.read_text())
    assert [point["keys"] for point in found["keys"]] == [50, 100]
    assert all(
        value > 0 for points in found.values() for point in points for value in point.values()
    )
    assert "<svg" in picture.read_text()


def test_the_script_for_a_gpu_runs_on_a_processor(tmp_path: Path) -> None:
    figures = tmp_path / "gpu.json"
    command = [
        sys.executable, str(BENCHMARKS / "gpu.py"), "--device", "cpu", "--quick", "-o", str(figures)
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    rows = json.loads(figures.read_text())["rows"]
    assert {row["unit"] for row in rows} == {"TFLOP/s", "texts/s", "tokens/s", "ms", "questions/s"}
    assert all(row["value"] > 0 for row in rows)
    assert all(0 < row.get("share of the matrix rate", 0.1) < 2 for row in rows)
