"""``ergotext paraphrase`` in process on a small model; words tell closeness of meaning."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ergotext.cli import main

TEXT = "The summer sun shone on the beach"


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], model_folder: Path):
    def run(*arguments: str) -> tuple[int, str, str]:
        small = ["--model", str(model_folder), "--chains", "2", "--steps", "30"]
        code = main(["paraphrase", *small, "--similarity", "words", *arguments])
        return code, *capsys.readouterr()

    return run


def test_other_words(call) -> None:
    code, out, err = call(TEXT, "--json", "-n", "2")
    records = [json.loads(line) for line in out.splitlines()]
    assert code == 0 and len(records) == 2 and "annealing, 2 chains × 30 steps" in err
    for one in records:
        assert one["paraphrase_of"] == TEXT != one["text"]
        assert {"fluency", "difference", "length"} <= set(one["terms"])
    assert call(TEXT, "--json", "-n", "2")[1] == out
    assert "log p" in call(TEXT)[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Missing argument"),
        ([""], "no words to paraphrase"),
        (["</s>"], "cannot spell"),
        ([TEXT, "--max-seconds", "0"], "time limit"),
        ([TEXT, "--similarity", "./nothere"], "nothere"),
        ([TEXT, "--similarity", ""], "similarity is empty"),
        ([TEXT, "--similarity", " "], "similarity is empty"),
        ([f"{TEXT} " * 9], "context window leaves"),
    ],
)
def test_usage_errors_are_one_line_and_exit_2(call, arguments, message) -> None:
    code, out, err = call(*arguments)
    assert code == 2 and out == "" and message in err, err
    assert err.startswith("ergotext: ") and err.count("\n") == 1, err
