"""Seq2SeqLM: an encoder-decoder as the scorer of log p(answer | input)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import EncoderDecoderCache, PreTrainedModel
from transformers.cache_utils import DynamicCache
from transformers.modeling_outputs import BaseModelOutput

from ergotext.lm.decoding import UNBOUNDED
from ergotext.lm.projection import Projection
from ergotext.lm.protocols import InputError, ModelError

TOKEN_BUDGET = 4096
"""Positions in one pass of the decoder over the rests of keys."""


class Seq2SeqLM:
    """log p(answer, end | input) under any encoder-decoder of transformers, in nats.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        An encoder-decoder with a linear output layer (T5, BART, Marian and their kin).

    Raises
    ------
    ModelError
        The model is none, names no start or end token, or its logits are not a projection of its
        decoder's states.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        self.model = model.eval()
        self.start_id = _named(model, "decoder_start_token_id")
        self.end = _named(model, "eos_token_id")
        self.pad = _named(model, "pad_token_id")
        try:
            self.decoder: Any = model.get_decoder()
            self.encoder: Any = model.get_encoder()
            self.projection = _projection(model, self.start_id)
        except (AttributeError, TypeError, ValueError, RuntimeError) as error:
            if isinstance(error, ModelError):
                raise
            raise ModelError(
                f"This {model.config.model_type} model cannot be driven as an encoder-decoder "
                f"({error}): take another model."
            ) from error
        self.max_input = _positions(self.encoder, "max_encoder_position_embeddings")
        self.max_answer = _positions(self.decoder, "max_decoder_position_embeddings")

    def __repr__(self) -> str:
        weight = self.projection.weight
        return f"Seq2SeqLM({self.model.config.model_type}, {weight.dtype}, {weight.device})"

    @torch.inference_mode()
    def read(self, inputs: Sequence[Sequence[int]]) -> Seq2SeqDecoding:
        """Encode the inputs (token ids, as the model was trained to read them), once for all.

        Raises
        ------
        InputError
            An input is empty, longer than the model takes, or holds an id that it does not know.
        """
        for number, row in enumerate(inputs, 1):
            if not len(row) or len(row) > self.max_input:
                raise InputError(
                    f"Input {number} has {len(row)} tokens, this model takes 1 to "
                    f"{self.max_input}: shorten or drop it."
                )
            if not 0 <= min(row) <= max(row) < self.model.config.vocab_size:
                raise InputError(
                    f"Input {number} holds ids from {min(row)} to {max(row)}, this model knows 0 "
                    f"to {self.model.config.vocab_size - 1}: use the model's own tokenizer."
                )
        # No inputs are read as one, which is dropped again: models cannot take none.
        rows = [torch.tensor(row) for row in inputs] or [torch.zeros(1, dtype=torch.int64)]
        device = self.projection.weight.device
        ids = pad_sequence(rows, batch_first=True, padding_value=self.pad).to(device)
        lengths = torch.tensor([len(row) for row in rows])
        seen = (torch.arange(ids.shape[1]) < lengths[:, None]).to(device)
        encoded = self.encoder(input_ids=ids, attention_mask=seen.long()).last_hidden_state
        source = _Source(self, encoded, seen.long())
        every, count = torch.arange(len(rows)), len(inputs)
        hidden, cache = source.decode(every, torch.full((len(rows), 1), self.start_id), None)
        return Seq2SeqDecoding(source, every[:count], hidden[:count, -1], cache, 1)


@dataclass(frozen=True, eq=False)
class _Source:
    """The encoded inputs [Q, S, D], and the decoder over them."""

    lm: Seq2SeqLM
    encoded: Tensor
    seen: Tensor

    def decode(
        self, inputs: Tensor, ids: Tensor, cache: EncoderDecoderCache | None
    ) -> tuple[Tensor, EncoderDecoderCache]:
        """Final states [n, m, D] of ids [n, m] behind the cache, each for its input."""
        device = self.encoded.device
        at = inputs.to(device)
        if cache is None:
            # What is kept of the input is kept whole, however far the decoder's own layers see.
            own = DynamicCache(config=self.lm.decoder.config)
            cache = EncoderDecoderCache(own, DynamicCache())
        output = self.lm.decoder(
            input_ids=ids.to(device),
            encoder_hidden_states=self.encoded[at],
            encoder_attention_mask=self.seen[at],
            past_key_values=cache,
            use_cache=True,
        )
        return output.last_hidden_state, output.past_key_values


