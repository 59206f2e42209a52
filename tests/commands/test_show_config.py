"""``sample --show-config``: flag before file before default, and from where each value came."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from ergotext.cli import main
from ergotext.tasks import config
from tests.faulty import load_with_fault

FILE = """
sampler = "mh"
steps = 50
context = "It was cold."
[energy]
length = { mean = 9, sd = 2.0 }
[options]
temperature = 0.5
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    Path("run.toml").write_text(FILE, encoding="utf-8")
    return "run.toml"


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[dict[str, str], str]:
    assert main(["sample", *arguments, "--show-config"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    lines = [line for line in out.splitlines() if line.startswith("# ")]
    return dict(line[2:].split(": ", 1) for line in lines), out


def test_where_each_value_came_from(capsys, file: str) -> None:
    sources, out = shown(capsys, "--config", file, "--steps", "80", "--keyword", "dog",
                         "--option", "temperature=0.7")  # fmt: skip
    assert sources["the command line"] == "steps, energy.keywords, options.temperature"
    assert sources[file] == "context, sampler, energy.length"
    assert sources["defaults"].split(", ")[:2] == ["model", "device"]
    told = tomllib.loads(out)
    assert told["steps"] == 80 and told["sampler"] == "mh" and told["model"] == "smollm2"
    assert told["energy"] == {"fluency": 1.0, "keywords": ["dog"], "length": {"mean": 9, "sd": 2.0}}
    assert told["options"] == {"temperature": 0.7}


def test_what_is_shown_is_a_file_of_the_same_run(capsys, file: str) -> None:
    _, first = shown(capsys, "--config", file, "--steps", "80")
    Path("again.toml").write_text(first, encoding="utf-8")
    sources, again = shown(capsys, "--config", "again.toml")
    assert tomllib.loads(again) == tomllib.loads(first) and sources.keys() == {"again.toml"}


def test_a_default_sampler_is_shown_too(capsys) -> None:
    sources, out = shown(capsys, "--regex", " [a-z]{3}")
    assert tomllib.loads(out)["sampler"] == "smc" and sources["the command line"] == "energy.regex"


def test_nothing_is_run(capsys, file: str, monkeypatch) -> None:
    monkeypatch.setattr(
        "ergotext.commands.sample.load", lambda *_: pytest.fail("a model is loaded")
    )
    shown(capsys, "--config", file, "--checkpoint", "run.ckpt")
    assert sorted(path.name for path in Path.cwd().iterdir()) == ["run.toml"]


@pytest.mark.parametrize(
    "change",
    [
        ('"the command line" if name in given', '"the command line" if name not in given'),
        ('inner = value if name in ("energy", "options")', "inner = None if name"),
    ],
)  # fmt: skip
def test_faults_are_seen(capsys, file, monkeypatch, change: tuple[str, str]) -> None:
    monkeypatch.setattr(config, "shown", load_with_fault("tasks.config", change).shown)
    with pytest.raises((AssertionError, KeyError)):
        test_where_each_value_came_from(capsys, file)
