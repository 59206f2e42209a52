"""Training from encoder-decoders of several families, made with random weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    MT5Config,
    MT5ForConditionalGeneration,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from ergotext.tasks.index import build
from ergotext.tasks.retrieval.lookahead.learned import Matched
from ergotext.tasks.retrieval.retriever import Retriever
from ergotext.tasks.training.lookahead.recipe import Recipe
from ergotext.tasks.training.retriever import train as module
from ergotext.tasks.training.retriever.train import train_retriever
from ergotext.tasks.training.settings import Settings
from tests.tasks.little_base import LittleBase
from tests.tiny_t5 import t5_of, tokenizer_of


def t5(tokenizer: PreTrainedTokenizerFast) -> PreTrainedModel:
    return t5_of(tokenizer)


def mt5(tokenizer: PreTrainedTokenizerFast) -> PreTrainedModel:
    torch.manual_seed(0)
    return MT5ForConditionalGeneration(
        MT5Config(
            vocab_size=len(tokenizer), d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2,
            pad_token_id=0, eos_token_id=1, decoder_start_token_id=0, tie_word_embeddings=False,
        )
    )  # fmt: skip


def bart(tokenizer: PreTrainedTokenizerFast) -> PreTrainedModel:
    torch.manual_seed(0)
    return BartForConditionalGeneration(
        BartConfig(
            vocab_size=len(tokenizer), d_model=16, encoder_layers=1, decoder_layers=1,
            encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=32,
            decoder_ffn_dim=32, max_position_embeddings=128, pad_token_id=0, bos_token_id=1,
            eos_token_id=1, decoder_start_token_id=1, forced_eos_token_id=None,
        )
    )  # fmt: skip


@pytest.mark.parametrize("objective", ["cross-entropy", "listwise"])
@pytest.mark.parametrize("make", [t5, mt5, bart])
def test_goes_on_from(
    make: Callable[[PreTrainedTokenizerFast], PreTrainedModel],
    objective: str,
    little: LittleBase,
    tmp_path: Path,
) -> None:
    """Its weights change, the included look-ahead is trained beside it, and it answers."""
    start = tmp_path / "start"
    tokenizer = tokenizer_of([little.lines.read_text("utf-8"), little.questions.read_text("utf-8")])
    make(tokenizer).save_pretrained(start)
    tokenizer.save_pretrained(start)
    build(little.lines, tmp_path / "kb.ergo", tokenizer=str(start))
    settings = Settings(
        steps=2, batch_size=4, every=2, objective=objective, rivals=3, learning_rate=1e-3
    )
    recipe = Recipe(steps=2, batch_size=4, warm_up=1, every=2, patience=1)
    done = train_retriever(
        little.questions, tmp_path / "kb.ergo", tmp_path / "m", little.dev, start=str(start),
        settings=settings, recipe=recipe, device="cpu",
    )  # fmt: skip
    assert done.index == tmp_path / "kb.ergo"
    last = load_file(tmp_path / "m" / "checkpoints" / "checkpoint-2" / "model.safetensors")
    first = load_file(start / "model.safetensors")
    assert any(not torch.equal(last[name], first[name]) for name in first)
    retriever = Retriever(module.load(str(done.folder), device="cpu"), done.index)
    (hits,) = retriever.retrieve(["长江有多长？"], lookahead=Matched.load(done.folder), threshold=0)
    assert hits[0].fields["subject"] == "长江"
