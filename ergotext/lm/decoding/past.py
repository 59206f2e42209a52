"""Key-value caches: what a network has read of rows, and how it reads on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from transformers import EncoderDecoderCache
from transformers.cache_utils import DynamicCache
from transformers.modeling_outputs import BaseModelOutputWithPast

CACHE = "cache" if "cache" in BaseModelOutputWithPast.__dataclass_fields__ else "past_key_values"
"""What a model of transformers calls its key-value cache; the second name is that before 5.24."""

Output = tuple[Tensor, EncoderDecoderCache]


class Past(Protocol):
    """Key-value cache of B rows."""

    @property
    def positions(self) -> int:
        """The most that the network can read of a row."""

    @property
    def room(self) -> Tensor:
        """int64 [B]: tokens that still fit after each row."""

    def read_on(self, rows: Tensor, ids: Tensor) -> tuple[Tensor, Past]:
        """Final states [n, m, D] of ids [n, m] after row ``rows[i]`` each, and the new past."""


@dataclass(frozen=True, eq=False)
class EncodedInputs:
    """The encoded inputs [Q, S, D], and the decoder over them."""

    decoder: Any
    positions: int
    """the most that the decoder can read of an answer"""
    encoded: Tensor
    seen: Tensor

    def decode(self, inputs: Tensor, ids: Tensor, cache: EncoderDecoderCache | None) -> Output:
        """Final states [n, m, D] of ids [n, m] after the cache, each for its input."""
        device = self.encoded.device
        at = inputs.to(device)
        if cache is None:
            # What is kept of the input is kept whole, however far the decoder's own layers see.
            own = DynamicCache(config=self.decoder.config)
            cache = EncoderDecoderCache(own, DynamicCache())
        output = self.decoder(
            input_ids=ids.to(device),
            encoder_hidden_states=self.encoded[at],
            encoder_attention_mask=self.seen[at],
            use_cache=True,
            **{CACHE: cache},
        )
        return output.last_hidden_state, output[CACHE]


@dataclass(frozen=True, eq=False)
class AnswerPast:
    """What the decoder has read of answers to these inputs (a ``Past``).

    ``inputs`` int64 [B] are the inputs that they answer; ``length`` counts the tokens read, the
    start token included.
    """

    source: EncodedInputs
    inputs: Tensor
    cache: EncoderDecoderCache
    length: int

    @property
    def positions(self) -> int:
        return self.source.positions

    @property
    def room(self) -> Tensor:
        return torch.full(self.inputs.shape, self.positions - self.length)

    def read_on(self, rows: Tensor, ids: Tensor) -> tuple[Tensor, AnswerPast]:
        inputs = self.inputs[rows]
        states, cache = self.source.decode(inputs, ids, self._selected(rows))
        return states, AnswerPast(self.source, inputs, cache, self.length + ids.shape[1])

    def _selected(self, rows: Tensor) -> EncoderDecoderCache:
        """A copy of the cache for these rows; that of the inputs is shared where they agree."""
        at, inputs = rows.to(self.source.encoded.device), self.inputs[rows]
        same = torch.equal(inputs, self.inputs)
        one = not same and len(rows) > 0 and bool((inputs == inputs[0]).all())

        def read_by(of_inputs: Tensor) -> Tensor:
            """A single copy of one input serves all rows, so that many prefixes fit."""
            if same:
                return of_inputs
            return of_inputs[at[:1]].expand(len(rows), -1, -1, -1) if one else of_inputs[at]

        own_layers: Any = self.cache.self_attention_cache.layers
        read_layers: Any = self.cache.cross_attention_cache.layers
        own = [(layer.keys[at], layer.values[at]) for layer in own_layers]
        read = [(read_by(layer.keys), read_by(layer.values)) for layer in read_layers]
        return EncoderDecoderCache(DynamicCache(own), DynamicCache(read))
