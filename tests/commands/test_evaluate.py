"""``ergotext evaluate``, in process, with a random encoder-decoder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from ergotext.cli import main
from ergotext.tasks.evaluation import evaluate as task
from ergotext.tasks.index import build
from ergotext.tasks.retrieval.lookahead import own
from tests.paths import ROOT
from tests.tasks.evaluation.test_evaluate import ASKED, KB, lines
from tests.tiny_t5 import saved


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evaluate")
    saved(folder / "model", [KB])
    saved(folder / "other", ["nothing of it"])
    (folder / "kb.tsv").write_text(KB, encoding="utf-8")
    build(folder / "kb.tsv", folder / "kb.ergo", tokenizer=str(folder / "model"))
    build(folder / "kb.tsv", folder / "characters.ergo")
    asked = [*ASKED[:4], ("", ASKED[4][1]), ("苹果" * 2500, ASKED[4][1]), ("ꙮ ሀ", None)]
    with (folder / "dev.json").open("w", encoding="utf-8") as file:
        for number, (question, answer) in enumerate(asked):
            more = {} if answer is None else {"answer": answer}
            file.write(json.dumps({"id": number, "question": question, **more}) + "\n")
        file.write("torn\n")
    return folder


def call(
    capsys: pytest.CaptureFixture[str], folder: Path, output: Path, *more: object
) -> tuple[int, str, str]:
    """The command with its files; later options go before earlier ones."""
    files = {"-i": folder / "kb.ergo", "-o": output, "--model": folder / "model", "--device": "cpu"}
    told = [str(x) for pair in files.items() for x in pair]
    code = main(["evaluate", str(folder / "dev.json"), *told, *map(str, more)])
    out, err = capsys.readouterr()
    return code, out, err


def test_a_note_on_scores_does_not_precede_an_error(
    capsys, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own, "own_calibration", lambda *_: (None, "of another model"))
    output = tmp_path / "out.jsonl"
    code, _, err = call(capsys, folder, output, "--limit", 1)
    assert code == 0 and err.splitlines()[0] == "of another model"
    code, _, err = call(capsys, folder, output, "--limit", 1, "--beams", 3)
    assert code == 2 and len(err.splitlines()) == 1 and err.startswith("ergotext: ")


def test_evaluates(capsys, folder, tmp_path) -> None:
    output = tmp_path / "out.jsonl"
    code, out, err = call(capsys, folder, output, "--prefixes", 100)
    assert code == 0, err
    assert "EMF1 " in out and "expected calibration error" in out
    assert "(7 questions, 6 of them scored: 5 answered, 2 without an answer, 0 failed; " in out
    assert "; 0 were there already; " in out
    assert err.splitlines() == [
        "1 of 8 lines left out:", f"  {folder / 'dev.json'}, line 8: not JSON: "
            "Expecting value at line 1, column 1",
    ]  # fmt: skip
    predictions = lines(output)
    assert [list(one) for one in predictions] == [["id", "answer"]] * 7
    entries = {line.replace("\t", " ||| ") for line in KB.splitlines()}
    assert {one["answer"] for one in predictions} <= entries | {""}
    # With look-ahead a subject that stands in the question is found, whatever the model thinks.
    assert [one["answer"].split(" ||| ")[0][:2] for one in predictions[:4]] == [
        "苹果", "苹果", "香蕉", "香蕉",
    ]  # fmt: skip
    assert predictions[4]["answer"] == ""
    told = tomllib.loads(output.with_suffix(".run.toml").read_text(encoding="utf-8"))
    assert told["beams"] == 10 and told["lookahead"] == "auto" and "torch" in told["versions"]


def test_goes_on_and_tells_json(capsys, folder, tmp_path) -> None:
    output = tmp_path / "out.jsonl"
    assert call(capsys, folder, output, "--limit", 3, "--json", "--prefixes", 100)[0] == 0
    code, out, _ = call(
        capsys, folder, output, "--json", "--prefixes", 100, "--plot", tmp_path / "r.png"
    )
    record = json.loads(out)
    assert code == 0 and record["already_there"] == 3 and record["scored"] == 6
    assert (tmp_path / "r.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--model", "other"], "another tokenizer"),
        (["--model", "none"], "none"),
        (["--model", "tiny-masked"], "MaskedLM cannot answer questions"),
        (["-i", "characters.ergo"], "another tokenizer"),
        (["-i", "none.ergo"], "cannot read the index"),
        (["--prefixes", "-1"], "Invalid value for '--prefixes'"),
        (["--temperature", "0"], "temperature must be at least 1e-06"),
        (["--plot", "plot.txt"], "cannot save a plot as .txt"),
        (["--engine", "spark"], "--engine"),
        (["--limit", "0"], "--limit"),
        (["-o", "."], "is a folder; give a file name"),
        (["--predictions", "out.jsonl"], "cannot be combined with -i or -o"),
    ],
)
def test_what_was_asked_wrongly(capsys, folder, tmp_path, monkeypatch, more, said) -> None:
    monkeypatch.chdir(folder)
    if more[1] in ("other", "none"):
        more = [more[0], folder / more[1]]
    code, out, err = call(capsys, folder, tmp_path / "out.jsonl", *more)
    assert code == 2 and out == "" and said in err, err
    assert err.count("\n") == 1 and not lines_of(tmp_path / "out.jsonl")


def lines_of(path: Path) -> bytes:
    """What is in it, if it is there."""
    return path.read_bytes() if path.exists() else b""


def scored(capsys, folder: Path, predictions: Path, *more: object) -> tuple[int, str, str]:
    """The command with ready predictions."""
    code = main(["evaluate", str(folder / "dev.json"), "--predictions", str(predictions),
                 *map(str, more)])  # fmt: skip
    return code, *capsys.readouterr()


def test_ready_predictions_are_scored_without_an_index(capsys, folder, tmp_path) -> None:
    """The same scores as when they were made; nothing is written."""
    output = tmp_path / "out.jsonl"
    assert call(capsys, folder, output, "--prefixes", 100, "--json")[0] == 0
    _, out, _ = call(capsys, folder, output, "--prefixes", 100, "--json")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    code, again, _ = scored(capsys, folder, output, "--json")
    assert code == 0 and before == {path: path.read_bytes() for path in tmp_path.iterdir()}
    made, told = json.loads(out), json.loads(again)
    assert made.pop("seconds") >= 0 and told.pop("seconds") >= 0 and made == told
    code, _, _ = scored(capsys, folder, output, "--plot", tmp_path / "r.png")
    assert code == 0 and (tmp_path / "r.png").read_bytes().startswith(b"\x89PNG")


def test_predictions_of_others(capsys, folder, tmp_path) -> None:
    """In any order, with gaps; what is no answer is told and worth nothing."""
    answers = {2: ASKED[2][1], 0: ASKED[0][1], 1: "a ||| b ||| c ||| d", 3: 7, 4: None, 99: "x"}
    path = tmp_path / "theirs.jsonl"
    lines = (json.dumps({"answer": answer, "id": n, "by": "me"}) for n, answer in answers.items())
    path.write_text("\n".join(lines), encoding="utf-8")
    code, out, err = scored(capsys, folder, path, "--json")
    told = json.loads(out)
    assert code == 0 and told["EM_S"] == pytest.approx(100 * 2 / 6, abs=1e-3)
    assert (told["answered"], told["failed"], told["without_answer"]) == (2, 2, 3)
    assert "id 1: the answer 'a ||| b ||| c ||| d' is not subject ||| predicate ||| object" in err
    assert "id 3: the answer 7 is not" in err
    for text, said in (
        ('{"id": 99, "answer": ""}', "no id in common"),
        ("[]", "does not belong in"),
    ):
        path.write_text(text + "\n", encoding="utf-8")
        code, out, err = scored(capsys, folder, path)
        assert (code, out) == (2, "") and said in err and err.count("\n") == 1
    code, _, err = scored(capsys, folder, tmp_path / "none.jsonl")
    assert code == 2 and "does not exist" in err


@pytest.mark.parametrize("given", [(), ("-i", "kb.ergo"), ("-o", "out.jsonl")])
def test_neither_an_index_nor_predictions(capsys, folder, given) -> None:
    code = main(["evaluate", str(folder / "dev.json"), *given])
    assert code == 2 and "or --predictions" in capsys.readouterr().err


def test_a_field_that_holds_the_separator(capsys, tmp_path) -> None:
    """Such an entry cannot be told in a submission: the question fails, and says so."""
    kb = "A ||| B\tp\tone\nC\tp ||| q\ttwo\nD\tp\tx ||| y\nE\tp\tz |||\nF\tp\tfine\n"
    (tmp_path / "kb.tsv").write_text(kb, encoding="utf-8")
    saved(tmp_path / "model", [kb])
    build(tmp_path / "kb.tsv", tmp_path / "kb.ergo", tokenizer=str(tmp_path / "model"))
    asked = ["A ||| B", "C", "D", "E", "F"]
    lines = (json.dumps({"id": n, "question": text}) for n, text in enumerate(asked))
    (tmp_path / "dev.json").write_text("\n".join(lines) + "\n", encoding="utf-8")
    code = main(["evaluate", str(tmp_path / "dev.json"), "-i", str(tmp_path / "kb.ergo"), "--model",
                 str(tmp_path / "model"), "-o", str(tmp_path / "out.jsonl"),
                 "--device", "cpu"])  # fmt: skip
    err = capsys.readouterr().err
    told = lines_of(tmp_path / "out.jsonl").decode().splitlines()
    assert code == 0 and [json.loads(line)["answer"] for line in told] == [
        "E ||| p ||| z |||", "F ||| p ||| fine",
    ]  # fmt: skip
    assert "3 of 5 questions failed" in err and err.count("contains |||") == 3


@pytest.mark.slow
def test_ray_answers_alike(capsys, folder, tmp_path, monkeypatch) -> None:
    """The whole command with two workers and a model: the same files, to the byte."""
    monkeypatch.setattr(task, "BATCH", 2)  # so that there is something to do for both
    assert call(capsys, folder, tmp_path / "here.jsonl", "--threads", 1)[0] == 0
    script = (
        "import sys; from ergotext.cli import main; "
        "from ergotext.tasks.evaluation import evaluate; "
        "evaluate.BATCH = 2; sys.exit(main(sys.argv[1:]))"
    )
    root = str(ROOT)
    done = subprocess.run(
        [sys.executable, "-c", script, "evaluate", folder / "dev.json", "-i", folder / "kb.ergo",
         "-o", tmp_path / "ray.jsonl", "--model", folder / "model", "--device", "cpu",
         "--threads", "1", "--engine", "ray", "--workers", "2", "--json"],
        capture_output=True, text=True, timeout=500, env={**os.environ, "PYTHONPATH": root},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for suffix in (".jsonl", ".hits.jsonl"):
        here, ray = (tmp_path / f"{name}{suffix}" for name in ("here", "ray"))
        assert here.read_bytes() == ray.read_bytes() and here.stat().st_size
    assert json.loads(done.stdout)["questions"] == 7


def test_probabilities_beside_predictions_are_of_these_answers(capsys, folder, tmp_path) -> None:
    path, beside = tmp_path / "p.jsonl", tmp_path / "p.hits.jsonl"
    path.write_text(json.dumps({"id": 0, "answer": ASKED[0][1]}) + "\n", encoding="utf-8")
    for hit, said in (
        ({"answer": "OTHER ||| b ||| c", "probability": 0.25}, "does not match the predictions"),
        ({"answer": ASKED[0][1], "probability": 7}, "has an invalid probability 7 (id 0)"),
        ({"answer": ASKED[0][1], "probability": "x"}, "has an invalid probability 'x'"),
    ):
        beside.write_text(json.dumps({"id": 0, **hit}) + "\n", encoding="utf-8")
        code, out, err = scored(capsys, folder, path)
        assert (code, out) == (2, "") and said in err and "p.hits.jsonl" in err
    beside.write_text(json.dumps({"id": 0, "answer": ASKED[0][1], "probability": 1}) + "\n")
    code, out, _ = scored(capsys, folder, path, "--json")
    assert code == 0 and json.loads(out)["already_there"] == 1
