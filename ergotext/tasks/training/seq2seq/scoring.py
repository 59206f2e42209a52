"""Score log p(key | question) of many keys, with or without gradients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.modeling_outputs import BaseModelOutput

from ergotext.lm.tokenizers.fast import FastTokenizer

Batch = dict[str, Tensor]
IGNORED = -100
"""The label of what is no token of a key, as transformers has it."""


@dataclass(frozen=True, eq=False)
class Coder:
    """Questions and keys as the model reads and writes them.

    Parameters
    ----------
    tokenizer : transformers tokenizer
    longest : int
        Tokens of a question or key that are read in training; the rest is cut off.
    """

    tokenizer: PreTrainedTokenizerBase
    longest: int = 96

    def questions(self, texts: Sequence[str]) -> Batch:
        """``input_ids`` and ``attention_mask``, int64 [Q, S]."""
        rows = self.tokenizer(
            list(texts), truncation=True, max_length=self.longest, padding=True, return_tensors="pt"
        )
        return {name: rows[name] for name in ("input_ids", "attention_mask")}

    def labels(self, keys: Sequence[str]) -> Tensor:
        """int64 [N, L]: the tokens of each key as an index has them, and the end token."""
        flat, offsets = self._keys.encode_many(keys)
        end = torch.tensor([self._keys.alphabet.end])
        ids = torch.from_numpy(flat).split(np.diff(offsets).tolist())
        rows = [torch.cat([row[: self.longest - 1], end]) for row in ids]
        return pad_sequence(rows, batch_first=True, padding_value=IGNORED)

    def batch(self, questions: Sequence[str], keys: Sequence[str]) -> Batch:
        """``questions`` and, as ``labels``, the key of each."""
        return {**self.questions(questions), "labels": self.labels(keys)}

    @cached_property
    def _keys(self) -> FastTokenizer:
        return FastTokenizer(self.tokenizer)


def encoded(model: PreTrainedModel, questions: Batch) -> Tensor:
    """[Q, S, D]: what the encoder makes of questions."""
    states: Tensor = model.get_encoder()(**questions).last_hidden_state
    return states


def key_log_prob(
    model: PreTrainedModel,
    questions: Batch,
    states: Tensor,
    row: Tensor,
    labels: Tensor,
) -> Tensor:
    """float32 [N]: log p(key i, end | question ``row[i]``), in nats.

    Parameters
    ----------
    model : transformers.PreTrainedModel
    questions : dict
        As ``Coder.questions`` gives them, Q of them.
    states : [Q, S, D]
        As ``encoded`` gives them.
    row : int64 [N]
    labels : int64 [N, L]
        As ``Coder.labels`` gives them.
    """
    called: Any = model
    output = called(
        encoder_outputs=BaseModelOutput(last_hidden_state=states[row]),
        attention_mask=questions["attention_mask"][row],
        decoder_input_ids=called.prepare_decoder_input_ids_from_labels(labels),
        use_cache=False,
    )
    wanted = labels != IGNORED
    logits = output.logits[wanted]
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    each = cross_entropy(logits, labels[wanted], reduction="none")
    found = torch.zeros(len(row), dtype=each.dtype, device=each.device)
    return found.index_add(0, wanted.nonzero()[:, 0], -each)
