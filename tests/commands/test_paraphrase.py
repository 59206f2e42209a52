"""``ergotext paraphrase`` in process on a small model; words tell closeness of meaning."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ergotext.cli import main
from ergotext.support.words import as_line

TEXT = "The summer sun shone on the beach"


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], model_folder: Path):
    def run(*arguments: str) -> tuple[int, str, str]:
        small = ["--chains", "2", "--steps", "30"] if "annealing" in arguments else []
        small += ["--model", str(model_folder), "--similarity", "words"]
        code = main(["paraphrase", *small, *arguments])
        return code, *capsys.readouterr()

    return run


LOOSE = ["--min-similarity", "0"]
"""A model of random weights keeps no words of a text."""


@pytest.mark.parametrize(
    ("chosen", "named"),
    [
        (["--particles", "8", *LOOSE], "smc, 8 particles"),
        (["--sampler", "annealing"], "annealing, 2 chains × 30 steps"),
    ],
)
def test_other_words(call, chosen: list[str], named: str) -> None:
    code, out, err = call(TEXT, "--json", "-n", "2", *chosen)
    records = [json.loads(line) for line in out.splitlines()]
    assert code == 0 and len(records) == 2 and named in err
    for one in records:
        assert one["paraphrase_of"] == TEXT != one["text"] and 0 < one["similarity"] <= 1
        assert {"fluency", "difference", "length"} <= set(one["terms"])
    *texts, how = call(TEXT, "-n", "2", *chosen)[1].splitlines()
    assert named in how
    for one, line in zip(records, texts, strict=True):
        assert line == (
            f"{as_line(one['text'])}  [similarity {one['similarity']:.2f}, log p "
            f"{one['log_prob']:.1f}, {one['log_prob_per_token']:.2f} a token, energy "
            f"{one['energy']:.1f}]"
        )


def test_nothing_close_is_one_line(call) -> None:
    code, out, err = call(TEXT, "--particles", "2", "--min-similarity", "1")
    assert code == 1 and out == "" and "use more particles" in err and err.count("\n") == 1


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_a_run_that_found_nothing_else_says_so(
    call, form: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ergotext.tasks.paraphrase.words_of", lambda _: ["rain"])
    code, out, err = call(TEXT, "--particles", "4", *LOOSE, *form)
    assert code == 0 and "similarity" not in out and "warning: no other wording was found" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Missing argument"),
        ([""], "no words to paraphrase"),
        (["</s>"], "cannot spell"),
        ([TEXT, "--max-seconds", "1"], "goes with the sampler annealing"),
        ([TEXT, "--sampler", "annealing", "--max-seconds", "0"], "time limit"),
        ([TEXT, "--sampler", "beam"], "annealing"),
        ([TEXT, "--min-similarity", "1.5"], "from 0 to 1"),
        ([TEXT, "--similarity", "./nothere"], "nothere"),
        ([TEXT, "--similarity", ""], "similarity is empty"),
        ([TEXT, "--similarity", " "], "similarity is empty"),
        ([f"{TEXT} " * 9], "token positions"),
        ([f"{TEXT} " * 9, "--sampler", "annealing"], "context window leaves"),
    ],
)
def test_usage_errors_are_one_line_and_exit_2(call, arguments, message) -> None:
    code, out, err = call(*arguments)
    assert code == 2 and out == "" and message in err, err
    assert err.startswith("ergotext: ") and err.count("\n") == 1, err
