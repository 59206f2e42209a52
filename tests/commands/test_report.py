"""``--report``: the page of each command that samples; what is printed stays as it is."""

from __future__ import annotations

import io
import json
import os
import re
import sys
from pathlib import Path

import pytest

from ergotext.cli import main
from ergotext.commands.console import Interrupted
from ergotext.tasks.report import page as pages
from tests.html import Element, check_alone, parsed
from tests.tiny_t5 import saved

LIGHT = 500_000
"""Bytes that a page of a default run may have."""
RUNS: dict[str, list[str]] = {
    "write": ["dog", "sun", "--particles", "8"],
    "write by chains": ["dog", "--sampler", "mh", "--chains", "2", "--steps", "15"],
    "write by annealing": ["dog", "--sampler", "annealing", "--chains", "2", "--steps", "15"],
    "infill": ["The ___ sat.", "--particles", "8"],
    "paraphrase": [
        "The dog sat.",
        "--similarity",
        "words",
        "--sampler",
        "mh",
        "--chains",
        "2",
        "--steps",
        "15",
        "-n",
        "1",
    ],
    "sample": ["--keyword", "dog", "--chains", "2", "--steps", "12", "-n", "4", "--sampler", "mh"],
    "sample by weights": ["--regex", "[ab]{1,3}", "--sampler", "importance", "-n", "30"],
    "generate": ["It is", "--regex", "[a-c]{1,9}", "--method", "sample", "-n", "2"],
    "generate choices": ["It is", "--choice", " on", "--choice", " no"],
}


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], model_folder: Path, tmp_path: Path):
    def run(name: str, *more: str, to: str | None = "page.html") -> tuple[int, str, str]:
        command, *_ = name.split()
        asked = [] if to is None else ["--report", str(tmp_path / to)]
        code = main([command, *RUNS[name], "--model", str(model_folder), *asked, *more])
        return code, *capsys.readouterr()

    return run


def read(file: Path) -> Element:
    """The page, which is whole and loads nothing."""
    text = file.read_text("utf-8")
    page = parsed(text)
    check_alone(page, text)
    assert len(text) < LIGHT
    return page


def without_seconds(text: str) -> str:
    return re.sub(r"\d+\.\d s\b|seconds = [\d.e-]+", "# s", text)


