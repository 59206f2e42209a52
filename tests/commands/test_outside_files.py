"""Files of others, given to commands: a byte order mark is nothing, and all else is one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ergotext.cli import main
from ergotext.errors import InputError, ModelError
from ergotext.lm.trie.lines import Lines
from ergotext.tasks import config
from ergotext.tasks.evaluation.predictions import check_same
from ergotext.tasks.retrieval.lookahead.fitted import NAME, Fitted
from ergotext.tasks.training.sources import read_templates

MARK = "\ufeff"
DEEP = "[" * 100_000
SCHEMA = json.dumps({"enum": ["a", "b"]})


def call(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    capsys.readouterr()
    code = main([str(one) for one in arguments])
    return code, *capsys.readouterr()


def test_schema_files(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, model_folder: Path
) -> None:
    file = tmp_path / "schema.json"
    given = ("sample", "--model", model_folder, "--sampler", "importance", "-n", 2)
    for mark in ("", MARK):
        file.write_text(mark + SCHEMA, encoding="utf-8")
        code, out, err = call(capsys, *given, "--json-schema", file, "--max-length", 8)
        assert code == 0 and json.loads(json.loads(out.splitlines()[0])["text"]) in ("a", "b"), err
    for content, said in (
        (DEEP, "nested"),
        ('{"a":' * 10_000, "nested"),
        ("{", "JSON"),
        ("", "JSON"),
        ("[]", "schema"),
    ):
        file.write_text(content, encoding="utf-8")
        code, out, err = call(capsys, *given, "--json-schema", file)
        assert (code, out) == (2, "") and err.count("\n") == 1 and said in err
    file.write_bytes(b"\xff\xfe{\x00}\x00")
    code, _, err = call(capsys, *given, "--json-schema", file)
    assert code == 2 and "cannot read the schema" in err and "not UTF-8" in err
    assert call(capsys, *given, "--json-schema", tmp_path / "none")[0] == 2


def test_configurations(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text(MARK + "seed = 7\n", encoding="utf-8")
    assert config.read(file, {})["seed"] == 7
    for content, said in (
        (f"seed = {DEEP}", "nested more than 64 deep"),
        (".".join("a" * 3000) + " = 1", "nested more than 64 deep"),
        ("seed = ", "not TOML"),
    ):
        file.write_text(content, encoding="utf-8")
        with pytest.raises(InputError, match=rf"run\.toml .*{said}"):
            config.read(file, {})
        with pytest.raises(InputError, match=rf"run\.toml .*{said}.*use another output"):
            check_same(file, {"seed": 7})


def test_numbers_fitted_to_a_model(tmp_path: Path) -> None:
    file = tmp_path / NAME
    file.write_text(MARK + '{"scale": 3}', encoding="utf-8")
    assert Fitted.load(tmp_path).scale == 3
    for content in (
        DEEP, "[]", '{"scale": "3"}', '{"scale": true}', '{"scale": null}', '{"scale": NaN}',
        '{"scale": 1e999}', '{"scale": -1}', '{"other": 1}', '{"scale": [1]}',
        '{"scale": 1' + "0" * 400 + "}",
    ):  # fmt: skip
        file.write_text(content, encoding="utf-8")
        with pytest.raises(ModelError, match=rf"{NAME}.*fit it again"):
            Fitted.load(tmp_path)


def test_templates(tmp_path: Path) -> None:
    file = tmp_path / "templates.tsv"
    file.write_text(MARK + "born\twhen was {subject} born?\n", encoding="utf-8")
    assert [one.predicate for one in read_templates([file], Lines())] == ["born"]