@dataclass(frozen=True, eq=False)
class Seq2SeqDecoding:
    """Answers being written behind encoded inputs (``protocols.Decoding``).

    Parameters
    ----------
    source : the encoded inputs
    inputs : int64 [B]
        The input that each row answers.
    hidden : [B, D]
        The decoder's state behind the last token of each row.
    cache : EncoderDecoderCache
        Keys and values of the rows and of their inputs.
    length : int
        Tokens read so far, the start token included.
    """

    source: _Source
    inputs: Tensor
    hidden: Tensor
    cache: EncoderDecoderCache
    length: int

    @property
    def end(self) -> int:
        return self.source.lm.end

    @property
    def size(self) -> int:
        return len(self.source.lm.projection.weight)

    @property
    def room(self) -> int:
        # The last token that is scored is never read.
        return max(0, self.source.lm.max_answer - self.length + 1)

    def __len__(self) -> int:
        return len(self.inputs)

    @torch.inference_mode()
    def logits(self, rows: Tensor, tokens: Tensor) -> Tensor:
        projection = self.source.lm.projection
        device = projection.weight.device
        if 8 * len(rows) < len(self) * len(projection.weight):
            picked = projection.target_logits(self.hidden[rows.to(device)], tokens.to(device))
        else:
            picked = self._dense[rows.to(device), tokens.to(device)]
        return picked.double().cpu()

    @torch.inference_mode()
    def log_z(self) -> Tensor:
        return self.source.lm.projection.log_z(self.hidden).double().cpu()

    @torch.inference_mode()
    def rest_log_prob(self, rows: Tensor, ids: Tensor, offsets: Tensor) -> Tensor:
        sizes = offsets.diff().tolist()
        self._check(max(sizes, default=0))
        runs = ids.split(sizes) if sizes else ()
        scores: list[Tensor] = [torch.zeros(0, dtype=torch.float64)] * len(sizes)
        for group in _alike(sizes):
            found = self._runs(rows[group], [runs[i] for i in group])
            for i, score in zip(group, found.split([sizes[i] for i in group]), strict=True):
                scores[i] = score
        return torch.cat([torch.zeros(0, dtype=torch.float64), *scores])

    @torch.inference_mode()
    def advance(self, rows: Tensor, tokens: Tensor) -> Seq2SeqDecoding:
        self._check(2)
        inputs = self.inputs[rows]
        cache = self._selected(rows)
        hidden, cache = self.source.decode(inputs, tokens[:, None], cache)
        return Seq2SeqDecoding(self.source, inputs, hidden[:, -1], cache, self.length + 1)

    def _runs(self, rows: Tensor, runs: list[Tensor]) -> Tensor:
        """float64 [T]: log p of each token of runs behind these rows, in one pass."""
        projection = self.source.lm.projection
        targets = torch.cat(runs).to(self.hidden.device)
        # The first token of a run is predicted by the row's own state, its last one is not read.
        fed = pad_sequence([run[:-1] for run in runs], batch_first=True)
        states = self.hidden[rows.to(self.hidden.device)][:, None]
        if fed.shape[1]:
            later, _ = self.source.decode(self.inputs[rows], fed, self._selected(rows))
            states = torch.cat([states, later], dim=1)
        lengths = torch.tensor([len(run) for run in runs])
        real = torch.arange(states.shape[1]) < lengths[:, None]
        flat = states[real.to(states.device)]
        scores = projection.target_logits(flat, targets) - projection.log_z(flat)
        return scores.double().cpu()

    def _selected(self, rows: Tensor) -> EncoderDecoderCache:
        """A copy of the cache for these rows; that of the inputs is shared where they agree."""
        at = rows.to(self.hidden.device)
        same = torch.equal(self.inputs[rows], self.inputs)
        own_layers: Any = self.cache.self_attention_cache.layers
        read_layers: Any = self.cache.cross_attention_cache.layers
        own = [(layer.keys[at], layer.values[at]) for layer in own_layers]
        read = [
            (layer.keys, layer.values) if same else (layer.keys[at], layer.values[at])
            for layer in read_layers
        ]
        return EncoderDecoderCache(DynamicCache(own), DynamicCache(read))

    def _check(self, more: int) -> None:
        if more > self.room:
            raise InputError(
                f"{more} tokens more make an answer too long for this model's decoder of "
                f"{self.source.lm.max_answer} positions: leave longer keys out of the index."
            )

    @cached_property
    def _dense(self) -> Tensor:
        return self.source.lm.projection.logits(self.hidden)


