"""A small encoder-decoder before training."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase, T5Config, T5ForConditionalGeneration

from ergotext.errors import InputError
from ergotext.tasks.training.seq2seq.copying import teach_copying

_CONFIG: Any = T5Config


@dataclass(frozen=True)
class Shape:
    """The size of a T5 with gated GELU and one embedding for input and output.

    Parameters
    ----------
    d_model, d_ff : int
    num_layers : int
        Of the encoder, and as many of the decoder.
    num_heads : int
        Each of ``d_model / num_heads``.
    dropout_rate : float
    """

    d_model: int = 256
    d_ff: int = 512
    num_layers: int = 3
    num_heads: int = 4
    dropout_rate: float = 0.0

    def __post_init__(self) -> None:
        least = min(self.d_model, self.d_ff, self.num_layers, self.num_heads)
        if least < 1 or self.d_model % self.num_heads or not 0 <= self.dropout_rate < 1:
            raise InputError(f"no model has the shape {asdict(self)}: heads must share its width")


def fresh_model(
    tokenizer: PreTrainedTokenizerBase, shape: Shape, seed: int
) -> T5ForConditionalGeneration:
    """A T5 with random weights, told by the seed, that can copy (``teach_copying``)."""
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
