"""``--config`` and ``--show-config`` of every command: flag before file before default."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer

from ergotext.cli import app, main
from ergotext.commands import config_file
from ergotext.commands.config_file import ConfigurableCommand, configurable
from ergotext.commands.console import GlobalOptions, run
from ergotext.commands.help import of
from tests.faulty import load_with_fault


def commands() -> dict[str, Any]:
    """Every command that reads a file, with the name that a user types."""
    root: Any = typer.main.get_command(app)
    index = root.commands["index"].commands
    found = root.commands | {f"index {name}": one for name, one in index.items()}
    return {name: one for name, one in found.items() if isinstance(one, ConfigurableCommand)}


ALL = commands()


class Case(NamedTuple):
    """An option of a command with a value of each source, and arguments without which none runs."""

    key: str
    default: Any
    file: Any
    flag: Any
    more: str


CASES = {
    "write": Case("particles", None, 12, 3, "dog"),
    "serve": Case("port", 8000, 8080, 9000, ""),
    "infill": Case("max_seconds", None, 2.5, 3.0, "a___b"),
    "paraphrase": Case("similarity", "auto", "words", "minilm", "text"),
    "generate": Case("n", 1, 4, 5, "prompt"),
    "retrieve": Case("index", None, "a.ergo", "b.ergo", "question"),
    "evaluate": Case("beams", 10, 3, 4, "questions.jsonl"),
    "calibrate": Case("none", 0.1, 0.2, 0.3, "questions.jsonl -i a.ergo"),
    "index build": Case("columns", "subject,predicate,object", "key", "a,b", "lines.tsv -o a.ergo"),
    "train": Case("cool_down", 0.3, 0.5, 0.25, "questions.jsonl -i a -o b"),
    "read": Case("k", 3, 1, 2, "passage.txt question"),
    "diagnose": Case("minutes", 15.0, 1.0, 2.0, "tiny-causal"),
}


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def toml(text: str) -> list[str]:
    Path("run.toml").write_text(text, encoding="utf-8")
    return ["--config", "run.toml"]


def taken(name: str, arguments: list[str]) -> dict[str, Any]:
    """The options with which a command would run, by their names in a file."""
    command: Any = {**commands()}[name]
    with command.make_context(name, arguments, obj=GlobalOptions()) as context:
        options = config_file.options_of(context)
        return {key: config_file._plain(context.params[one.name]) for key, one in options.items()}


def check_order(name: str) -> None:
    case = CASES[name]
    more = case.more.split()
    file = toml(f"{case.key} = {json.dumps(case.file)}\n")
    dashes = "-" if len(case.key) == 1 else "--"
    flag = [f"{dashes}{case.key.replace('_', '-')}", str(case.flag)]
    given = [case.default, case.file, case.flag]
    for arguments, value in zip([[], file, [*file, *flag]], given, strict=True):
        if case.key == "index" and not arguments:
            continue  # it must be given
        assert taken(name, [*more, *arguments])[case.key] == value


@pytest.mark.parametrize("name", ALL)
def test_a_flag_comes_before_the_file_and_the_file_before_the_default(name: str) -> None:
    check_order(name)


def test_every_command_with_options_reads_a_file() -> None:
    assert CASES.keys() == ALL.keys()
    assert {"sample", "samplers", "doctor", "index info"}.isdisjoint(ALL)


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[dict[str, str], Any]:
    """Where the values come from, and the values."""
    assert main([*arguments, "--show-config"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    lines = [line for line in out.splitlines() if line.startswith("# ")]
    return dict(line[2:].split(": ", 1) for line in lines), tomllib.loads(out)


def check_sources(capsys: pytest.CaptureFixture[str]) -> None:
    file = toml('particles = 12\nmax-seconds = 5\nwithout = ["cat", "it is"]\njson = true\n')
    sources, told = shown(
        capsys, "write", "dog", *file, "--particles", "3", "--dtype", "bfloat16", "-o", "a.jsonl"
    )
    assert sources["run.toml"] == "without, max_seconds, json"
    assert sources["the command line"] == "particles, dtype, output"
    assert sources["defaults"].startswith("in_order, forms, end, sampler")
    assert told["particles"] == 3 and told["without"] == ["cat", "it is"] and told["json"] is True
    assert told["max_seconds"] == 5 and told["dtype"] == "bfloat16" and told["output"] == "a.jsonl"
    assert "context" not in told, "what nobody gave has no value in TOML"
    assert told["in_order"] is False and told["sampler"] == "smc"
    assert not Path("a.jsonl").exists()


def test_where_each_value_comes_from(capsys) -> None:
    check_sources(capsys)


@pytest.mark.parametrize("name", ALL)
def test_what_is_shown_is_a_file_of_the_same_run(name: str, capsys) -> None:
    """Arguments are not asked for: a look at the defaults needs none."""
    case = CASES[name]
    _, first = shown(capsys, *name.split(), *toml(f"{case.key} = {json.dumps(case.file)}\n"))
    assert main([*name.split(), "--config", "run.toml", "--show-config"]) == 0
    Path("again.toml").write_text(capsys.readouterr().out, encoding="utf-8")
    sources, again = shown(capsys, *name.split(), "--config", "again.toml")
    assert again == first and sources.keys() == {"again.toml"}
    assert again[case.key] == case.file


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("particels = 3", "run.toml: unknown name 'particels'; the known ones are in_order, "),
        ("particels = 3", "; did you mean 'particles'?"),
        ("[energy]\nlength = 3", "unknown name 'energy'"),
        ('particles = "3"', "run.toml: particles must be an integer, got '3'"),
        ("particles = true", "run.toml: particles must be an integer, got True"),
        ("json = 1", "run.toml: json must be true or false, got 1"),
        ("words = 8", "run.toml: words must be a text, got 8"),
        ('without = "cat"', "run.toml: without must be a list, got 'cat'"),
        ("without = [3]", "run.toml: without must be a text, got 3"),
        ("max_seconds = '3'", "run.toml: max_seconds must be a number, got '3'"),
        ("n = 0", "Invalid value for n in run.toml: must be at least 1, got 0"),
        ("sampler = 'smcc'", "Invalid value for sampler in run.toml: 'smcc' is not one of"),
        ("sampler = 'smcc'", "; did you mean 'smc'?"),
        ("max-seconds = 3\nmax_seconds = 3", "max_seconds is given twice, with - and with _"),
        ("x = [", "cannot read run.toml (not TOML: "),
    ],
)
@pytest.mark.parametrize("more", [[], ["--show-config"]])
def test_a_file_that_cannot_be(text: str, said: str, more: list[str], capsys) -> None:
    assert main(["write", "dog", *toml(text), *more]) == 2
    out, err = capsys.readouterr()
    assert out == "" and said in err and len(err.splitlines()) == 1


def test_a_flag_that_cannot_be_is_no_fault_of_the_file(capsys) -> None:
    assert main(["write", "dog", *toml("n = 2"), "-n", "0"]) == 2
    assert "Invalid value for '-n': must be at least 1, got '0'" in capsys.readouterr().err


def test_a_file_that_is_not_there(capsys) -> None:
    assert main(["infill", "a ___", "--config", "run.tml"]) == 2
    assert "cannot read run.tml (No such file" in capsys.readouterr().err


def test_a_switch_of_the_file_is_turned_off() -> None:
    file = toml("json = true\nin_order = true")
    on = taken("write", ["dog", *file])
    off = taken("write", ["dog", *file, "--no-json", "--no-in-order"])
    assert (on["json"], on["in_order"], off["json"], off["in_order"]) == (True, True, False, False)


def test_what_must_be_given_may_stand_in_the_file(capsys) -> None:
    assert taken("retrieve", ["q", *toml('index = "a.ergo"')])["index"] == "a.ergo"
    assert main(["retrieve", "q", *toml("k = 2")]) == 2
    assert "--index" in capsys.readouterr().err


def test_the_file_is_not_written_over(capsys) -> None:
    text = 'columns = "key"\n'
    file = toml(text)
    Path("lines.txt").write_text("a\n", encoding="utf-8")
    assert main(["index", "build", "lines.txt", *file, "-o", "./run.toml"]) == 2
    assert "run.toml is also another file of this command" in capsys.readouterr().err
    assert Path("run.toml").read_text(encoding="utf-8") == text


def test_an_index_is_built_by_its_file(capsys) -> None:
    Path("lines.txt").write_text("Paris\nRome\n", encoding="utf-8")
    file = toml('columns = "key"\noutput = "titles.ergo"\n')
    assert main(["index", "build", "lines.txt", *file]) == 0
    assert "2 keys" in capsys.readouterr().out and Path("titles.ergo").is_file()


def test_a_text_is_written_by_its_file(capsys) -> None:
    file = toml('model = "tiny-causal"\nparticles = 8\nn = 1\njson = true\ncontext = ""\n')
    assert main(["write", "dog", *file]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert "dog" in json.loads(line)["text"]


def test_a_shell_that_completes_reads_no_file() -> None:
    command: Any = ALL["write"]
    arguments = ["--config", "no.toml"]
    context = command.make_context("write", arguments, resilient_parsing=True, obj=GlobalOptions())
    assert context.default_map is None


def test_a_command_without_groups(capsys) -> None:
    seen: list[tuple[str, int]] = []
    small = typer.Typer(add_completion=False)

    def act(name: str, often: int = 1) -> None:
        """What it does."""
        seen.append((name, often))

    small.command(**of("doctor", ConfigurableCommand))(configurable(act))
    assert run(small, ["a", *toml("often = 3")]) == 0 and run(small, ["b"]) == 0
    assert seen == [("a", 3), ("b", 1)]
    assert run(small, ["--help"]) == 0 and "What it does." in capsys.readouterr().out


def check_names() -> None:
    """What is --words here is called otherwise in the code."""
    assert taken("write", ["dog", *toml('words = "8-15"\nn = 2')])["words"] == "8-15"


def test_names_are_those_of_the_flags() -> None:
    check_names()


@pytest.mark.parametrize(
    "change",
    [
        ("context.default_map = {", "context.meta = {"),
        ("{options[key].name: value", "{key: value"),
    ],
)
def test_faults_of_reading_are_seen(monkeypatch, change: tuple[str, str]) -> None:
    faulty = load_with_fault("commands.config_file", change)
    monkeypatch.setattr(config_file._read, "__code__", faulty._read.__code__)
    with pytest.raises((AssertionError, AttributeError)):
        check_names()


@pytest.mark.parametrize(
    "change",
    [
        ('"COMMANDLINE": "the command line"', '"DEFAULT": "the command line"'),
        ("if value not in (None, [])", "if value"),
        ("return value.value", "return str(value.name) + '!'"),
    ],
)
def test_faults_of_showing_are_seen(capsys, monkeypatch, change: tuple[str, str]) -> None:
    faulty = load_with_fault("commands.config_file", change)
    monkeypatch.setattr(config_file, "shown", faulty.shown)
    with pytest.raises((AssertionError, KeyError)):
        check_sources(capsys)
