"""Create a small T5 that copies its input from the start, which shortens training."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase, T5Config, T5ForConditionalGeneration

from ergotext.tasks.training.settings import Shape

_CONFIG: Any = T5Config
BEFORE = 1
"""The bucket of relative positions that holds the place before, in an encoder."""
_BIAS, _SHARPNESS, _MARK, _GAIN = 8.0, 0.2, 3.0, 6.0


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


@torch.no_grad()
def teach_copying(model: T5ForConditionalGeneration) -> None:
    """Set weights so that the decoder copies what follows its last token in the input.

    The first head of the encoder's first layer writes down, beside each token, which one stands
    before it; the heads of the decoder's last layer look for the place where that is the token
    last written, and pass on the token that stands there. Embeddings are random, hence nearly
    orthogonal, and the output layer shares them. All other weights stay as they are, so that what
    is learned later may use or undo this.

    References
    ----------
    Olsson et al. 2022, "In-context learning and induction heads", which training makes of itself
    after many more steps than a small budget has.
    """
    t5: Any = model
    encoder = t5.encoder.block[0].layer[0].SelfAttention
    decoder = t5.decoder.block[-1].layer[1].EncDecAttention
    width, size = model.config.d_model, model.config.d_kv
    seen, place = _orthonormal(width, size), _orthonormal(width, size)
    passed = _orthonormal(width, encoder.inner_dim)
    encoder.relative_attention_bias.weight[BEFORE, 0] += _BIAS
    encoder.v.weight[:size] = seen.T
    encoder.o.weight[:, :size] = _MARK * place
    for head in range(model.config.num_heads):
        rows = slice(head * size, (head + 1) * size)
        decoder.q.weight[rows] = _SHARPNESS * seen.T
        decoder.k.weight[rows] = place.T
    decoder.v.weight.copy_(passed.T)
    decoder.o.weight.copy_(_GAIN * passed)


def _orthonormal(rows: int, columns: int) -> Tensor:
    """[rows, columns]: random columns of length 1, at right angles to each other."""
    found: Tensor = torch.linalg.qr(torch.randn(rows, max(rows, columns)))[0][:, :columns]
    return found
