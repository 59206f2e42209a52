"""The help of every command: examples that parse, groups of options, exit codes; completion."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import shellingham
import typer

from ergotext.cli import app, main
from ergotext.commands import help as ours
from ergotext.commands.help import EXAMPLES, EXIT_CODES
from tests.faulty import load_with_fault


def commands() -> Iterator[tuple[str, Any]]:
    """Every command, with the name that a user types."""
    root: Any = typer.main.get_command(app)
    for name, one in root.commands.items():
        inner = getattr(one, "commands", None)
        if inner is None:
            yield name, one
        else:
            yield from ((f"{name} {each}", two) for each, two in inner.items())


ALL = dict(commands())


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main([*arguments, "--help"]) == 0
    return capsys.readouterr().out


def test_every_command_has_examples() -> None:
    assert ALL.keys() == EXAMPLES.keys()


@pytest.mark.parametrize("name", ALL)
def test_examples_parse(name: str) -> None:
    """Every option of an example is one of its command; nothing is run."""
    for line in EXAMPLES[name]:
        call = line.partition(" | ")[2] if not line.startswith("ergotext") else line
        words = shlex.split(call.partition(" < ")[0])
        assert words[0] == "ergotext" and " ".join(words[1 : 1 + len(name.split())]) == name
        context = ALL[name].make_context(name, words[1 + len(name.split()) :])
        assert context.command is ALL[name]


@pytest.mark.parametrize("name", ALL)
def test_help_ends_with_examples_as_they_are_typed(capsys, name: str) -> None:
    text = shown(capsys, *name.split())
    assert text.endswith("Examples:\n" + "".join(f"  {line}\n" for line in EXAMPLES[name]))


def check_groups(text: str) -> None:
    titles = [line[:-1] for line in text.splitlines() if line[:1].isupper() and line[-1:] == ":"]
    assert titles == [
        "Arguments", "Text", "Search", "Model", "Work", "Output", "Options", "Examples",
    ]  # fmt: skip
    between = text.partition("\nSearch:\n")[2].partition("\nModel:\n")[0]
    assert "--particles" in between and "--model" not in between and "--forms" not in between
    assert "-h, --help" in text.partition("\nOptions:\n")[2]


def check_help(capsys: pytest.CaptureFixture[str]) -> None:
    check_groups(shown(capsys, "write"))
    test_help_ends_with_examples_as_they_are_typed(capsys, "write")


def test_options_stand_in_groups(capsys) -> None:
    check_groups(shown(capsys, "write"))
    answers = shown(capsys, "retrieve")
    assert "\nProbabilities:\n" in answers and "\nAnswers:\n" in answers
    assert "[OPTIONS] {QUESTION}...\n" in answers


@pytest.mark.parametrize(
    "change",
    [
        ('getattr(one, "rich_help_panel", None) or OTHERS', "OTHERS"),
        ("others = sections.pop(OTHERS, [])", "others = list[tuple[str, str]]()"),
        ('"".join(f"  {line}\\n" for line in', '"".join(f"{line} " for line in'),
    ],
)
def test_faults_are_seen(capsys, monkeypatch, change: tuple[str, str]) -> None:
    faulty = load_with_fault("commands.help", change)
    for name in ("format_options", "format_epilog"):
        monkeypatch.setattr(ours.HelpfulCommand, name, getattr(faulty.HelpfulCommand, name))
    with pytest.raises(AssertionError):
        check_help(capsys)


def test_exit_codes_are_stated(capsys) -> None:
    text = " ".join(shown(capsys).split())
    assert EXIT_CODES in text and "2 wrong input" in text and "130 after Ctrl-C" in text


def test_completion_by_the_shell() -> None:
    """As bash asks: with the words so far in the environment."""

    def asked(words: str) -> list[str]:
        told = {"_ERGOTEXT_COMPLETE": "complete_bash", "COMP_WORDS": words}
        told["COMP_CWORD"] = str(len(words.split(" ")) - 1)
        done = subprocess.run(
            [sys.executable, "-m", "ergotext"], env={**os.environ, **told},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        return done.stdout.split()

    assert asked("ergotext wri") == ["write"] and asked("ergotext index ver") == ["verify"]
    assert asked("ergotext write --wi") == ["--without"]


def test_completion_script(capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    """In whatever shell the tests run, which is the one that is asked about."""
    monkeypatch.setattr(shellingham, "detect_shell", lambda: ("bash", "/bin/bash"))
    assert main(["--show-completion"]) == 0
    assert "_ERGOTEXT_COMPLETE=complete_bash" in capsys.readouterr().out
