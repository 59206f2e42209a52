"""``ergotext read`` in process on a small model."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from ergotext.cli import main

TEXT = "The sun shone on the beach.\nA dog ran after the ball."


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], model_folder: Path, tmp_path: Path):
    (tmp_path / "passage.txt").write_text(TEXT, encoding="utf-8")

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(["read", "--model", str(model_folder), "--beams", "4", *arguments])
        return code, *capsys.readouterr()

    return run


def test_answers_stand_in_the_passage(call, tmp_path: Path) -> None:
    passage = str(tmp_path / "passage.txt")
    code, out, err = call(passage, "What ran?", "-k", "2")
    *answers, how = out.splitlines()
    assert code == 0 and err == "" and 1 <= len(answers) <= 2
    assert all(a.split("  [")[0] in TEXT for a in answers) and "p among" in how
    code, out, err = call(passage, "What ran?", "-k", "2", "--json")
    records = [json.loads(line) for line in out.splitlines()]
    assert code == 0 and "p among" in err and len(records) == len(answers)
    for one in records:
        assert [TEXT[begin:end] for begin, end in one["places"]] == [one["text"]] * len(
            one["places"]
        )
        assert one["question"] == "What ran?" and 0 < one["probability"] <= 1
        assert one["log_prob"] < 0 and one["exact"] is False


def test_standard_input_and_a_prompt(call, monkeypatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("海滩很热。".encode())))
    code, out, _ = call("-", "哪里?", "--json", "--prompt", "{passage} {question} ")
    assert code == 0 and all(json.loads(line)["text"] in "海滩很热。" for line in out.splitlines())


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("nowhere.txt", "What?"), "cannot read nowhere.txt"),
        (("passage.txt", " "), "the question is empty"),
        (("empty.txt", "What?"), "the passage is empty"),
        (("latin.txt", "What?"), "is not UTF-8"),
        (("passage.txt", "What?", "-k", "9"), "k (9) must be"),
        (("passage.txt", "What?", "--prompt", "{passage}"), "must contain {question} exactly once"),
        (("long.txt", "What?"), "96; shorten"),
        (("passage.txt", "What?" * 2000), "96; shorten"),
        (("passage.txt", "What?", "--model", "tiny-masked"), "cannot generate answers"),
    ],
)
def test_bad_input(call, tmp_path: Path, monkeypatch, arguments: tuple[str, ...], why: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty.txt").write_text("\n")
    Path("latin.txt").write_bytes("é".encode("latin-1"))
    Path("long.txt").write_text("dog " * 100)
    code, out, err = call(*arguments)
    assert code == 2 and out == "" and why in err and err.count("\n") == 1


def test_an_output_file_stays_where_nothing_is_found(call, tmp_path: Path) -> None:
    kept = tmp_path / "out.jsonl"
    kept.write_text("before")
    assert call(str(tmp_path / "nowhere"), "What?", "--json", "-o", str(kept))[0] == 2
    assert kept.read_text() == "before"
    assert call(str(tmp_path / "passage.txt"), "What?", "--json", "-o", str(kept))[0] == 0
    assert json.loads(kept.read_text().splitlines()[0])["question"] == "What?"
