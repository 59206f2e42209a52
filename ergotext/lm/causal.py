"""CausalLM: a pretrained causal language model as a scorer of token sequences."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from ergotext.lm.batch import TokenBatch, microbatches
from ergotext.lm.memo import PrefixMemo, Reading
from ergotext.lm.projection import Projection
from ergotext.lm.protocols import InputError, ModelError
from ergotext.lm.vocabulary import Vocabulary

TOKEN_BUDGET = 2048
"""Token positions in one forward pass; more than this buys no speed on a CPU."""
MEMO_TOKENS = 8192
"""Token positions whose caches are kept: 128 chains of 32 tokens, each with its proposal."""


class CausalLM:
    """log p(x) of token sequences under a transformers causal model, with an optional context.

    Every number is a log-probability in nats, float64. A row is the generated text alone: the
    start token and the context stand before it and the end token, always scored, after it. What
    was computed for a row is kept for a while, so scoring an edited row costs only the part
    behind the edit.

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
        self.vocabulary = vocabulary
        self.start_id = start_id
        self.end_id = end_id
        self.context = tuple(context)
        self.token_budget = token_budget
        self.projection = _projection(model)
        self.max_positions = _max_positions(model)
        self._memo = PrefixMemo(self._read_context(), MEMO_TOKENS)

    def __repr__(self) -> str:
        given = f", given {self.vocabulary.text(self.context)!r}" if self.context else ""
        return f"CausalLM({self.model.config.model_type}, {self.dtype}, {self.device}{given})"

    @property
    def device(self) -> torch.device:
        return self.projection.weight.device

    @property
    def dtype(self) -> torch.dtype:
        return self.projection.weight.dtype

    @property
    def allowed(self) -> Tensor:
        """bool [V]: tokens that may stand in a text; special tokens are never among them."""
        return self.vocabulary.allowed

    def given(self, context: str) -> CausalLM:
        """The same model conditioned on ``context``, a text that stands before every row."""
        ids = self.vocabulary.encode(context)
        return CausalLM(
            self.model, self.vocabulary, self.start_id, self.end_id, ids, self.token_budget
        )

    def decode(self, batch: TokenBatch) -> list[str]:
        """The text of each row, exactly as the tokenizer spells it (a leading space stays)."""
        return self.vocabulary.decode(batch)

    def forget(self) -> None:
        """Drop what was kept from earlier calls: a run that begins so depends on none of them."""
        self._memo.clear()

    def log_prob(self, batch: TokenBatch) -> Tensor:
        """float64 [B]: log p(row, end token | context), in nats."""
        return self.token_log_prob(batch).sum(-1)

    def token_log_prob(self, batch: TokenBatch) -> Tensor:
        """float64 [B, L + 1]: log p of each token, the end token's behind the last one, else 0."""
        rows = batch.rows()
        known = {row: self._memo.score(row) for row in rows}
        unknown = [row for row, score in known.items() if score is None]
        known |= {reading.tokens: reading.token_log_prob for reading in self._read(unknown)}
        scores = torch.zeros(len(batch), batch.width + 1, dtype=torch.float64)
        for r, row in enumerate(rows):
            score = known[row]
            assert score is not None
            scores[r, : len(score)] = score
        return scores

    @torch.inference_mode()
    def next_log_prob(self, batch: TokenBatch, position: Tensor) -> Tensor:
        """float64 [B, V]: log p(token | context and the first ``position`` [B] tokens)."""
        if not len(batch):
            return torch.zeros(0, len(self.allowed), dtype=torch.float64)
        readings = self._read(batch.rows())
        at = position.tolist()
        hidden = torch.stack([r.hidden[p] for r, p in zip(readings, at, strict=True)])
        logits = self.projection.logits(hidden).double().cpu()
        return logits.log_softmax(-1)

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

        The candidates of a row stand side by side behind one copy of its prefix's cache, each
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
        rows, begin = batch.rows(), start.tolist()
        right = [
            (*row[e:], self.end_id)[:horizon] for row, e in zip(rows, stop.tolist(), strict=True)
        ]
        readings = self._read(rows)
        result = torch.zeros(tokens.shape, dtype=torch.float64)
        width = tokens.shape[1]
        for group in microbatches([width * max(1, len(r)) for r in right], self.token_budget):
            part = self._candidates(
                [readings[r] for r in group],
                [begin[r] for r in group],
                tokens[group],
                [right[r] for r in group],
            )
            result[group] = part
        return result

    def _candidates(
        self,
        readings: list[Reading],
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
        depth = max(len(r) for r in right)
        if not depth:
            return total
        targets = TokenBatch.of(right).ids[:, None].expand(-1, width, -1)
        fed = torch.cat([tokens[:, :, None], targets[:, :, :-1]], dim=2)
        states, _ = self._forward(readings, begin, fed)
        known = (torch.arange(depth) < torch.tensor([[len(r)] for r in right]))[:, None]
        known = known.expand(-1, width, -1)
        chosen = states[known.to(self.device)]
        wanted = targets[known].to(self.device)
        log_p = self.projection.target_logits(chosen, wanted) - self.projection.log_z(chosen)
        after = torch.zeros(fed.shape, dtype=torch.float64)
        after[known] = log_p.double().cpu()
        return total + after.sum(-1)

    @torch.inference_mode()
    def _read(self, rows: list[tuple[int, ...]]) -> list[Reading]:
        """The reading of each row; what is not in the memo is computed, in microbatches."""
        found: dict[tuple[int, ...], Reading] = {}
        missing: list[tuple[int, ...]] = []
        for row in dict.fromkeys(rows):
            reading = self._memo.exact(row)
            if reading is None:
                missing.append(row)
            else:
                found[row] = reading
        self._check_positions(missing)
        shared = [self._memo.longest(row) for row in missing]
        sizes = [len(row) - n for row, (_, n) in zip(missing, shared, strict=True)]
        for group in microbatches(sizes, self.token_budget):
            known = [shared[r] for r in group]
            for reading in self._extend([missing[r] for r in group], known):
                found[reading.tokens] = reading
                self._memo.put(reading)
        return [found[row] for row in rows]

    def _extend(
        self, rows: list[tuple[int, ...]], shared: list[tuple[Reading, int]]
    ) -> list[Reading]:
        """Read rows on from prefixes that were read before."""
        bases, starts = [b for b, _ in shared], [n for _, n in shared]
        new = [row[n:] for row, n in zip(rows, starts, strict=True)]
        fed = TokenBatch.of(new).ids[:, None]
        if fed.shape[2]:
            states, cache = self._forward(bases, starts, fed)
            fresh = [states[r, 0, : len(part)] for r, part in enumerate(new)]
            log_z = self.projection.log_z(torch.cat(fresh)).split([len(part) for part in new])
        else:
            none = bases[0].hidden[:0]
            fresh, log_z = [none] * len(rows), (bases[0].log_z[:0],) * len(rows)
            cache = bases[0].keys_values[:, :, None, :, :0].expand(-1, -1, len(rows), -1, -1, -1)
        hidden = [
            torch.cat([b.hidden[: n + 1], f]) for b, n, f in zip(bases, starts, fresh, strict=True)
        ]
        z = [torch.cat([b.log_z[: n + 1], f]) for b, n, f in zip(bases, starts, log_z, strict=True)]
        scores = self._token_log_prob(rows, hidden, z)
        behind = 1 + len(self.context)
        readings = []
        for r, row in enumerate(rows):
            old = bases[r].keys_values[:, :, :, : behind + starts[r]]
            added = cache[:, :, r, :, : len(new[r])]
            kv = torch.cat([old, added], dim=3)
            readings.append(Reading(row, kv, hidden[r], z[r], scores[r]))
        return readings

    def _token_log_prob(
        self, rows: list[tuple[int, ...]], hidden: list[Tensor], log_z: list[Tensor]
    ) -> tuple[Tensor, ...]:
        """float64 [n + 1] for each row of n tokens, on the CPU."""
        targets = torch.tensor([t for row in rows for t in (*row, self.end_id)], device=self.device)
        logits = self.projection.target_logits(torch.cat(hidden), targets)
        log_p = (logits - torch.cat(log_z)).double().cpu()
        parts: tuple[Tensor, ...] = log_p.split([len(row) + 1 for row in rows])
        return parts

    def _forward(
        self, readings: list[Reading], upto: list[int], tokens: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Run the decoder on K branches of m tokens behind the first ``upto`` tokens of each row.

        Returns the final hidden states [B, K, m, D] and the new part of the key-value cache
        [layers, 2, B, heads, K * m, head width]. A branch sees its row's prefix and itself.
        """
        rows, branches, depth = tokens.shape
        size = torch.tensor(upto) + 1 + len(self.context)
        past = self._stack(readings, size)
        before = past.shape[4]
        inside = torch.arange(before) < size[:, None]
        branch = torch.arange(branches).repeat_interleave(depth)
        step = torch.arange(depth).repeat(branches)
        own = (branch[:, None] == branch) & (step[:, None] >= step)
        seen = torch.cat(
            [
                inside[:, None].expand(-1, branches * depth, -1),
                own[None].expand(rows, -1, -1),
            ],
            dim=2,
        )
        mask = torch.zeros(seen.shape).masked_fill_(~seen, torch.finfo(self.dtype).min)
        output = self.model.base_model(
            input_ids=tokens.reshape(rows, -1).to(self.device),
            attention_mask=mask[:, None].to(self.device, self.dtype),
            position_ids=(size[:, None] + step).to(self.device),
            past_key_values=DynamicCache([(layer[0], layer[1]) for layer in past]),
            use_cache=True,
        )
        layers = output.past_key_values.layers
        new = torch.stack(
            [torch.stack([la.keys[:, :, before:], la.values[:, :, before:]]) for la in layers]
        )
        return output.last_hidden_state.view(rows, branches, depth, -1), new

    def _stack(self, readings: list[Reading], size: Tensor) -> Tensor:
        """The caches of several prefixes, padded: [layers, 2, B, heads, longest, head width]."""
        layers, two, heads, _, width = readings[0].keys_values.shape
        shape = (layers, two, len(readings), heads, int(size.max()), width)
        past = readings[0].keys_values.new_zeros(shape)
        for r, (reading, n) in enumerate(zip(readings, size.tolist(), strict=True)):
            past[:, :, r, :, :n] = reading.keys_values[:, :, :, :n]
        return past

    @torch.inference_mode()
    def _read_context(self) -> Reading:
        """Read start token and context, and check that the model is of the kind we can drive."""
        self._check_positions([()])
        ids = torch.tensor([[self.start_id, *self.context]], device=self.device)
        output = self.model.base_model(ids, use_cache=True)
        layers = getattr(getattr(output, "past_key_values", None), "layers", None)
        kind = self.model.config.model_type
        try:
            kv = torch.stack([torch.stack([la.keys[0], la.values[0]]) for la in layers or []])
        except (AttributeError, RuntimeError, TypeError):
            kv = torch.zeros(0)
        if kv.ndim != 5 or kv.shape[3] != ids.shape[1]:
            raise ModelError(
                f"the model type {kind!r} keeps no ordinary key-value cache; "
                "use a plain transformer decoder"
            )
        hidden = output.last_hidden_state[0, -1:]
        own = self.model(ids).logits[0, -1:].float()
        if (self.projection.logits(hidden) - own).abs().max() > 1e-2 * own.abs().max():
            raise ModelError(
                f"the logits of the model type {kind!r} are not a projection of its hidden "
                "states that ergotext knows; its probabilities would be wrong"
            )
        log_z = self.projection.log_z(hidden)
        end = self._token_log_prob([()], [hidden], [log_z])[0]
        return Reading((), kv, hidden, log_z, end)

    def _check_positions(self, rows: list[tuple[int, ...]]) -> None:
        most = max((len(row) for row in rows), default=0) + 1 + len(self.context)
        if most > self.max_positions:
            raise InputError(
                f"context and text take {most} token positions, this model handles "
                f"{self.max_positions}; shorten the context or the text"
            )


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


def _max_positions(model: PreTrainedModel) -> int:
    """Longest input for which full attention over the cache is what the model means."""
    config = model.config.get_text_config()
    known = (getattr(config, name, None) for name in ("max_position_embeddings", "sliding_window"))
    return min((n for n in known if n), default=1 << 20)
