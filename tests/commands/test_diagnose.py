"""``ergotext diagnose`` in process on a small model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from transformers import BertConfig, BertModel

from ergotext.cli import main


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]):
    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(["diagnose", *arguments])
        return code, *capsys.readouterr()

    return run


def test_text_json_and_page_say_the_same(call, tmp_path: Path) -> None:
    page, kept = tmp_path / "page.md", tmp_path / "tokens.decided"
    more = ["--checkpoint", str(kept), "--threads", "2"]
    code, out, err = call("tiny-causal", "--check", "argmax", "--report", str(page), *more)
    assert (code, err) == (0, "") and "8088 tokens can be the argmax, 0 never, 104 only" in out
    assert "| same row as another token | 104 |" in page.read_text(encoding="utf-8")
    code, out, err = call("tiny-causal", "--check", "argmax", "--json", *more)
    found = json.loads(out)
    assert (code, err) == (0, "") and found["model"] == "tiny-causal"
    about = found["argmax"]
    assert (about["argmaxable"], about["never"], about["undecided"]) == (8088, [], [])
    assert (about["tokens"], about["width"], about["has_bias"]) == (8192, 128, False)
    assert len(about["tied"]) == 104 and about["ranked_by"] == "id"
    assert about["tied"][0] | {"text": ""} == {
        "id": 128, "text": "", "rank": 129, "in_texts": True, "same_row_as": 129, "radius": None
    }  # fmt: skip
    assert call("tiny-retriever", *more)[::2] == (
        2,
        f"ergotext: {kept} is about another model or number format; give another file\n",
    )


@pytest.mark.parametrize(("model", "bias"), [("tiny-masked", True), ("tiny-retriever", False)])
def test_models_of_every_kind(call, model: str, bias: bool) -> None:
    code, out, _ = call(model, "--json", "--threads", "1")
    about = json.loads(out)["argmax"]
    assert code == 0 and about["has_bias"] == bias
    assert about["argmaxable"] + len(about["tied"]) == about["tokens"]


def test_no_time_decides_nothing(call) -> None:
    code, out, err = call("tiny-retriever", "--minutes", "0")
    assert (code, err) == (0, "") and "4394 undecided" in out and "Raise --minutes" in out


def test_what_cannot_be_is_one_line(call, tmp_path: Path, model_folder: Path) -> None:
    for arguments, said in [
        (["tiny-causal", "--minutes", "-1"], "minutes"),
        (["tiny-causal", "--minutes", "inf"], "the time limit must be 0 minutes or more"),
        (["tiny-causal", "--check", "argmin"], "argmin"),
        (["tiny-causal", "--report", str(tmp_path)], "is a folder"),
        ([str(tmp_path / "none")], "none"),
        (["tiny-masked", "--check", "argmax", "--check", "stopping"], "tiny-masked is not one"),
    ]:
        code, out, err = call(*arguments)
        assert (code, out) == (2, "") and err.count("\n") == 1 and said in err


def test_an_encoder_without_output_matrix_is_one_line(call, capsys, tmp_path: Path) -> None:
    from ergotext.lm.loading import load

    tokenizer = load("tiny-masked").vocabulary.tokenizer
    torch.manual_seed(0)
    BertModel(
        BertConfig(vocab_size=len(tokenizer), hidden_size=8, num_hidden_layers=1,
                   num_attention_heads=1, intermediate_size=8)
    ).save_pretrained(tmp_path)  # fmt: skip
    tokenizer.save_pretrained(tmp_path)
    capsys.readouterr()
    code, out, err = call(str(tmp_path))
    assert (code, out) == (2, "") and err.count("\n") == 1 and "has no output matrix" in err


@pytest.mark.slow
def test_a_causal_model_is_checked_for_repetition_and_ends(call, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    checks = ["--check", "stopping", "--check", "repetition", "--threads", "1"]
    code, out, err = call("tiny-causal", *checks, "--report", str(page), "--json")
    found = json.loads(out)
    assert (code, err) == (0, "") and {"stopping", "repetition"} <= found.keys()
    assert {"## stopping", "## repetition"} <= set(page.read_text(encoding="utf-8").splitlines())
    code, out, err = call("tiny-masked", "--check", "stopping")
    assert code == 2 and out == "" and err.count("\n") == 1
