"""``ergotext paraphrase`` in process on a small model; words tell closeness of meaning."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from ergotext.cli import main
from ergotext.support.words import as_line
from ergotext.tasks.encoders import missing_encoder
from tests.faulty import load_with_fault

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
    monkeypatch.setattr("ergotext.tasks.wordings.words_of", lambda _: ["rain"])
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
        (["word " * 61], "has 61 words, but at most 60"),
        ([f"{TEXT} " * 8], "context window leaves"),
        ([f"{TEXT} " * 8, "--sampler", "annealing"], "context window leaves"),
    ],
)
def test_usage_errors_are_one_line_and_exit_2(call, arguments, message) -> None:
    code, out, err = call(*arguments)
    assert code == 2 and out == "" and message in err, err
    assert err.startswith("ergotext: ") and err.count("\n") == 1, err


def feed(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))


def test_texts_from_stdin(call, monkeypatch) -> None:
    """Each gets what it gets on its own."""
    few = ["--particles", "6", *LOOSE, "--json", "-n", "1"]
    feed(monkeypatch, f"{TEXT}\n\n海滩很热。\n")
    code, out, err = call("-", *few)
    records = [json.loads(line) for line in out.splitlines()]
    assert code == 0 and err.count("(smc, 6 particles") == 2
    assert [one["paraphrase_of"] for one in records] == [TEXT, "海滩很热。"]
    assert [json.loads(call(one["paraphrase_of"], *few)[1]) for one in records] == records


def check_that_others_go_on(call, monkeypatch: pytest.MonkeyPatch) -> None:
    """A text that nothing came close to is named; the next ones have their paraphrases."""
    feed(monkeypatch, f"The dog is not a cat\n{TEXT}\n")
    code, out, err = call("-", "--particles", "6", *LOOSE, "--json", "-n", "1")
    assert code == 1 and [json.loads(line)["paraphrase_of"] for line in out.splitlines()] == [TEXT]
    first, _, last = err.splitlines()
    assert first.startswith("warning: 'The dog is not a cat': none of 6 particles came to a ")
    assert last == "ergotext: 1 of 2 texts got no paraphrase (see the warnings)"


def test_others_go_on(call, monkeypatch) -> None:
    """This model, whose weights are random, does not come to write a negation."""
    check_that_others_go_on(call, monkeypatch)


def test_an_error_that_ends_them_all_is_caught(call, monkeypatch) -> None:
    faulty = load_with_fault("tasks.searching", ("yield error", "raise error"))
    monkeypatch.setattr("ergotext.tasks.paraphrase.found_or_not", faulty.found_or_not)
    with pytest.raises(AssertionError):
        check_that_others_go_on(call, monkeypatch)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (" \n", "no text on standard input"),
        (f"{TEXT}\n?!\n", "'?!' has no words to paraphrase"),
        (f"{TEXT}\n</s>\n", "cannot spell '</s>'"),
    ],
)
def test_bad_lines_are_found_before_any_work(call, monkeypatch, given: str, message: str) -> None:
    feed(monkeypatch, given)
    code, out, err = call("-", *LOOSE)
    assert code == 2 and out == "" and message in err and err.count("\n") == 1, err


def test_words_in_the_place_of_the_encoder_are_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ergotext.tasks.encoders.installed", lambda: False)
    assert missing_encoder("words") is None
    told = missing_encoder("auto")
    assert told is not None and told.startswith("similarity is that of words")
    assert "pip install" in told
    monkeypatch.setattr("ergotext.tasks.encoders.installed", lambda: True)
    assert missing_encoder("auto") is None
