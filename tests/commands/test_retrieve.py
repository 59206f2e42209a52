"""``ergotext retrieve``: what is printed, and bad input told in a line."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from ergotext.cli import main
from ergotext.tasks.retrieval import answering
from tests.tiny_t5 import saved

KB = "苹果（水果）\t产地\t山东\n苹果\t颜色\t红\n苹果\t颜色\t绿\n香蕉\t产地\t海南\n"
KB += "Apple\tfounder\tSteve\x1b[31m Jobs\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli")
    saved(folder / "model", [KB])
    (folder / "kb.tsv").write_text(KB, encoding="utf-8")
    for name, tokenizer in (
        ("kb", str(folder / "model")),
        ("masked", "tiny-masked"),
        ("characters", ""),
    ):
        made = main(["index", "build", str(folder / "kb.tsv"), "-o", str(folder / f"{name}.ergo"),
                     *(["--tokenizer", tokenizer] if tokenizer else [])])  # fmt: skip
        assert made == 0
    return folder


def call(
    capsys: pytest.CaptureFixture[str], folder: Path, *arguments: object, index: str = "kb.ergo"
) -> tuple[int, str, str]:
    capsys.readouterr()
    given = ["-i", folder / index, "--model", folder / "model", "--device", "cpu", *arguments]
    code = main(["retrieve", *map(str, given)])
    return code, *capsys.readouterr()


def test_json(capsys, folder: Path) -> None:
    code, out, err = call(capsys, folder, "--json", "苹果什么颜色？", "", "where?")
    assert code == 0 and len(err.splitlines()) == 1
    assert "1 of 3 questions named no subject of the index" in err
    first, empty, other = map(json.loads, out.splitlines())
    assert (first["subject"], empty["subject"], other["subject"]) == ("as written", None, "none")
    assert first["question"] == "苹果什么颜色？" and first["exact"]
    assert first["mentions"] == ["苹果"] and first["notes"] == []
    best = first["results"][0]
    assert best["text"] == "苹果\t颜色" and best["values"] == ["红", "绿"]
    assert best["fields"] == {"subject": "苹果", "predicate": "颜色"}
    assert best["score"] > best["log_prob"] and 0 < best["probability"] <= 1
    assert best["probability_low"] == best["probability"] == best["probability_high"]
    assert len(first["results"]) == 2
    assert empty["results"] == [] and empty["notes"] == ["the question is empty"]
    assert other["results"] == [] and "no subject" in other["notes"][0]


def test_lines(capsys, folder: Path) -> None:
    code, out, _ = call(capsys, folder, "-k", 1, "--lookahead", "none", "香蕉", "Who made Apple?")
    assert code == 0 and "\x1b" not in out
    banana, hit, apple, other = out.splitlines()
    assert banana == "香蕉" and hit.endswith("香蕉\t产地\t海南") and hit.startswith("  ")
    assert apple == "Who made Apple?" and other.endswith("Apple\tfounder\tSteve [31m Jobs")
    code, out, _ = call(capsys, folder, "--threshold", 1, "--anywhere", "香蕉")
    assert out.splitlines()[1].startswith("  (the best answer has probability")


@pytest.mark.parametrize("question", ["who made apple?", "WHO MADE APPLE?", "Ａｐｐｌｅ"])
def test_a_subject_in_other_letters(capsys, folder: Path, question: str) -> None:
    """It is found, and both outputs say that the index writes it otherwise."""
    code, out, err = call(capsys, folder, "--json", question)
    found = json.loads(out)
    assert (code, err, found["subject"]) == (0, "", "in other letters")
    assert [hit["fields"]["subject"] for hit in found["results"]] == ["Apple"]
    _, out, _ = call(capsys, folder, question)
    assert f"the index writes {found['mentions'][0]!r} in other letters" in out


MLM = ("--model", "tiny-masked", "--decode", "mlm")


def test_a_masked_model(capsys, folder: Path) -> None:
    code, out, err = call(
        capsys, folder, *MLM, "--json", "苹果什么颜色？", "", "who?", index="masked.ergo"
    )
    assert code == 0 and "1 of 3 questions named no subject" in err
    first, empty, other = map(json.loads, out.splitlines())
    assert first["exact"] and first["mentions"] == ["苹果"] and len(first["results"]) == 2
    assert "no probability" in first["notes"][0] and empty["results"] == []
    for best in first["results"]:
        assert best["log_prob"] < best["score"] < 0
        assert best["probability"] is best["probability_low"] is best["probability_high"] is None
        assert (
            best["values"] == {"颜色": ["红", "绿"], "产地": ["山东"]}[best["fields"]["predicate"]]
        )
    assert other["results"] == [] and "no subject" in other["notes"][0]
    given = ["--prompt", "{question}回答：{answer}。", "-k", 1, "香蕉在哪里？"]
    code, out, _ = call(capsys, folder, *MLM, *given, index="masked.ergo")
    assert code == 0 and out.splitlines()[1].endswith("香蕉\t产地\t海南") and "log p -" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((*MLM, "--threshold", 0.5), "gives no probabilities"),
        ((*MLM, "--temperature", 2), "gives no probabilities"),
        ((*MLM, "--lookahead", "strings"), "no look-ahead"),
        ((*MLM, "--prompt", "{question}"), "must contain {answer} exactly once"),
        ((*MLM, "-k", 3, "--beams", 2), "must be at least k"),
        ((*MLM, "-i", "none.ergo"), "cannot read the index none.ergo"),
        ((*MLM, "--model", "tiny-causal"), "a CausalLM cannot fill in blanks"),
        ((*MLM, "--decode", "beam"), "with decode mlm"),
        ((*MLM, "--decode", "best"), "Invalid value for '--decode'"),
    ],
)
def test_bad_input_of_a_masked_model(capsys, folder: Path, arguments, message: str) -> None:
    code, out, err = call(capsys, folder, *arguments, "香蕉", index="masked.ergo")
    assert (code, out) == (2, "")
    assert message in err and len(err.splitlines()) == 1


def test_questions_from_stdin_into_a_file(
    capsys, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = "苹果\r\n\n香蕉产地\n苹果\n".encode()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(raw)))
    target = tmp_path / "out.jsonl"
    code, out, _ = call(
        capsys, folder, "--json", "--limit", 3, "--batch-size", 1, "-o", target, "-"
    )
    assert (code, out) == (0, "")
    asked = [json.loads(line) for line in target.read_text(encoding="utf-8").splitlines()]
    assert [one["question"] for one in asked] == ["苹果", "", "香蕉产地"]
    assert [len(one["results"]) for one in asked] == [2, 0, 1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-", "a"], "cannot be combined with other"),
        (["-k", 3, "--beams", 2, "a"], "must be at least k (3)"),
        (["--prompt", "what", "a"], "must contain {question} exactly once"),
        (["--prefixes", -1, "a"], "Invalid value for '--prefixes'"),
        (["--temperature", 0, "a"], "temperature must be at least 1e-06"),
        (["--device", "tpu", "a"], "unknown device"),
        (["\udcff", "a"], "not valid Unicode"),
        (["--model", "tiny-masked", "a"], "cannot answer questions"),
        (["--model", "tiny-causal", "a"], "another tokenizer"),
        (["-i", "none.ergo", "a"], "cannot read the index none.ergo"),
        (["-i", __file__, "a"], "is not an index"),
        ([], "Missing argument"),
    ],
)
def test_bad_input_is_told_in_a_line(capsys, folder: Path, arguments, message: str) -> None:
    code, out, err = call(capsys, folder, *arguments)
    assert (code, out) == (1 if "not an index" in message else 2, "")
    assert message in err and len(err.splitlines()) == 1


def test_notes_are_of_answers_and_an_error_stands_alone(
    capsys, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answering, "own_calibration", lambda *_: (None, "of another model"))
    code, _, err = call(capsys, folder, "苹果什么颜色？")
    assert code == 0 and err.splitlines() == ["of another model"]
    code, _, err = call(capsys, folder, "-k", 3, "--beams", 2, "苹果什么颜色？")
    assert code == 2 and err.splitlines() == ["ergotext: beams (2) must be at least k (3)"]


def test_another_tokenizer(capsys, folder: Path) -> None:
    for given in ((), MLM):
        code, out, err = call(capsys, folder, *given, "a", index="characters.ergo")
        assert (code, out) == (2, "") and "build it with the model's tokenizer" in err


def test_no_question_on_stdin(capsys, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for raw, message in ((b"\n \n", "no questions on standard input"), (b"\xff", "not UTF-8")):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(raw)))
        code, _, err = call(capsys, folder, "-")
        assert code == 2 and message in err
