"""Encoder-decoders by name, with the tokenizer that lies beside them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import ergotext as et
from ergotext.lm.loading import load_causal
from ergotext.lm.seq2seq import Seq2SeqLM
from tests.tiny_t5 import saved, t5_of, tokenizer_of

TEXT = "苹果的产地是哪里 apple"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("t5"), [TEXT])


def test_a_folder_loads(folder: Path) -> None:
    lm = et.load(str(folder), device="cpu")
    assert isinstance(lm, Seq2SeqLM) and not lm.model.training
    ids = lm.encode("苹果")
    assert ids == [*tokenizer_of([TEXT]).encode("苹果", add_special_tokens=False), 1]
    before = Seq2SeqLM(t5_of(tokenizer_of([TEXT])))
    with torch.inference_mode():
        laws = [one.read([ids]).log_z() for one in (lm, before)]
    assert laws[0].tolist() == pytest.approx(laws[1].tolist(), abs=1e-5)


def test_keys_are_those_of_an_index_of_its_tokenizer(folder: Path) -> None:
    lm = et.load(str(folder))
    assert isinstance(lm, Seq2SeqLM)
    named = et.load_tokenizer(str(folder))
    assert lm.keys.alphabet == named.alphabet
    assert lm.keys.encode("苹果\t产地") == named.encode("苹果\t产地")


def test_questions_are_cut_before_what_closes_them(folder: Path) -> None:
    lm = et.load(str(folder))
    assert isinstance(lm, Seq2SeqLM)
    assert lm.encode("苹果" * 50, longest=5) == [*lm.encode("苹果" * 50)[:4], 1]
    assert lm.encode("苹果", longest=5) == lm.encode("苹果")


def test_texts_that_cannot_be_encoded(folder: Path) -> None:
    lm = et.load(str(folder))
    assert isinstance(lm, Seq2SeqLM)
    with pytest.raises(et.InputError, match="not valid Unicode"):
        lm.encode("\ud800")
    with pytest.raises(et.InputError, match="has no tokenizer"):
        Seq2SeqLM(lm.model).encode("a")
    with pytest.raises(et.InputError, match="has no tokenizer"):
        _ = Seq2SeqLM(lm.model).keys


def test_it_is_not_taken_for_a_causal_model(folder: Path) -> None:
    with pytest.raises(et.InputError, match="is an encoder-decoder, but a causal one"):
        load_causal(str(folder))


def test_damaged_weights(folder: Path, tmp_path: Path) -> None:
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    weights = load_file(tmp_path / "model.safetensors")
    name = next(name for name in weights if "decoder" in name and "relative" not in name)
    del weights[name]
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(et.ModelError):
        et.load(str(tmp_path))
    (tmp_path / "model.safetensors").write_bytes(b"none")
    with pytest.raises(et.ModelError, match="cannot load the model"):
        et.load(str(tmp_path))
    (tmp_path / "model.safetensors").unlink()
    (tmp_path / "pytorch_model.bin").write_bytes(b"pickle")
    with pytest.raises(et.ModelError, match="cannot load the model"):
        et.load(str(tmp_path))
