"""The command ``generate`` on a small model."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from ergotext.cli import main

SCHEMA = {
    "type": "object",
    "properties": {"on": {"type": "boolean"}, "age": {"enum": ["3", "4"]}},
    "required": ["on", "age"],
    "additionalProperties": False,
}


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(["generate", *arguments])
    out, err = capsys.readouterr()
    return code, out, err


@pytest.fixture
def small(model_folder: Path) -> list[str]:
    return ["--model", str(model_folder)]


def test_a_schema_and_its_fields(capsys, small, tmp_path) -> None:
    file = tmp_path / "schema.json"
    file.write_text(json.dumps(SCHEMA), encoding="utf-8")
    code, out, err = call(capsys, "A switch: ", "--schema", str(file), "--alternatives", *small)
    assert code == 0 and err == ""
    text, on, age, *_, how = out.splitlines()
    assert json.loads(text.partition("  [")[0]).keys() == {"on", "age"} and "log p -" in text
    assert on.startswith("  on: ") and "true " in on and "false " in on
    assert age.startswith("  age: ") and how.startswith("(") and "probable" in how
    code, out, err = call(
        capsys, "A switch: ", "--schema", json.dumps(SCHEMA), "--json", "-n", "2", *small
    )
    one, two = map(json.loads, out.splitlines())
    assert code == 0 and one["value"] == json.loads(one["text"]) != two["value"]
    assert one["probability"] >= two["probability"] and one["prompt"] == "A switch: "
    assert one["bounds"][0] <= one["bounds"][1] and "probable" in err


def test_choices_of_several_prompts(capsys, small, monkeypatch) -> None:
    given = io.TextIOWrapper(io.BytesIO(b"It is\n\nThe sun is\n"))
    monkeypatch.setattr(sys, "stdin", given)
    code, out, _ = call(capsys, "-", "--choice", " on", "--choice", " no", "--json", *small)
    records = [json.loads(line) for line in out.splitlines()]
    assert code == 0 and [one["prompt"] for one in records] == ["It is", "The sun is"]
    for one in records:
        assert {*one["alternatives"]} == {" on", " no"} and one["value"] in (" on", " no")
        low, high = (sum(b[k] for b in one["alternatives"].values()) for k in (0, 1))
        assert low <= 1 <= high and high - low < 1e-3


def test_a_prompt_that_fails_is_warned_of(capsys, small, monkeypatch) -> None:
    given = io.TextIOWrapper(io.BytesIO(b"It is\n" + b"It is " * 99 + b"\nThe sun\n"))
    monkeypatch.setattr(sys, "stdin", given)
    code, out, err = call(capsys, "-", "--regex", "on|no", "--json", *small)
    assert code == 1 and [json.loads(x)["prompt"] for x in out.splitlines()] == ["It is", "The sun"]
    warning, *_, last = [line for line in err.splitlines() if not line.startswith("(")]
    assert warning.startswith("warning: 'It is It is") and "shorten the prompt" in warning
    assert last == "ergotext: 1 of 3 prompts got no text (see the warnings)"


def test_draws_by_a_regex_and_a_grammar(capsys, small, tmp_path) -> None:
    how = ("--method", "sample", "-n", "3", "--seed", "7", *small)
    first = call(capsys, "x", "--regex", "[ab]{2}", *how)
    assert first[0] == 0 and call(capsys, "x", "--regex", "[ab]{2}", *how) == first
    texts = [line.partition("  [")[0] for line in first[1].splitlines()[:3]]
    assert all(len(text) == 2 and {*text} <= {*"ab"} for text in texts)
    grammar = tmp_path / "g.lark"
    grammar.write_text('start: "a" | "b" start', encoding="utf-8")
    code, out, _ = call(capsys, "x", "--grammar", str(grammar), "--max-tokens", "4", *small)
    assert code == 0 and out.split("  [")[0].strip("b") == "a"


def test_keys_of_an_index(capsys, small, tmp_path, model_folder) -> None:
    (tmp_path / "kb.tsv").write_text("sun\tstar\ndog\tanimal\n", encoding="utf-8")
    index = tmp_path / "kb.ergo"
    built = ["index", "build", str(tmp_path / "kb.tsv"), "-o", str(index), "--columns",
             "key,object", "--tokenizer", str(model_folder)]  # fmt: skip
    assert main(built) == 0
    capsys.readouterr()
    code, out, err = call(capsys, "It is the ", "-i", str(index), "--json", "-n", "2", *small)
    assert code == 0, err
    found = {one["text"]: one["value"] for one in map(json.loads, out.splitlines())}
    assert found == {"sun": ["star"], "dog": ["animal"]}


def test_estimates_and_warnings(capsys, small) -> None:
    how = ("--regex", "[a-z ]{1,30}", "--max-tokens", "12", *small)
    code, out, err = call(capsys, "x", "--particles", "8", *how)
    assert code == 0 and "[p " in out and err.startswith("warning: ")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ([], "give one of --schema, --regex, --choice, --grammar, --index; got none"),
        (["--regex", "a", "--choice", "b"], "--index; got --regex and --choice"),
        (["--regex", "a", "--chat"], "this model has no chat template"),
        (["--regex", "a", "--max-tokens", "96"], "the window of this model has 96"),
        (["--regex", "a{50}c", "--max-tokens", "9"], "no text that satisfies the constraint"),
    ],
)
def test_what_is_wrong_is_said(capsys, small, more, message) -> None:
    code, out, err = call(capsys, "x", *more, *small)
    assert code in (1, 2) and out == "" and message in err and err.count("\n") == 1


def test_a_form_with_keys_of_an_index(capsys, small, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "names.txt").write_text("the sun\na dog\n", encoding="utf-8")
    assert main(["index", "build", "names.txt", "-o", "names.ergo", "--columns", "key"]) == 0
    (tmp_path / "g.lark").write_text('start: "It is " %index "names.ergo" "."', encoding="utf-8")
    schema = json.dumps({"type": "string", "x-index": "names.ergo"})
    capsys.readouterr()
    for constraint in (["--schema", schema], ["--grammar", "g.lark"]):
        code, out, _ = call(capsys, "x", *constraint, "--json", "-n", "2", *small)
        values = {json.loads(line)["value"] for line in out.splitlines()}
        assert code == 0 and {v.removeprefix("It is ").rstrip(".") for v in values} == {
            "the sun", "a dog"
        }  # fmt: skip
    before = (tmp_path / "names.ergo").read_bytes()
    code, _, err = call(capsys, "x", "--schema", schema, "-o", "names.ergo", *small)
    assert code == 2 and "also an input" in err and (tmp_path / "names.ergo").read_bytes() == before
    code, _, err = call(capsys, "x", "--schema", '{"x-index": "none"}', *small)
    assert code == 2 and err.startswith("ergotext: cannot read the index none (No such file")
    assert err.count("\n") == 1


def test_progress_of_several_prompts(capsys, small, monkeypatch) -> None:
    """A bar counts prompts on a terminal, and results stand in lines of their own."""
    given = io.TextIOWrapper(io.BytesIO(b"It is\nThe sun is\n"))
    monkeypatch.setattr(sys, "stdin", given)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    code, out, err = call(capsys, "-", "--choice", " on", "--choice", " no", *small)
    assert code == 0 and out.count("(proven to be the most probable)\n") == 2
    assert "generating: 100%" in err and "2/2" in err
