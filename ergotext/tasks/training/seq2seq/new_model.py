"""Create a small encoder-decoder."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase, T5Config, T5ForConditionalGeneration

from ergotext.tasks.training.seq2seq.copying import teach_copying
from ergotext.tasks.training.settings import Shape

_CONFIG: Any = T5Config


def fresh_model(
    tokenizer: PreTrainedTokenizerBase, shape: Shape, seed: int
) -> T5ForConditionalGeneration:
    """A T5 with random weights from the seed, that can copy (``teach_copying``)."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = T5ForConditionalGeneration(
            _CONFIG(
                vocab_size=len(tokenizer),
                d_kv=shape.d_model // shape.num_heads,
                num_decoder_layers=shape.num_layers,
                feed_forward_proj="gated-gelu",
                tie_word_embeddings=True,
                pad_token_id=tokenizer.pad_token_id,
                eos_token_id=tokenizer.eos_token_id,
                decoder_start_token_id=tokenizer.pad_token_id,
                **asdict(shape),
            )
        )
        teach_copying(model)
    return model
