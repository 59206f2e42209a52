"""From a name to a masked model, and what happens where a causal one is needed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import PreTrainedTokenizerFast

import ergotext as et
from ergotext.cli import main
from ergotext.lm.loading import load_causal
from tests.lm.masked_worlds import FAMILIES, masked_tokenizer, reference_scores


@pytest.fixture(scope="module", params=["bert", "modernbert"])
def folder(
    request: pytest.FixtureRequest,
    tokenizer: PreTrainedTokenizerFast,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A random masked model saved in transformers' format, float16 as the shipped ones are."""
    folder = tmp_path_factory.mktemp(request.param)
    torch.manual_seed(1)
    FAMILIES[request.param]().half().save_pretrained(folder)
    masked_tokenizer(tokenizer).save_pretrained(folder)
    return folder


def test_a_folder_with_a_masked_model_loads(folder: Path) -> None:
    mlm = et.load(str(folder))
    assert isinstance(mlm, et.MaskedLM) and mlm.dtype == torch.float32
    assert (mlm.opening, mlm.closing, mlm.mask_id, mlm.pad_id) == ([0], [1], 2, 3)
    row = mlm.encode("the summer sun")
    value = float(mlm.pseudo_log_prob(et.TokenBatch.of([row]))[0])
    assert value == pytest.approx(sum(reference_scores(mlm, row)), abs=1e-4)


def test_bfloat16_is_close_and_no_more(folder: Path) -> None:
    exact, rough = et.load(str(folder)), et.load(str(folder), dtype="bfloat16")
    assert rough.dtype == torch.bfloat16
    batch = et.TokenBatch.of([exact.encode("the summer sun shone")])
    gap = abs(float(exact.pseudo_log_prob(batch)[0] - rough.pseudo_log_prob(batch)[0]))
    assert 0 < gap < 1.0


def test_missing_weights_are_not_made_up(tmp_path: Path, folder: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(folder, broken)
    weights = load_file(broken / "model.safetensors")
    name = next(n for n in weights if "layer" in n and n.endswith("weight"))
    weights.pop(name)
    save_file(weights, broken / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(et.ModelError, match="lacks 1 of its weights"):
        et.load(str(broken))


def test_a_tokenizer_without_a_mask(tmp_path: Path, folder: Path, tokenizer) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(folder, broken)
    words = masked_tokenizer(tokenizer)
    words.mask_token = None
    words.save_pretrained(broken)
    with pytest.raises(et.ModelError, match="has no mask token"):
        et.load(str(broken))


def test_where_a_causal_model_is_needed(folder: Path, model_folder: Path, capsys) -> None:
    with pytest.raises(et.InputError, match="is a masked language model, but a causal"):
        load_causal(str(folder))
    assert isinstance(load_causal(str(model_folder)), et.CausalLM)
    assert main(["write", "summer", "--model", str(folder)]) == 2
    told = capsys.readouterr()
    assert told.out == "" and told.err.count("\n") == 1 and "masked language model" in told.err