def _named(model: PreTrainedModel, name: str) -> int:
    value = getattr(model.config, name, None)
    if value is None:
        value = getattr(getattr(model, "generation_config", None), name, None)
    if not model.config.is_encoder_decoder or not isinstance(value, int):
        raise ModelError(
            f"This {model.config.model_type} model is no encoder-decoder or names no single "
            f"{name}: set config.{name}, or take another model."
        )
    return value


def _positions(part: Any, own: str) -> int:
    """Most tokens this encoder or decoder has places for."""
    if getattr(part.config, "relative_attention_num_buckets", None):
        return UNBOUNDED
    known = (getattr(part.config, name, None) for name in (own, "max_position_embeddings"))
    return next((count for count in known if count), UNBOUNDED)


def _alike(sizes: list[int]) -> Iterator[list[int]]:
    """Numbers of runs, in groups of which none takes more than the budget once it is padded."""
    group: list[int] = []
    for run in sorted(range(len(sizes)), key=sizes.__getitem__):
        if group and (len(group) + 1) * sizes[run] > TOKEN_BUDGET:
            yield group
            group = []
        group.append(run)
    if group:
        yield group


@torch.inference_mode()
def _projection(model: PreTrainedModel, start_id: int) -> Projection:
    """The output layer, with what the model does around it found out by a trial.

    T5 scales the decoder's states, BART adds a bias to the logits: both are told from what goes
    into the layer and what comes out of the model.
    """
    layer = model.get_output_embeddings()
    seen: list[tuple[Tensor, Tensor]] = []
    hook = layer.register_forward_hook(lambda _, given, out: seen.append((given[0], out)))
    trial = torch.tensor([[start_id, 5, 6]], device=layer.weight.device)
    trial = trial % model.config.vocab_size
    encoded = model.get_encoder()(input_ids=trial).last_hidden_state
    try:
        logits = model(
            encoder_outputs=BaseModelOutput(last_hidden_state=encoded), decoder_input_ids=trial
        ).logits
    finally:
        hook.remove()
    hidden = model.get_decoder()(
        input_ids=trial, encoder_hidden_states=encoded, use_cache=False
    ).last_hidden_state
    given, out = seen[0]
    scale = float((given.double() * hidden).sum() / hidden.double().square().sum())
    bias = (logits - out)[0].mean(0)
    own = getattr(layer, "bias", None)
    if own is not None:
        bias = bias + own
    ours = Projection(layer.weight, bias / scale if bool(bias.any()) else None, scale=scale)
    possible = torch.isfinite(logits[0])
    gap = (ours.logits(hidden[0]) - logits[0])[possible].abs().max()
    slack = 1e-3 if logits.dtype == torch.float32 else 0.05
    if not gap <= slack * (1 + logits[0][possible].abs().max()):
        raise ModelError(
            f"The logits of this {model.config.model_type} model are not a projection of its "
            f"decoder's states (they differ by {float(gap):.2g}): it is not supported."
        )
    return ours
