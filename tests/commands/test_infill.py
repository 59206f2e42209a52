"""``ergotext infill`` in process on a small model."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from ergotext.cli import main
from ergotext.lm.energies.template_parts import Parts

PARTS = Parts.of("The ___ sat on the ___ .")


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], model_folder: Path):
    def run(*arguments: str) -> tuple[int, str, str]:
        small = ["--particles", "8"]
        if {"annealing", "mh"} & set(arguments):
            small = ["--chains", "2", "--steps", "8"]
        code = main(["infill", "--model", str(model_folder), *small, *arguments])
        return code, *capsys.readouterr()

    return run


def feed(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))


@pytest.mark.parametrize(
    ("chosen", "named"),
    [([], "smc, 8 particles"), (["--sampler", "annealing"], "annealing, 2 chains × 8 steps")],
)
def test_what_is_given_stays(call, chosen: list[str], named: str) -> None:
    code, out, err = call("The ___ sat on the ___ .", "-n", "2", *chosen)
    *texts, how = out.splitlines()
    assert code == 0 and err == "" and len(set(texts)) == 2
    for text in texts:
        filled = PARTS.fillings(text.split("  [log p")[0])
        assert filled and len(filled) == 2 and all(part.strip() == part != "" for part in filled)
    assert named in how


@pytest.mark.parametrize("sampler", ["smc", "annealing", "mh"])
def test_json_names_what_stands_in_the_blanks(call, sampler: str) -> None:
    text = "A ___{2} ran after the ___{1,2}."
    code, out, err = call(text, "--json", "--sampler", sampler)
    records = [json.loads(line) for line in out.splitlines()]
    assert code == 0 and f"({sampler}, " in err and records
    for one in records:
        two, more = one["blanks"]
        assert one["text"] == f"A {two} ran after the {more}."
        assert len(two.split()) == 2 and 1 <= len(more.split()) <= 2
        assert one["terms"]["template"] == 0
    assert call(text, "--json", "--sampler", sampler)[1] == out


def test_texts_from_stdin(call, monkeypatch) -> None:
    feed(monkeypatch, "A dog ___.\n\n海滩___很热。\n")
    code, out, _ = call("-", "--json", "-n", "1")
    first, second = map(json.loads, out.splitlines())
    assert code == 0 and first["text"].startswith("A dog ")
    assert second["text"] == f"海滩{second['blanks'][0]}很热。"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Missing argument"),
        (["The cat sat."], "no blank"),
        (["The ___ ___ cat"], "are adjacent"),
        (["The ___{0} cat"], "at least one word"),
        (["a\x07 ___"], "control character"),
        (["The ___ cat", "--sampler", "beam"], "annealing"),
        (["The ___ cat", "--chains", "2"], "goes with the sampler annealing"),
        (["The ___ cat", "--sampler", "mh", "--max-seconds", "0"], "time limit"),
        (["The ___ cat", "--context", "long " * 200], "token positions"),
        (["The ___ </s>"], "cannot spell"),
        (["___", "--model", "./nothere"], "does not exist"),
    ],
)
def test_usage_errors_are_one_line_and_exit_2(call, arguments, message) -> None:
    code, out, err = call(*arguments)
    assert code == 2 and out == "" and message in err
    assert err.startswith("ergotext: ") and err.count("\n") == 1, err


def test_empty_standard_input(call, monkeypatch) -> None:
    feed(monkeypatch, " \n")
    code, _, err = call("-")
    assert code == 2 and "no text on standard input" in err
