"""Nothing that a library says reaches a user's stderr: one line of ours, or none."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers.utils import logging as transformers_logging

from ergotext.lm.conversion import quiet
from tests.conftest import Deprecations
from tests.tiny_t5 import saved

KB = "苹果\t颜色\t红\n香蕉\t产地\t海南\n"
QUESTION = {"id": 0, "question": "苹果什么颜色？", "answer": "苹果 ||| 颜色 ||| 红"}
SCRIPT = """
import json, os, sys
from ergotext import cli
cli.quit_by_signals = lambda main: None
cli.entry()  # all that the console script sets up
for arguments in json.loads(sys.stdin.read()):
    print("#", json.dumps(arguments), file=sys.stderr, flush=True)
    print("=", cli.main(arguments), file=sys.stderr, flush=True)
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, model_folder: Path) -> Path:
    """An index, questions, and models that are whole or broken in one way each."""
    folder = tmp_path_factory.mktemp("quiet")
    saved(folder / "t5", [KB, QUESTION["question"]])
    (folder / "kb.tsv").write_text(KB, encoding="utf-8")
    others = [{**QUESTION, "id": n, "question": n * "？" + QUESTION["question"]} for n in (1, 2)]
    asked = "\n".join(json.dumps(one) for one in (QUESTION, *others))
    (folder / "q.json").write_text(asked, encoding="utf-8")
    shutil.copytree(model_folder, folder / "causal")
    for whole, name in (("causal", "model.layers.1.mlp.down_proj.weight"), ("t5", "shared.weight")):
        weights = load_file(folder / whole / "model.safetensors")
        broken = {
            "lacking": {n: w for n, w in weights.items() if n != name},
            "unused": {**weights, "model.more.weight": torch.ones(3)},
            "shaped": {**weights, name: torch.ones(3, 3)},
            "nan": {**weights, name: weights[name] * torch.nan},
        }
        for kind, held in broken.items():
            shutil.copytree(folder / whole, folder / f"{whole}-{kind}")
            path = folder / f"{whole}-{kind}" / "model.safetensors"
            save_file(held, path, metadata={"format": "pt"})
        for kind, file in (("config", "config.json"), ("words", "tokenizer.json")):
            shutil.copytree(folder / whole, folder / f"{whole}-{kind}")
            (folder / f"{whole}-{kind}" / file).write_text('{"model_type": "llama", "a": [')
    return folder


def said(commands: list[list[str]]) -> list[tuple[list[str], list[str], int]]:
    """Each command with the lines of its stderr and its exit code, in one process for all."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], input=json.dumps(commands), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found = []
    for part in ("\n" + done.stderr).split("\n# ")[1:]:
        command, *lines = part.splitlines()
        code = int(lines[-1].removeprefix("= "))
        found.append((json.loads(command), lines[:-1], code))
    assert [command for command, _, _ in found] == commands
    return found


BROKEN = ("lacking", "unused", "shaped", "nan", "config", "words")


def test_a_broken_model_is_one_line_of_ours(files: Path, tmp_path: Path) -> None:
    causal = [
        ["write", "summer", "--particles", "1", "--model"],
        ["infill", "The ___.", "--model"],
        ["sample", "--regex", "a+", "--model"],
    ]
    answering = [
        ["retrieve", "-i", str(files / "kb.ergo"), "苹果什么颜色？", "--model"],
        ["evaluate", str(files / "q.json"), "-i", str(files / "kb.ergo"),
         "-o", str(tmp_path / "out.jsonl"), "--model"],
        ["train", str(files / "q.json"), "--dev", str(files / "q.json"), "-i",
         str(files / "kb.ergo"), "-o", str(tmp_path / "trained"), "--start"],
    ]  # fmt: skip
    commands = [
        [*command, str(files / f"{whole}-{kind}")]
        for whole, commands in (("causal", causal), ("t5", answering))
        for kind in BROKEN
        for command in commands
    ]
    tokenizer = ["--tokenizer", str(files / "t5-words")]
    commands.append(
        ["index", "build", str(files / "kb.tsv"), "-o", str(tmp_path / "x"), *tokenizer]
    )
    build = ["index", "build", str(files / "kb.tsv"), "-o", str(files / "kb.ergo"), "--tokenizer"]
    first, *rest = said([[*build, str(files / "t5")], *commands])
    assert first[1:] == ([], 0)
    for command, lines, code in rest:
        assert len(lines) == 1 and lines[0].startswith("ergotext: "), (command, lines)
        assert code in (1, 2) and len(lines[0]) < 600, (command, lines)


def test_a_good_run_says_nothing(files: Path, tmp_path: Path) -> None:
    index, questions, model = str(tmp_path / "kb.ergo"), str(files / "q.json"), str(files / "t5")
    output = str(tmp_path / "out.jsonl")
    trained = tmp_path / "trained"
    for command, lines, code in said(
        [
            ["index", "build", str(files / "kb.tsv"), "-o", index, "--tokenizer", model],
            ["retrieve", "-i", index, "--model", model, "苹果什么颜色？"],
            ["evaluate", questions, "-i", index, "--model", model, "-o", output],
            ["train", questions, "--dev", questions, "-i", index, "-o", str(trained),
             "--start", model, "--steps", "2", "--lookahead-steps", "2", "--device", "cpu"],
            ["retrieve", "-i", index, "--model", str(trained), "苹果什么颜色？"],
            ["infill", "The ___.", "--model", str(files / "causal"), "--particles", "8"],
        ]
    ):  # fmt: skip
        assert (lines, code) == ([], 0), (command, lines)


def test_what_is_kept_from_users_is_told_to_tests(capfd: pytest.CaptureFixture[str]) -> None:
    logger = transformers_logging.get_logger("transformers.some.module")
    with quiet():
        logger.warning("`this` is deprecated and will go")
        logger.warning("LOAD REPORT")
        print("a bar of a library", file=sys.stderr)
        with pytest.raises(FutureWarning):
            warnings.warn("this will go", FutureWarning, stacklevel=1)
    assert Deprecations.said == ["`this` is deprecated and will go"]
    Deprecations.said.clear()
    assert capfd.readouterr().err == ""
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        with quiet():
            warnings.warn("this will go", FutureWarning, stacklevel=1)
        assert capfd.readouterr().err == ""
    logger.warning("said aloud")
    assert any(
        isinstance(one, logging.StreamHandler) for one in logging.getLogger("transformers").handlers
    )