@pytest.mark.parametrize("name", RUNS)
def test_a_page_and_the_same_texts(name: str, call, tmp_path: Path) -> None:
    code, out, err = call(name, to=None)
    said = call(name)
    assert [without_seconds(one) for one in (out, err)] == [without_seconds(t) for t in said[1:]]
    assert said[0] == code == 0
    first = (tmp_path / "page.html").read_text("utf-8")
    page = read(tmp_path / "page.html")
    assert page.all("h1")[0].text == f"ergotext {name.split()[0]}"
    assert page.all("pre")[0].text.startswith(f"ergotext {name.split()[0]} ")
    texts = [one.text for one in page.all("p", "text")]
    if name.startswith("sample"):
        known = {" ".join(json.loads(line)["text"].split()) for line in out.splitlines()}
        drawn = [one.text for one in page.all("ol")[-1].all("li")]
        assert name == "sample" or {*texts} <= known
        assert all(any(one.startswith(text) for text in known) for one in drawn)
    else:
        shown = [line.rpartition("  [")[0].strip() for line in out.splitlines() if "  [" in line]
        assert [" ".join(one.split()) for one in shown] == texts[: len(shown)]
    call(name)
    again = (tmp_path / "page.html").read_text("utf-8")
    assert without_seconds(again) == without_seconds(first)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Options of ``retrieve`` for an index and the model of its tokenizer."""
    folder = tmp_path_factory.mktemp("retrieve")
    facts = "苹果\t颜色\t红\n香蕉\t产地\t海南\nApple\tfounder\tSteve Jobs\n<b>\tcolour\tred\n"
    saved(folder / "model", [facts])
    (folder / "kb.tsv").write_text(facts, encoding="utf-8")
    index, model = str(folder / "kb.ergo"), str(folder / "model")
    assert main(["index", "build", str(folder / "kb.tsv"), "-o", index, "--tokenizer", model]) == 0
    return ["-i", index, "--model", model, "--device", "cpu"]


@pytest.mark.parametrize(
    "more", [[], ["--lookahead", "none"], ["--anywhere"], ["--threshold", "1"]]
)
def test_questions(base, more: list[str], capsys, tmp_path: Path) -> None:
    asked = ["Who is the founder of Apple?", "", "where?", "the colour of <b>"]
    assert main(["retrieve", *asked, *base, "--json", *more]) == 0
    out, err = capsys.readouterr()
    file = tmp_path / "page.html"
    assert main(["retrieve", *asked, *base, "--json", *more, "--report", str(file)]) == 0
    assert capsys.readouterr() == (out, err)
    page = read(file)
    assert [one.text for one in page.all("h2")] == asked and not page.all("b", "x")
    sections = page.all("section")
    for part, line in zip(sections, out.splitlines(), strict=True):
        record = json.loads(line)
        shown = [one.text for one in part.all("p", "text")]
        assert shown == [" | ".join(hit["values"]) for hit in record["results"]]
        assert all(note in part.text for note in record["notes"])
        for hit in record["results"]:
            assert f"log p {hit['log_prob']:.1f}" in part.text
    assert main(["retrieve", *asked, *base, *more, "--report", base[1]]) == 2
    assert "used twice" in capsys.readouterr().err


def test_numbers_are_those_of_the_output(call, tmp_path: Path) -> None:
    _, out, _ = call("write", "--json")
    notes = [
        one.text for one in read(tmp_path / "page.html").all("ol", "found")[0].all("p", "soft")
    ]
    for note, line in zip(notes, out.splitlines(), strict=True):
        one = json.loads(line)
        assert f"log p {one['log_prob']:.1f}, energy {one['energy']:.1f}" in note
        for name, value in one["terms"].items():
            assert not value or f"{name} {value:.1f}" in note


def test_the_record_of_a_sample_repeats_it(call, tmp_path: Path, capsys) -> None:
    _, out, _ = call("sample")
    (tmp_path / "run.toml").write_text(read(tmp_path / "page.html").all("pre")[-1].children[0])
    assert main(["sample", "--config", str(tmp_path / "run.toml")]) == 0
    assert capsys.readouterr().out == out


def test_no_word_does_harm(call, tmp_path: Path, capsys, model_folder: Path) -> None:
    bad, file = "<script>alert(1)</script>", tmp_path / "page.html"
    for command in (["infill", f"{bad} ___ \"'><img src=x onerror=alert(1)>"], ["write", bad]):
        more = ["--particles", "8", "--model", str(model_folder), "--report", str(file)]
        assert main([*command, *more]) == 0, capsys.readouterr().err
        page = read(file)
        assert bad in page.all("h2")[0].text and bad in page.all("p", "text")[0].text
        assert not page.all("script") and not page.all("img")


def test_every_input_has_a_section_up_to_a_number(call, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(pages, "MOST", 2)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'["dog"]\n["sun"]\n["cat"]\n')))
    monkeypatch.setitem(RUNS, "write", ["-", "--particles", "8"])
    code, *_ = call("write")
    page = read(tmp_path / "page.html")
    assert code == 0 and [one.text for one in page.all("h2")] == ["dog", "sun"]
    assert "1 more input" in page.text


@pytest.mark.parametrize("name", ["write", "infill", "sample", "generate"])
def test_places_that_cannot_be_written(name: str, call, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for to, what in [
        ("folder", "is a folder"), ("none/page.html", "does not exist"),
        ("loop", "a link to itself"), ("a\0b", "null byte"),
    ]:  # fmt: skip
        code, out, err = call(name, to=to)
        assert code == 2 and not out and what in err and "--report" in err, err
        assert len(err.splitlines()) == 1
    code, out, err = call(name, "-o", str(tmp_path / "page.html"))
    assert code == 2 and "used twice" in err and not (tmp_path / "page.html").exists()


def test_what_a_command_reads_is_not_written_over(call, tmp_path: Path) -> None:
    grammar = tmp_path / "page.html"
    grammar.write_text('start: "on" | "no"')
    code, _, err = call("generate choices")
    assert code == 0
    grammar.write_text('start: "on" | "no"')
    RUNS["generate grammar"] = ["It is", "--grammar", str(grammar)]
    code, _, err = call("generate grammar")
    del RUNS["generate grammar"]
    assert code == 2 and "used twice" in err and grammar.read_text().startswith("start")


@pytest.mark.skipif(os.geteuid() == 0 and not Path("/dev/full").exists(), reason="no full disk")
def test_a_page_that_cannot_be_written_is_told_after_the_texts(call) -> None:
    code, out, err = call("write", to="/dev/full")
    assert code == 1 and "log p" in out
    assert "the report /dev/full could not be written" in err.splitlines()[-1]


@pytest.mark.parametrize("name", ["write", "infill", "paraphrase", "sample"])
def test_a_section_that_cannot_be_made_costs_no_text(name: str, call, monkeypatch) -> None:
    from ergotext.tasks.report import runs

    def broken(*_: object, **__: object) -> str:
        raise RuntimeError("no section")

    _, expected, _ = call(name, to=None)
    monkeypatch.setattr(runs, "section", broken)
    code, out, err = call(name)
    assert code == 1 and "no section" in err
    assert without_seconds(out) == without_seconds(expected) != ""


def test_libraries_are_asked_for_before_a_model_is(call, monkeypatch) -> None:
    monkeypatch.setattr(pages, "find_spec", lambda name: None)
    code, out, err = call("write", "--model", "tiny-causal")
    assert code == 2 and not out and "jinja2 and matplotlib" in err


def test_nothing_found_leaves_the_old_page(call, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("old")
    code, *_ = call("write", "--max-length", "1")
    assert code == 2 and (tmp_path / "page.html").read_text() == "old"


def test_what_was_found_before_an_interruption_has_its_page(call, tmp_path, monkeypatch) -> None:
    def stopped(*given: object) -> None:
        raise Interrupted("interrupted; the best texts so far are shown")

    monkeypatch.setattr("ergotext.commands.write.show", stopped)
    code, _, err = call("write")
    assert code == 130 and "interrupted" in err
    assert read(tmp_path / "page.html").all("p", "text")
