"""Reader: runs a causal decoder over rows, each on from the longest prefix it has read before."""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from ergotext.lm.batch import TokenBatch, microbatches
from ergotext.lm.memo import PrefixMemo, Reading
from ergotext.lm.projection import Projection
from ergotext.lm.protocols import InputError, ModelError

MEMO_TOKENS = 8192
"""Token positions whose caches are kept: 128 chains of 32 tokens, each with its proposal."""


class Reader:
    """Hidden states, caches and token scores of rows behind a fixed start and context.

    Parameters
    ----------
    model : transformers.PreTrainedModel
    projection : Projection
        The model's output layer.
    opening : tuple of int
        Start token and context: what stands before every row.
    end_id : int
    token_budget : int
        Token positions in one forward pass.
    max_positions : int

    Raises
    ------
    ModelError
        The model has no ordinary key-value cache, or its logits are not that projection of its
        hidden states.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        projection: Projection,
        opening: tuple[int, ...],
        end_id: int,
        token_budget: int,
        max_positions: int,
    ) -> None:
        self.model = model
        self.projection = projection
        self.opening = opening
        self.end_id = end_id
        self.token_budget = token_budget
        self.max_positions = max_positions
        self.device, self.dtype = projection.weight.device, projection.weight.dtype
        self._before, root = self._open()
        self.memo = PrefixMemo(root, MEMO_TOKENS)

    @torch.inference_mode()
    def read(self, rows: list[tuple[int, ...]]) -> list[Reading]:
        """The reading of each row; what is not in the memo is computed, in microbatches."""
        found: dict[tuple[int, ...], Reading] = {}
        missing: list[tuple[int, ...]] = []
        for row in dict.fromkeys(rows):
            reading = self.memo.exact(row)
            if reading is None:
                missing.append(row)
            else:
                found[row] = reading
        self.check_length(max(map(len, missing), default=0))
        shared = [self.memo.longest(row) for row in missing]
        sizes = [len(row) - n for row, (_, n) in zip(missing, shared, strict=True)]
        for group in microbatches(sizes, self.token_budget):
            known = [shared[r] for r in group]
            for reading in self._extend([missing[r] for r in group], known):
                found[reading.tokens] = reading
                self.memo.put(reading)
        return [found[row] for row in rows]

    @torch.inference_mode()
    def forward(
        self, readings: list[Reading], upto: list[int], tokens: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Run the decoder on K branches of m tokens behind the first ``upto`` tokens of each row.

        Returns the final hidden states [B, K, m, D] and the new part of the key-value cache
        [layers, 2, B, heads, K * m, head width]. A branch sees its row's prefix and itself.
        """
        rows, branches, depth = tokens.shape
        size = torch.tensor(upto) + len(self.opening)
        past = self._stack(readings, upto)
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
        # Only padding can lie beyond the last position; a learned position table must not be
        # asked for it.
        positions = (size[:, None] + step).clamp(max=self.max_positions - 1)
        output = self.model.base_model(
            input_ids=tokens.reshape(rows, -1).to(self.device),
            attention_mask=mask[:, None].to(self.device, self.dtype),
            position_ids=positions.to(self.device),
            past_key_values=DynamicCache([(layer[0], layer[1]) for layer in past]),
            use_cache=True,
        )
        layers = output.past_key_values.layers
        new = torch.stack(
            [torch.stack([la.keys[:, :, before:], la.values[:, :, before:]]) for la in layers]
        )
        return output.last_hidden_state.view(rows, branches, depth, -1), new

    def check_length(self, longest: int) -> None:
        """Raise InputError if rows of this length go beyond what the model was made for."""
        most = longest + len(self.opening)
        if most > self.max_positions:
            raise InputError(
                f"context and text take {most} token positions, this model handles "
                f"{self.max_positions}; shorten the context or the text"
            )

    def _extend(
        self, rows: list[tuple[int, ...]], shared: list[tuple[Reading, int]]
    ) -> list[Reading]:
        """Read rows on from prefixes that were read before."""
        bases, starts = [b for b, _ in shared], [n for _, n in shared]
        new = [row[n:] for row, n in zip(rows, starts, strict=True)]
        fed = TokenBatch.of(new).ids[:, None]
        if fed.shape[2]:
            states, cache = self.forward(bases, starts, fed)
            fresh = [states[r, 0, : len(part)] for r, part in enumerate(new)]
            log_z = self.projection.log_z(torch.cat(fresh)).split([len(part) for part in new])
        else:
            none = bases[0].hidden[:0]
            fresh, log_z = [none] * len(rows), (bases[0].log_z[:0],) * len(rows)
            cache = self._before[:, :, None, :, :0].expand(-1, -1, len(rows), -1, -1, -1)
        hidden = [
            torch.cat([b.hidden[: n + 1], f]) for b, n, f in zip(bases, starts, fresh, strict=True)
        ]
        z = [torch.cat([b.log_z[: n + 1], f]) for b, n, f in zip(bases, starts, log_z, strict=True)]
        scores = self._token_log_prob(rows, hidden, z)
        readings = []
        for r, row in enumerate(rows):
            old = bases[r].keys_values[:, :, :, : starts[r]]
            kv = torch.cat([old, cache[:, :, r, :, : len(new[r])]], dim=3)
            readings.append(Reading(row, kv, hidden[r], z[r], scores[r]))
        return readings

    def _token_log_prob(
        self, rows: list[tuple[int, ...]], hidden: list[Tensor], log_z: list[Tensor]
    ) -> tuple[Tensor, ...]:
        """float64 [n + 1] for each row of n tokens, on the CPU."""
        targets = torch.tensor([t for row in rows for t in (*row, self.end_id)], device=self.device)
        logits = self.projection.target_logits(torch.cat(hidden), targets)
        log_p = (logits - torch.cat(log_z)).double().cpu()
        # Clones: a slice would keep the scores of its whole batch alive.
        return tuple(part.clone() for part in log_p.split([len(row) + 1 for row in rows]))

    def _stack(self, readings: list[Reading], upto: list[int]) -> Tensor:
        """The caches of opening and prefixes: [layers, 2, B, heads, longest, head width]."""
        layers, two, heads, behind, width = self._before.shape
        shape = (layers, two, len(readings), heads, behind + max(upto), width)
        past = self._before.new_zeros(shape)
        past[:, :, :, :, :behind] = self._before[:, :, None]
        for r, (reading, n) in enumerate(zip(readings, upto, strict=True)):
            past[:, :, r, :, behind : behind + n] = reading.keys_values[:, :, :, :n]
        return past

    @torch.inference_mode()
    def _open(self) -> tuple[Tensor, Reading]:
        """Read the opening, and check that the model is of the kind we can drive."""
        self.check_length(0)
        ids = torch.tensor([self.opening], device=self.device)
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
        return kv, Reading((), kv[:, :, :, :0], hidden, log_z, end)
