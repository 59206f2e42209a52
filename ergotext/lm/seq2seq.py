"""Seq2SeqLM: score log p(answer | input) with an encoder-decoder."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.modeling_outputs import BaseModelOutput

from ergotext.errors import InputError, ModelError
from ergotext.lm.decoding.cached import CachedDecoding, token_ids
from ergotext.lm.decoding.past import AnswerPast, EncodedInputs
from ergotext.lm.decoding.projection import Projection
from ergotext.lm.tokenizers.fast import FastTokenizer
from ergotext.support.reprs import safe
from ergotext.support.words import check_unicode

UNBOUNDED = 1 << 30
"""Length where a model sets none."""


class Seq2SeqLM:
    """log p(answer, end | input) under any encoder-decoder of transformers, in nats.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        An encoder-decoder with a linear output layer (T5, BART, Marian and their kin).
    tokenizer : transformers tokenizer, optional
        What texts are encoded with; ``load`` gives the one that lies beside the model.

    Raises
    ------
    ModelError
        The model is none, names no start or end token, or its logits are not a projection of its
        decoder's states.
    """

    def __init__(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase | None = None
    ) -> None:
        self.model = model.eval()
        self.name = str(model.config.model_type)
        """What it was loaded as; the kind of the network where it was not."""
        self.tokenizer = tokenizer
        self.start_id = _named(model, "decoder_start_token_id")
        self.end = _named(model, "eos_token_id")
        self.pad = _named(model, "pad_token_id")
        try:
            self.decoder: Any = model.get_decoder()
            self.encoder: Any = model.get_encoder()
            self.projection = _projection(model, self.start_id)
        except ModelError:
            raise
        except Exception as error:  # a model of another kind, or settings that make no sense
            raise ModelError(
                f"this {model.config.model_type} model cannot be used as an encoder-decoder "
                f"({error}): use another model"
            ) from error
        self.max_input = _positions(self.encoder, "max_encoder_position_embeddings")
        self.max_answer = _positions(self.decoder, "max_decoder_position_embeddings")

    @safe
    def __repr__(self) -> str:
        weight = self.projection.weight
        return f"Seq2SeqLM({self.name}, {weight.dtype}, {weight.device})"

    def encode(self, text: str, longest: int | None = None) -> list[int]:
        """Token ids of an input, as ``read`` takes them: with what the tokenizer puts around it.

        Of a text of more than ``longest`` tokens, the beginning.

        Raises
        ------
        InputError
            The text is no valid Unicode, or the model came without a tokenizer.
        """
        check_unicode(text)
        cut = {} if longest is None else {"truncation": True, "max_length": longest}
        return [int(i) for i in self._known()(text, verbose=False, **cut)["input_ids"]]

    @cached_property
    def keys(self) -> FastTokenizer:
        """The tokenizer of an index whose keys this model writes; errors as ``FastTokenizer``."""
        return FastTokenizer(self._known())

    def _known(self) -> Any:
        if self.tokenizer is None:
            raise InputError(
                "this encoder-decoder has no tokenizer: load it by name, or give Seq2SeqLM a "
                "tokenizer"
            )
        return self.tokenizer

    @torch.inference_mode()
    def read(self, inputs: Sequence[Sequence[int]]) -> CachedDecoding:
        """Encode the inputs (token ids, as the model was trained to read them), once for all.

        Raises
        ------
        InputError
            An input is empty, longer than the model takes, or holds an id that it does not know.
        """
        given = token_ids(inputs, self.model.config.vocab_size)
        for number, row in enumerate(given, 1):
            if not len(row) or len(row) > self.max_input:
                raise InputError(
                    f"input {number} has {len(row)} tokens, but the model takes 1 to "
                    f"{self.max_input}: shorten or remove it"
                )
        # No inputs are read as one, which is dropped again: models cannot take none.
        rows = [torch.tensor(row) for row in given] or [torch.zeros(1, dtype=torch.int64)]
        device = self.projection.weight.device
        ids = pad_sequence(rows, batch_first=True, padding_value=self.pad).to(device)
        lengths = torch.tensor([len(row) for row in rows])
        seen = (torch.arange(ids.shape[1]) < lengths[:, None]).to(device)
        encoded = self.encoder(input_ids=ids, attention_mask=seen.long()).last_hidden_state
        source = EncodedInputs(self.decoder, self.max_answer, encoded, seen.long())
        every, count = torch.arange(len(rows)), len(given)
        hidden, cache = source.decode(every, torch.full((len(rows), 1), self.start_id), None)
        answers = AnswerPast(source, every[:count], cache, 1)
        return CachedDecoding(self.projection, self.end, hidden[:count, -1], answers)


def _named(model: PreTrainedModel, name: str) -> int:
    value = getattr(model.config, name, None)
    if value is None:
        value = getattr(getattr(model, "generation_config", None), name, None)
    if not model.config.is_encoder_decoder or not isinstance(value, int):
        raise ModelError(
            f"this {model.config.model_type} model is not an encoder-decoder, or has no single "
            f"{name}: set config.{name}, or use another model"
        )
    embeddings: Any = model.get_input_embeddings()
    rows = embeddings.weight.shape[0]
    if isinstance(value, bool) or not 0 <= value < rows:
        raise ModelError(
            f"this {model.config.model_type} model has {name} = {value}, but its tokens are 0 to "
            f"{rows - 1:,}: fix config.json, or download the model again"
        )
    return value


def _positions(part: Any, own: str) -> int:
    """Most tokens this encoder or decoder has places for."""
    if getattr(part.config, "relative_attention_num_buckets", None):
        return UNBOUNDED
    known = (getattr(part.config, name, None) for name in (own, "max_position_embeddings"))
    return next((count for count in known if count), UNBOUNDED)


@torch.inference_mode()
def _projection(model: PreTrainedModel, start_id: int) -> Projection:
    """The output layer, with what the model does around it found out by a trial.

    T5 scales the decoder's states, BART adds a bias to the logits: both are inferred from what goes
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
            f"the logits of this {model.config.model_type} model are not a projection of its "
            f"decoder's states (they differ by {float(gap):.2g}), which is not supported: use "
            "another model"
        )
    return ours
