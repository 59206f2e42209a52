"""The code of CONTRIBUTING.md, as it stands and in its order, and the files that it names."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import ergotext as et
from ergotext import cli, commands, tasks
from ergotext.samplers import SAMPLERS
from ergotext.testing.toy import ToyFluency, ToyScorer, toy_energy
from tests.paths import ROOT

TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.S)
FLUENCY = ToyFluency(ToyScorer())


@pytest.fixture(scope="module")
def made() -> Iterator[dict[str, Any]]:
    """What the blocks define; each of them checks itself. The last two are files of their own."""
    names: dict[str, Any] = {"__name__": __name__}
    try:
        for code in BLOCKS[:-2]:
            exec(code, names)
        yield names
    finally:
        SAMPLERS.pop("uniform", None)


def test_the_energy(made: dict[str, Any]) -> None:
    batch = et.TokenBatch.of([[5, 5, 5], [5, 6], [0]])
    assert (0.5 * made["Repeats"]())(batch).tolist() == [2.0, 0.0, 0.0]


@pytest.mark.filterwarnings("ignore::ergotext.samplers.weighted.samples.HeavyWeightsWarning")
def test_the_automaton(made: dict[str, Any]) -> None:
    energy = FLUENCY + et.matches(made["EvenLength"]([1, 2, 3, 4], end=0, pad=5))
    found = et.sample(energy, "smc", n=40, max_length=5, seed=1).samples.batch
    assert {2, 4} <= set(found.length.tolist()) <= {0, 2, 4}


def test_the_sampler_by_name_and_by_class(made: dict[str, Any]) -> None:
    runs = [et.sample(toy_energy(), s, n=500, max_length=4) for s in ("uniform", made["Uniform"])]
    assert runs[0].samples.batch.rows() == runs[1].samples.batch.rows()
    exact = et.sample(toy_energy(), "importance", n=500, max_length=4)
    error = (runs[0].log_z_stderr ** 2 + exact.log_z_stderr**2) ** 0.5
    assert abs(runs[0].log_z - exact.log_z) < 5 * error


def test_the_moves(made: dict[str, Any]) -> None:
    how = {"chains": 4, "steps": 30, "max_length": 5, "progress": False}
    result = et.sample(
        toy_energy(["a"]), "mh", moves=made["Redraw"](),
        initial=et.TokenBatch.of([(2, 1, 4)]), **how,
    )  # fmt: skip
    assert 0 < result.acceptance["redraw"] < 1
    assert all(text.length.tolist() == [3] * 4 for text in result.trace.states)


def file_of(package: ModuleType, code: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A module as if the code stood in a file of the package."""
    module = ModuleType(f"{package.__name__}.count")
    exec(code, module.__dict__)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(package, "count", module, raising=False)
    return module


def test_the_task_and_its_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file_of(tasks, BLOCKS[-2], monkeypatch)
    command = file_of(commands, BLOCKS[-1], monkeypatch)
    monkeypatch.setattr(cli.app, "registered_commands", [*cli.app.registered_commands])
    cli.app.command()(command.count)
    out = tmp_path / "counts.tsv"
    how = ("--tokenizer", "tiny-causal")
    assert cli.main(["count", "a dog", "a", *how, "-o", str(out)]) == 0
    counts = [line.split("\t") for line in out.read_text(encoding="utf-8").splitlines()]
    assert [text for _, text in counts] == ["a dog", "a"] and int(counts[0][0]) > int(counts[1][0])
    assert cli.main(["count", "--tokenizer", "tiny-causal"]) == 2
    assert "Missing argument" in capsys.readouterr().err


def test_the_files_named_are_there() -> None:
    yours = {
        "ergotext/tasks/count.py",
        "ergotext/commands/count.py",
        "tests/commands/test_count.py",
    }
    named = set(re.findall(r"`((?:ergotext|tests|docs|benchmarks|constraints)/[\w/.-]*)", TEXT))
    assert len(named - yours) > 15
    assert not [path for path in named - yours if not (ROOT / path).exists()]
    short = set(re.findall(r"`((?:lm|support|samplers|tasks|commands)/[\w/]+\.py)`", TEXT))
    assert short and not [path for path in short if not (ROOT / "ergotext" / path).exists()]
