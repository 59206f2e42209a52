"""CausalLM: score token sequences with a pretrained causal language model."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Any
from weakref import WeakValueDictionary

import torch
from torch import Tensor
from transformers import PreTrainedModel

from ergotext.errors import InputError, ModelError
from ergotext.lm.batch import TokenBatch, checked, microbatches
from ergotext.lm.decoding.cached import CachedDecoding, token_ids
from ergotext.lm.decoding.memo import RowCache
from ergotext.lm.decoding.projection import Projection
from ergotext.lm.decoding.prompts import read_prompts
from ergotext.lm.decoding.reader import Reader
from ergotext.lm.decoding.reduced import precision_of, reduced
from ergotext.lm.tokenizers.vocabulary import Vocabulary
from ergotext.support.reprs import called, quoted, safe

TOKEN_BUDGET = 1024
"""Token positions in one forward pass, prefixes included. Rows share a pass side by side, so
attention grows with its square; more than this buys no speed on a CPU."""


class CausalLM:
    """log p(x) of token sequences under a transformers causal model, with an optional context.

    Every number is a log-probability in nats, float64. A row is the generated text alone: the
    start token and the context stand before it and the end token, always scored, after it. What
    was computed for a row is kept for a while, so scoring an edited row costs only the part
    after the edit.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        A decoder with an ordinary key-value cache and a linear output layer.
    vocabulary : Vocabulary
    start_id, end_id : int
        The token before every sequence and the one that ends it.
    context : sequence of int
        Token ids between the start token and the row; scored never, conditioned on always.

    Raises
    ------
    ModelError
        The model has no such cache, or its logits are not a projection of its hidden states.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        vocabulary: Vocabulary,
        start_id: int,
        end_id: int,
        context: Sequence[int] = (),
        token_budget: int = TOKEN_BUDGET,
    ) -> None:
        self.model = model.eval()
        self.name = str(model.config.model_type)
        """What it was loaded as; the kind of the network where it was not."""
        self.vocabulary = vocabulary
        self.start_id = start_id
        self.end_id = end_id
        self.context = tuple(context)
        self.token_budget = token_budget
        self.projection = _projection(model)
        _check_boundaries(start_id, end_id, model, len(self.projection.weight))
        self.max_positions = _max_positions(model)
        self.precision = str(self.dtype).removeprefix("torch.")
        self._reader = self._read_by()
        self._reduced: WeakValueDictionary[str, CausalLM] = WeakValueDictionary()
        """Held by those who use them, as they hold this one: what both have read goes with them."""
        self._whole: CausalLM | None = None
        """of a copy in lower precision, the model that it is a copy of"""

    @safe
    def __repr__(self) -> str:
        return called("CausalLM", self.name, str(self.dtype), str(self.device), self._given())

    def shown(self) -> str:
        """Its name and its context."""
        return ", ".join(filter(None, [self.name, self._given()]))

    def _given(self) -> str:
        return f"given {quoted(self.vocabulary.text(self.context))}" if self.context else ""

    @property
    def device(self) -> torch.device:
        return self.projection.weight.device

    @property
    def dtype(self) -> torch.dtype:
        return self.projection.weight.dtype

    @property
    def allowed(self) -> Tensor:
        """bool [V]: tokens that may occur in a text; never special tokens."""
        return self.vocabulary.allowed

    @property
    def longest_text(self) -> int:
        """Tokens that the context window leaves for a text after its context."""
        return self.max_positions - 1 - len(self.context)

    def given(self, context: str) -> CausalLM:
        """The same model conditioned on ``context``, a text before every row."""
        return self.after((self.start_id, *self.vocabulary.encode(context)))

    def after(self, ids: Sequence[int]) -> CausalLM:
        """The same model after exactly these tokens, the first of them in the start token's place.

        Parameters
        ----------
        ids : sequence of int
            At least one, such as those of a chat template.

        Raises
        ------
        InputError
            There is none, or one that the model does not know; or more than it has positions for.
        """
        if self._whole is not None:
            return self._whole.after(ids).in_precision(self.precision)
        if not len(ids):
            raise InputError("give at least one token to read on from, such as the start token")
        ((start, *context),) = token_ids([ids], len(self.projection.weight))
        other = copy(self)
        other.start_id, other.context = start, tuple(context)
        other._reduced = WeakValueDictionary()
        # It may have been trained, cast or moved in place since.
        other.model, other.projection = self.model.eval(), _projection(self.model)
        other.precision = str(other.dtype).removeprefix("torch.")
        # That the model reads rows side by side was tried when it was first taken.
        other._reader = other._read_by(trusted=True)
        return other

    def in_precision(self, name: str) -> CausalLM:
        """The same model, multiplying in lower precision: a little off, and for proposals only.

        It shares what it can of its numbers with this one. ``precision`` is what was taken.

        Parameters
        ----------
        name : "auto", "float32", "bfloat16" or "int8"
            ``float32``, or ``auto`` where nothing is faster, is the model as it is.

        Raises
        ------
        InputError
            No such precision, or PyTorch cannot multiply in it.
        """
        if self._whole is not None:
            return self._whole.in_precision(name)
        taken = precision_of(name, self.device)
        if taken in ("float32", self.precision):
            return self
        other = self._reduced.get(taken)
        if other is None:
            other = copy(self)
            other.model, other.projection = reduced(self.model, self.projection, taken)
            other.precision, other._whole = taken, self
            other._reduced = WeakValueDictionary()
            other._reader = other._read_by(trusted=True)
            self._reduced[taken] = other
        return other

    def _read_by(self, trusted: bool = False) -> Reader:
        return Reader(
            self.model,
            self.projection,
            (self.start_id, *self.context),
            self.end_id,
            self.token_budget,
            self.max_positions,
            trusted,
        )

    def decode(self, batch: TokenBatch) -> list[str]:
        """The text of each row, exactly as the tokenizer spells it (a leading space stays)."""
        return self.vocabulary.decode(batch)

    def forget(self) -> None:
        """Drop the cache of earlier calls, so that a run does not depend on them."""
        self._reader.memo.clear()
        for other in self._reduced.values():
            other.forget()

    def read(self, prompts: Sequence[Sequence[int]]) -> CachedDecoding:
        """Start decoding after these prompts (token ids, after the context), one row each."""
        return read_prompts(self._reader, prompts)

    def log_prob(self, batch: TokenBatch) -> Tensor:
        """float64 [B]: log p(row, end token | context), in nats."""
        return self.token_log_prob(batch).sum(-1)

    def token_log_prob(self, batch: TokenBatch) -> Tensor:
        """float64 [B, L + 1]: log p of each token, then of the end token; 0 elsewhere."""
        rows = checked(batch, self.vocabulary.size).rows()
        known = {row: self._reader.memo.score(row) for row in rows}
        unknown = [row for row, score in known.items() if score is None]
        known |= {reading.tokens: reading.token_log_prob for reading in self._reader.read(unknown)}
        scores = torch.zeros(len(batch), batch.width + 1, dtype=torch.float64)
        for r, row in enumerate(rows):
            score = known[row]
            assert score is not None
            scores[r, : len(score)] = score
        return scores

    @torch.inference_mode()
    def next_log_prob(self, batch: TokenBatch, position: Tensor) -> Tensor:
        """float64 [B, V]: log p(token | context and the first ``position`` [B] tokens)."""
        if not len(checked(batch, self.vocabulary.size)):
            return torch.zeros(0, len(self.allowed), dtype=torch.float64)
        if bool((position > batch.length).any()):
            raise InputError(
                f"positions must not be above the lengths of their rows, "
                f"{batch.length.tolist()!s:.60}, got {position.tolist()!s:.60}"
            )
        rows, at = batch.rows(), position.tolist()
        known: dict[tuple[int, ...], Tensor] = {}
        readings = self._reader.read(rows, known)
        if known.keys() >= set(rows) and at == batch.length.tolist():
            logits = torch.stack([known[row] for row in rows])
        else:
            hidden = torch.stack([r.hidden[p] for r, p in zip(readings, at, strict=True)])
            logits = self.projection.logits(hidden)
        return logits.cpu().log_softmax(-1, dtype=torch.float64)

    @torch.inference_mode()
    def candidate_log_prob(
        self,
        batch: TokenBatch,
        start: Tensor,
        stop: Tensor,
        tokens: Tensor,
        horizon: int | None = None,
    ) -> Tensor:
        """float64 [B, K]: log-probability with ``row[start:stop]`` replaced by one candidate.

        The candidates of a row stand side by side after one copy of its prefix's cache, each
        seeing the prefix and itself (tree attention), so nothing is computed or copied K times
        that does not differ.

        Parameters
        ----------
        batch : TokenBatch of B rows
        start, stop : int64 [B]
            The span that the candidate stands in for; ``start == stop`` inserts.
        tokens : int64 [B, K]
        horizon : int, optional
            How many tokens after the candidate count (the end token is one). None: all of them,
            and the result equals ``log_prob`` of the edited row.
        """
        rows, begin = checked(batch, self.vocabulary.size).rows(), start.tolist()
        right = [
            (*row[e:], self.end_id)[:horizon] for row, e in zip(rows, stop.tolist(), strict=True)
        ]
        edited = [
            a + 1 + len(row) - b for row, a, b in zip(rows, begin, stop.tolist(), strict=True)
        ]
        self._reader.check_length(max(edited, default=0))
        readings = self._reader.covering(rows, begin)
        result = torch.zeros(tokens.shape, dtype=torch.float64)
        # Candidates of one row are split too, so that a pass stays within the budget.
        room = self.token_budget - max(begin, default=0)
        width = max(1, room // max(1, *map(len, right), 1))
        for first in range(0, tokens.shape[1], width):
            part = tokens[:, first : first + width]
            sizes = [a + part.shape[1] * len(r) for a, r in zip(begin, right, strict=True)]
            for group in microbatches(sizes, self.token_budget):
                result[group, first : first + width] = self._candidates(
                    [readings[r] for r in group],
                    [begin[r] for r in group],
                    part[group],
                    [right[r] for r in group],
                )
        return result

    def _candidates(
        self,
        readings: list[RowCache],
        begin: list[int],
        tokens: Tensor,
        right: list[tuple[int, ...]],
    ) -> Tensor:
        """float64 [B, K] for one microbatch; ``right``: the tokens to predict after candidates."""
        width = tokens.shape[1]
        at = list(zip(readings, begin, strict=True))
        hidden = torch.stack([r.hidden[p] for r, p in at]).repeat_interleave(width, 0)
        log_z = torch.stack([r.log_z[p] for r, p in at]).repeat_interleave(width, 0)
        first = self.projection.target_logits(hidden, tokens.reshape(-1).to(self.device)) - log_z
        prefix = torch.stack([r.token_log_prob[:p].sum() for r, p in at])
        total = prefix[:, None] + first.double().cpu().view(len(at), width)
        # A branch is fed the candidate and all but the last of the tokens that are to follow it.
        fed = [
            torch.cat([options[:, None], torch.tensor([r[:-1]] * width, dtype=torch.int64)], dim=1)
            if r else options[:, None][:, :0]
            for options, r in zip(tokens, right, strict=True)
        ]  # fmt: skip
        states = self._reader.forward(readings, begin, fed)
        wanted = torch.cat([torch.tensor(r, dtype=torch.int64).repeat(width) for r in right])
        logits = self.projection.target_logits(states, wanted.to(self.device))
        log_p = (logits - self.projection.log_z(states)).double().cpu()
        after = [part.view(width, -1).sum(-1) for part in log_p.split([f.numel() for f in fed])]
        return total + torch.stack(after)


def _projection(model: PreTrainedModel) -> Projection:
    """The model's output layer with its family's way of scaling logits."""
    head = model.get_output_embeddings()
    if head is None:
        raise ModelError(f"the model type {model.config.model_type!r} has no output layer")
    config = model.config.get_text_config()
    scale = getattr(config, "logit_scale", None) or 1.0 / (
        getattr(config, "logits_scaling", None) or 1.0
    )
    softcap = getattr(config, "final_logit_softcapping", None)
    bias = getattr(head, "bias", None)
    return Projection(
        head.weight.detach(), None if bias is None else bias.detach(), softcap, float(scale)
    )


def _check_boundaries(start_id: int, end_id: int, model: PreTrainedModel, size: int) -> None:
    """A tokenizer may have grown since the model was trained; these two must be known to it."""
    embedding: Any = model.get_input_embeddings()
    read = len(embedding.weight)
    for name, token, known in (("start", start_id, read), ("end", end_id, min(read, size))):
        if not 0 <= token < known:
            raise ModelError(
                f"the {name} token {token} is not among the {known} tokens of this "
                f"{model.config.model_type} model; use the model's own tokenizer"
            )


def _max_positions(model: PreTrainedModel) -> int:
    """Longest input for which full attention over the cache is what the model means."""
    config = model.config.get_text_config()
    known = [getattr(config, name, None) for name in ("max_position_embeddings", "sliding_window")]
    rope = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {}
    if "longrope" in (rope.get("rope_type"), rope.get("type")):
        # Beyond this its angles change for the whole text, and a cache of shorter ones is wrong.
        known.append(rope.get("original_max_position_embeddings"))
        known.append(getattr(config, "original_max_position_embeddings", None))
    return min((int(n) for n in known if n), default=1 << 20)
