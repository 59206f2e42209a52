"""Several texts in one command: where nothing is found for one, the others go on."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from ergotext.cli import main
from ergotext.commands import texts
from ergotext.samplers.weighted.samples import ZeroWeightError
from ergotext.tasks import infill as filling
from ergotext.tasks import searching
from ergotext.tasks import write as writing
from tests.faulty import load_with_fault

GIVEN = {
    "write": ('["dog"]\n["sun", "sea"]\n["cat"]\n', "'sun, sea'", "keyword sets got no text"),
    "infill": (
        "A ___ ran.\nThe ___ sat.\nOne ___ more.\n", "'The ___ sat.'", "texts got no filling"
    ),
}  # fmt: skip


def test_what_chinese_commas_part_is_told_to_be_one() -> None:
    assert texts.joined(["妈妈", "ice cream, please"]) == ""
    assert texts.joined(["妈妈，厨房", "b"]).startswith(
        "('妈妈，厨房' is read as one: give several"
    )


def test_a_script_that_a_model_spells_byte_by_byte_is_told() -> None:
    def of(pieces: int) -> SimpleNamespace:
        return SimpleNamespace(vocabulary=SimpleNamespace(encode=lambda text: pieces * [*text]))

    assert "'妈妈'" in texts.script_note(of(2), ["妈妈 and 1"])
    assert texts.script_note(of(1), ["妈妈"]) == texts.script_note(of(3), ["été ö 1", ""]) == ""


@pytest.mark.parametrize(
    ("command", "lines", "heads"),
    [
        ("write", '["dog", "sun"]\n["cat"]\n', ["> dog, sun", "> cat"]),
        ("infill", " A ___ ran.\nThe ___ sat.\n", ["> A ___ ran.", "> The ___ sat."]),
        ("paraphrase", "The dog sat.\nA cat ran.\n", ["> The dog sat.", "> A cat ran."]),
    ],
)
def test_each_of_several_is_named(
    command: str, lines: str, heads: list[str], capsys, monkeypatch, model_folder: Path
) -> None:
    more = ["--similarity", "words", "--min-similarity", "0"] if command == "paraphrase" else []
    call = [command, "-", "--particles", "4", "--model", str(model_folder), *more]
    for as_json in (False, True):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines.encode())))
        assert main([*call, *["--json"] * as_json]) == 0
        out = capsys.readouterr().out.splitlines()
        assert [line for line in out if line in heads] == ([] if as_json else heads)


@pytest.mark.parametrize("command", ["write", "infill", "paraphrase"])
def test_the_notes_of_a_command(command: str, capsys, monkeypatch, model_folder: Path) -> None:
    monkeypatch.setattr(f"ergotext.commands.{command}.script_note", lambda *_: "(no such script)")
    given = {"write": "dog，sun", "infill": "The ___ sat.", "paraphrase": "The dog sat."}[command]
    more = ["--similarity", "words"] if command == "paraphrase" else []
    assert main([command, given, "--particles", "4", "--model", str(model_folder), *more]) <= 1
    told = capsys.readouterr().err
    assert told.count("(no such script)") == 1 and ("is read as one" in told) == (
        command == "write"
    )


def check(
    command: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    model: Path,
    task: ModuleType = searching,
    shown: ModuleType = texts,
) -> None:
    """The second gets nothing; it is named, and the first and the third are as ever."""
    lines, named, told = GIVEN[command]
    runs, real = [0], searching.answers

    def answers(*given, **options):
        runs[0] += 1
        if runs[0] == 2:
            raise ZeroWeightError("all 8 draws have weight zero: none could")
        return real(*given, **options)

    for module in (writing, filling):
        monkeypatch.setattr(module, "answers", answers)
        monkeypatch.setattr(module, "found_or_not", task.found_or_not)
    monkeypatch.setattr("ergotext.commands.many.each_found", shown.each_found)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines.encode())))
    few = ["--model", str(model), "--particles", "8", "--json", "-n", "1"]
    code = main([command, "-", *few])
    out, err = capsys.readouterr()
    records = [json.loads(line) for line in out.splitlines()]
    assert code == 1 and len(records) == 2 and runs == [3]
    if command == "write":
        assert [one["keywords"] for one in records] == [["dog"], ["cat"]]
    warning = [line for line in err.splitlines() if line.startswith("warning")]
    assert warning == [f"warning: {named}: all 8 draws have weight zero: none could"]
    assert err.splitlines()[-1] == f"ergotext: 1 of 3 {told} (see the warnings)"


@pytest.mark.parametrize("command", GIVEN)
def test_others_go_on(command: str, capsys, monkeypatch, model_folder: Path) -> None:
    check(command, capsys, monkeypatch, model_folder)


def test_of_a_single_one_the_error_is_the_answer() -> None:
    error = ZeroWeightError("none could")
    with pytest.raises(ZeroWeightError, match="none could"):
        list(texts.each_found(["one"], [error], "texts got nothing"))
    with pytest.raises(ZeroWeightError, match="none could"):
        searching.only([error])


FAULTS = {
    "an error ends them all": ("tasks.searching", ("yield error", "raise error")),
    "what was given is told of another": (
        "commands.texts", ("yield number, result", "yield max(0, number - 1), result")
    ),
    "the command succeeds": ("commands.texts", ("if failed:", "if failed > 1:")),
    "the text is not named": ("commands.texts", ("warning: {about(one)}: ", "warning: ")),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_the_check_sees_it(fault: str, capsys, monkeypatch, model_folder: Path) -> None:
    name, change = FAULTS[fault]
    faulty = load_with_fault(name, change)
    parts = {"task" if name.startswith("tasks") else "shown": faulty}
    with pytest.raises(AssertionError):
        check("write", capsys, monkeypatch, model_folder, **parts)
