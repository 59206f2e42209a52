"""A random T5 with a fast tokenizer of characters and bytes, made on the spot."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, processors
from transformers import PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

SPECIALS = ("<pad>", "</s>", "<unk>")


def tokenizer_of(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """Every character of the texts has a token; any other is written in bytes."""
    bytes_ = [f"<0x{byte:02X}>" for byte in range(256)]
    names = [*SPECIALS, *bytes_, *sorted(set("".join(texts)))]
    vocabulary = {name: number for number, name in enumerate(names)}
    inner = Tokenizer(models.BPE(vocabulary, [], byte_fallback=True, unk_token="<unk>"))
    inner.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    inner.post_processor = processors.TemplateProcessing("$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )


def t5_of(tokenizer: PreTrainedTokenizerFast, seed: int = 0) -> T5ForConditionalGeneration:
    torch.manual_seed(seed)
    return T5ForConditionalGeneration(
        T5Config(
            vocab_size=len(tokenizer), d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2,
            pad_token_id=0, eos_token_id=1, decoder_start_token_id=0, initializer_factor=1.5,
        )
    ).eval()  # fmt: skip


def saved(folder: Path, texts: Iterable[str], seed: int = 0) -> Path:
    """A folder that ``load`` takes."""
    tokenizer = tokenizer_of(texts)
    t5_of(tokenizer, seed).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
