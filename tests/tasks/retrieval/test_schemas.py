"""Bases of five schemas, from the command line: built, asked, looked up, changed and scored."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from ergotext.cli import main
from ergotext.lm.loading import load
from ergotext.tasks.datasets.kgclue.data import read
from ergotext.tasks.evaluation.cases import KNOWN, cases
from ergotext.tasks.retrieval.calibration import UNFITTED
from ergotext.tasks.retrieval.lookahead.strings import StringMatch
from ergotext.tasks.retrieval.retriever import Retriever
from tests.tiny_t5 import saved


@dataclass(frozen=True)
class Base:
    """Lines, how they are described, and a question with the fields and answers of its entry."""

    lines: list[str]
    options: list[str]
    question: str
    fields: dict[str, str]
    answers: list[str]

    @property
    def answer(self) -> str:
        """As a file of questions has it."""
        first, *more = self.fields.values()
        return f"{first} ||| {' '.join(more)} ||| {self.answers[0]}" if more else first


BASES = {
    "three columns": Base(
        ["Mercury（planet）\tmoons\tnone", "Mercury（metal）\tsymbol\tHg",
         "Mercury（metal）\tsymbol\tZ80", "Venus\tmoons\t0"],
        [], "What symbol has Mercury?", {"subject": "Mercury（metal）", "predicate": "symbol"},
        ["Hg", "Z80"],
    ),
    "two columns": Base(
        ["Mercury\ta planet", "Venus\tanother planet"],
        ["--columns", "entity,text", "--key", "entity", "--answer", "text"],
        "Venus", {"entity": "Venus"}, ["another planet"],
    ),
    "four columns with an id": Base(
        ["Q1\tMercury\tmoons\tnone", "Q2\tMercury\tsymbol\tHg", "Q3\tVenus\tmoons\t0"],
        ["--columns", "id,name,property,value", "--mention", "name", "--key", "property,id",
         "--answer", "value", "--brackets", "none"],
        "What symbol has Mercury?", {"name": "Mercury", "property": "symbol", "id": "Q2"}, ["Hg"],
    ),
    "no brackets": Base(
        ["none\tmoons\tMercury（planet）", "Hg\tsymbol\tMercury（metal）", "0\tmoons\tVenus"],
        ["--columns", "value,relation,name", "--mention", "name", "--answer", "value",
         "--brackets", "none"],
        "What symbol has Mercury（metal）?",
        {"name": "Mercury（metal）", "relation": "symbol"}, ["Hg"],
    ),
    "ASCII brackets": Base(
        ["Mercury (planet)\tmoons\tnone", "Mercury (metal)\tsymbol\tHg", "Venus\tmoons\t0"],
        ["--mention", "subject", "--brackets", " (…)"],
        "What symbol has Mercury?",
        {"subject": "Mercury (metal)", "predicate": "symbol"}, ["Hg"],
    ),
}  # fmt: skip


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert main([str(one) for one in arguments]) == 0, capsys.readouterr().err
    return capsys.readouterr().out


@pytest.mark.parametrize("name", BASES)
def test_from_lines_to_scores(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base, model, index = BASES[name], tmp_path / "model", tmp_path / "kb.ergo"
    saved(model, base.lines)
    (tmp_path / "kb.tsv").write_text("\n".join(base.lines) + "\n", encoding="utf-8")
    run(capsys, "index", "build", tmp_path / "kb.tsv", "-o", index, "--tokenizer", model,
        *base.options)  # fmt: skip

    ask = ["retrieve", "-i", index, "--model", model, "--lookahead", "strings", "--json"]
    told = json.loads(run(capsys, *ask, "--prefixes", 0, base.question))
    titles = len(base.fields) == 1
    assert titles or told["subject"] == "as written"
    best = next(hit for hit in told["results"] if not titles or hit["fields"] == base.fields)
    assert best["fields"] == base.fields and best["values"] == base.answers
    assert best["text"] == "\t".join(base.fields.values())

    prefix = "\t".join(base.fields.values())
    entry = json.loads(run(capsys, "index", "get", index, prefix, "--json"))
    assert entry == {**base.fields, "objects": base.answers}

    dev = {"id": 1, "question": base.question, "answer": base.answer}
    (tmp_path / "dev.json").write_text(json.dumps(dev) + "\n", encoding="utf-8")
    scores = json.loads(
        run(capsys, "evaluate", tmp_path / "dev.json", "-i", index, "-o", tmp_path / "told.jsonl",
            "--model", model, "--lookahead", "strings", "--json")
    )  # fmt: skip
    if titles:
        assert scores["MRR"] > 0
    else:
        assert scores["EMF1"] == scores["EM_S"] == 100

    if not titles:  # a calibration is fitted to what scores as right
        (question,) = read(tmp_path / "dev.json").asked
        retriever = Retriever(load(str(model), device="cpu"), index)
        fitted = list(cases(retriever, StringMatch(), UNFITTED, [question]))
        (known,) = (case for case in fitted if case.kind == KNOWN)
        assert known.right is not None

    less = base.lines[-1]
    (tmp_path / "less.tsv").write_text(less + "\n", encoding="utf-8")
    run(capsys, "index", "remove", index, tmp_path / "less.tsv")
    run(capsys, "index", "add", index, tmp_path / "less.tsv")
    assert (
        len(base.lines) - (name == "three columns")
        == json.loads(run(capsys, "index", "info", index, "--json"))["keys"]
    )
