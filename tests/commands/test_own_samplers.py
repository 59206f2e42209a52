"""``ergotext sample --sampler file.py:Class``, and energies of one's own as classes."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from ergotext.cli import main

OWN = '''from __future__ import annotations

from dataclasses import dataclass

import ergotext as et
from ergotext.samplers import SAMPLERS, MetropolisHastings, State


class Warm(MetropolisHastings):
    """Metropolis-Hastings that is warm by nature."""

    def __init__(self, energy, max_length=40, warmth=2.0):
        super().__init__(energy, max_length, temperature=1.0 * warmth)

    def step(self, draws, state, temperature=None):
        if state.step == 5 and self.temperature == 5:
            state.nothing
        return super().step(draws, state, temperature)


class Few(SAMPLERS["importance"]):
    """Weighted."""


class Short(et.Term):
    """A nat for every token."""

    name = "short"

    def __call__(self, batch):
        return batch.length.double()


class Late(et.Term):
    def __call__(self, batch):
        return batch.size


class Broken:
    kind = "weighted"
'''


@pytest.fixture
def call(
    capsys: pytest.CaptureFixture[str],
    model_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.chdir(tmp_path)
    Path("own.py").write_text(OWN, encoding="utf-8")

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(["sample", "--model", str(model_folder), *arguments])
        return code, *capsys.readouterr()

    return run


SHORT = ("--chains", "2", "--steps", "12", "-n", "4")


def test_a_sampler_of_ones_own_runs_and_its_record_repeats_it(call) -> None:
    how = ("--sampler", "own.py:Warm", "--option", "warmth=1.5", "-o", "out.jsonl")
    code, _, err = call(*SHORT, *how)
    assert code == 0 and err.startswith("(own.py:Warm, 2 chains × 12 steps"), err
    first = Path("out.jsonl").read_text()
    record = tomllib.loads(Path("out.run.toml").read_text())
    assert record["sampler"] == "own.py:Warm" and record["options"] == {"warmth": 1.5}
    code, _, err = call("--config", "out.run.toml", "-o", "again.jsonl")
    assert code == 0 and Path("again.jsonl").read_text() == first


def test_a_weighted_one(call) -> None:
    code, out, err = call("--sampler", "own.py:Few", "-n", "5", "--regex", "[ab]{1,3}")
    assert code == 0 and err.startswith("(own.py:Few, 5 draws"), err
    assert all("log_weight" in json.loads(line) for line in out.splitlines())


def test_an_energy_by_subclass_and_by_function(call) -> None:
    with Path("own.py").open("a", encoding="utf-8") as file:
        file.write("\n\ndef shorter(texts):\n    return [len(text) for text in texts]\n")
    Path("own.toml").write_text('[energy]\ncustom = ["own.py:Short", "own.py:shorter"]')
    code, out, err = call(*SHORT, "--config", "own.toml")
    assert code == 0, err
    for one in map(json.loads, out.splitlines()):
        assert set(one["terms"]) == {"fluency", "short", "shorter"}
        assert one["terms"]["shorter"] == len(one["text"].strip())


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--option", "warmth=5.0"], 1,
         "Warm.step of own.py failed in line 17: AttributeError: 'State' object has no"),
        (["--option", "warmth=much"], 1,
         "Warm.__init__ of own.py failed in line 13: TypeError"),
        (["--option", "cold=3"], 2, "Warm has no option cold; its options are max_length, warmth"),
        (["--sampler", "own.py:Wram"], 2, "'own.py:Wram' names no function or class"),
        (["--sampler", "nothere.py:Warm"], 2, "there is no Python file nothere.py"),
        (["--sampler", "own.py:Broken"], 2, "own.py:Broken is no sampler: give the class a kind"),
        (["--sampler", "own.py:Short"], 2, "own.py:Short is no sampler"),
        (["--sampler", "own.py:Few", "--steps", "5"], 2, "own.py:Few draws n weighted texts"),
        (["--config", "late.toml"], 1, "Late.__call__ of own.py failed in line 36"),
        (["--config", "class.toml"], 2, "functions of a list of texts or subclasses of"),
    ],
)  # fmt: skip
def test_what_goes_wrong_is_told_in_a_line(
    call, arguments: list[str], code: int, message: str
) -> None:
    Path("late.toml").write_text('[energy]\ncustom = ["own.py:Late"]')
    Path("class.toml").write_text('[energy]\ncustom = ["own.py:Broken"]')
    more = [] if "--steps" in arguments else SHORT[:4]
    got, out, err = call(*more, "--sampler", "own.py:Warm", *arguments)
    assert got == code and out == "" and err.count("\n") == 1 and message in err, err
