"""Run a causal decoder over rows, reusing the longest prefix computed before."""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from ergotext.errors import InputError, ModelError
from ergotext.lm.batch import microbatches
from ergotext.lm.decoding.memo import PrefixMemo, RowCache
from ergotext.lm.decoding.packing import Packed, pack
from ergotext.lm.decoding.past import CACHE
from ergotext.lm.decoding.projection import Projection

Layers = list[tuple[Tensor, Tensor]]
"""Keys and values of each layer, [N, heads, S, head width]."""
MEMO_TOKENS = 8192
"""Token positions whose caches are kept: 128 chains of 32 tokens, each with its proposal."""
SLACK, REDUCED_SLACK = 1e-3, 0.05
"""Most that rows side by side may differ from each alone, in full and in reduced precision.

Relative to the greatest state. Measured in bfloat16: rounding, on likely tokens of SmolLM2 by
kernels with and without AVX-512, up to 0.025; a position or a mask ignored there 0.23 and more, and
ALiBi in a small random model 0.074.
"""


class Reader:
    """Hidden states, caches and token scores of rows after a fixed start and context.

    Parameters
    ----------
    model : transformers.PreTrainedModel
    projection : Projection
        The model's output layer.
    opening : tuple of int
        Start token and context, before every row.
    end_id : int
    token_budget : int
        Token positions in one forward pass, those of prefixes included.
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
        self._check_packing(root)
        self.memo = PrefixMemo(root, MEMO_TOKENS)

    @torch.inference_mode()
    def read(
        self, rows: list[tuple[int, ...]], logits: dict[tuple[int, ...], Tensor] | None = None
    ) -> list[RowCache]:
        """The reading of each row; what is not in the memo is computed, in microbatches.

        Into ``logits``, if given, go those after rows that were read on by a single token: they
        give the normaliser as well, so that the vocabulary is gone through once and not twice.
        """
        found: dict[tuple[int, ...], RowCache] = {}
        missing: list[tuple[int, ...]] = []
        for row in dict.fromkeys(rows):
            reading = self.memo.exact(row)
            if reading is None:
                missing.append(row)
            else:
                found[row] = reading
        self.check_length(max(map(len, missing), default=0))
        shared = [self.memo.longest(row) for row in missing]
        for group in microbatches([len(row) for row in missing], self.token_budget):
            known = [shared[r] for r in group]
            for reading in self._extend([missing[r] for r in group], known, logits):
                found[reading.tokens] = reading
                self.memo.put(reading)
        return [found[row] for row in rows]

    def covering(self, rows: list[tuple[int, ...]], upto: list[int]) -> list[RowCache]:
        """For each row a reading that begins with its first ``upto`` tokens, whatever follows."""
        prefixes = [row[:n] for row, n in zip(rows, upto, strict=True)]
        known = [self.memo.longest(prefix) for prefix in prefixes]
        missing = [p for p, (_, shared) in zip(prefixes, known, strict=True) if shared < len(p)]
        fresh = iter(self.read(missing))
        return [
            reading if shared == len(prefix) else next(fresh)
            for prefix, (reading, shared) in zip(prefixes, known, strict=True)
        ]

    @torch.inference_mode()
    def forward(
        self, readings: list[RowCache], upto: list[int], fed: list[Tensor], keep: bool = True
    ) -> tuple[Tensor, Tensor]:
        """Run the decoder on branches of tokens after the first ``upto`` tokens of each row.

        ``fed[r]`` is int64 [K, m]: K branches of m tokens after the prefix of row r. They stand
        side by side (``packing.pack``), so rows of differing lengths cost next to no padding.

        Returns the final hidden states [T, D] and the new part of the key-value cache
        [layers, 2, heads, T, head width] of the T tokens, row by row and branch by branch; an
        empty one if it is not to be kept.
        """
        if not any(part.numel() for part in fed):
            return readings[0].hidden[:0], self._before[:, :, :, :0]
        packed = pack(fed, upto, len(self.opening))
        past = self._past(readings, upto, packed)
        layers = [(layer[0], layer[1]) for layer in past]
        states, known = self.run(packed.ids, packed.seen, packed.position, layers)
        real = packed.real.to(self.device)
        if not keep:
            return states[real], self._before[:, :, :, :0]
        new = slice(past.shape[4], None)
        cache = torch.stack([torch.stack([k[:, :, new], v[:, :, new]]) for k, v in known])
        return states[real], cache.transpose(2, 3)[:, :, :, real]

    def run(
        self, ids: Tensor, seen: Tensor, position: Tensor, layers: Layers
    ) -> tuple[Tensor, Layers]:
        """Final states [N, T, D] of ids [N, T] after S cached ones, and the cache of all S + T.

        ``seen`` bool [N, T, S + T] is what each token attends to; ``position`` int64 [N, T] its
        place in its own row.
        """
        lowest = torch.finfo(self.dtype).min
        mask = torch.zeros(seen.shape).masked_fill_(~seen, lowest)
        output = self.model.base_model(
            input_ids=ids.to(self.device),
            attention_mask=mask[:, None].to(self.device, self.dtype),
            position_ids=position.to(self.device),
            use_cache=True,
            **{CACHE: DynamicCache(layers)},
        )
        known = [(layer.keys, layer.values) for layer in output[CACHE].layers]
        return output.last_hidden_state, known

    @property
    def opened(self) -> tuple[Layers, Tensor]:
        """The cache of the opening, for one row, and the state [1, D] after it."""
        return [(layer[0][None], layer[1][None]) for layer in self._before], self.memo.root.hidden

    def _past(self, readings: list[RowCache], upto: list[int], packed: Packed) -> Tensor:
        """[layers, 2, N, heads, opening + P, head width]: opening and prefixes of each sequence."""
        count, width = packed.ids.shape
        layers, two, heads, opening, head_width = self._before.shape
        shape = (layers, two, count, heads, packed.seen.shape[2] - width, head_width)
        past = self._before.new_zeros(shape)
        past[:, :, :, :, :opening] = self._before[:, :, None]
        for n, rows in enumerate(packed.rows):
            at = opening
            for row in rows:
                end = at + upto[row]
                past[:, :, n, :, at:end] = readings[row].keys_values[:, :, :, : upto[row]]
                at = end
        return past

    def check_length(self, longest: int) -> None:
        """Raise InputError if rows of this length go beyond what the model was made for."""
        most = longest + len(self.opening)
        if most > self.max_positions:
            raise InputError(
                f"context and text take {most} token positions, but the model has "
                f"{self.max_positions}; shorten the context or the text"
            )

    def _extend(
        self,
        rows: list[tuple[int, ...]],
        shared: list[tuple[RowCache, int]],
        logits: dict[tuple[int, ...], Tensor] | None,
    ) -> list[RowCache]:
        """Read rows on from prefixes that were read before."""
        bases, starts = [b for b, _ in shared], [n for _, n in shared]
        fed = [
            torch.tensor([row[n:]], dtype=torch.int64) for row, n in zip(rows, starts, strict=True)
        ]
        sizes = [part.numel() for part in fed]
        states, caches = self.forward(bases, starts, fed)
        if logits is not None and set(sizes) == {1}:
            behind = self.projection.logits(states)
            logits.update(zip(rows, behind, strict=True))
            normaliser = behind.logsumexp(-1)
        else:
            normaliser = self.projection.log_z(states)
        fresh, log_z = states.split(sizes), normaliser.split(sizes)
        hidden = [
            torch.cat([b.hidden[: n + 1], f]) for b, n, f in zip(bases, starts, fresh, strict=True)
        ]
        z = [torch.cat([b.log_z[: n + 1], f]) for b, n, f in zip(bases, starts, log_z, strict=True)]
        scores = self._token_log_prob(rows, hidden, z)
        return [
            RowCache(row, torch.cat([b.keys_values[:, :, :, :n], new], dim=3), *known)
            for row, b, n, new, *known in zip(
                rows, bases, starts, caches.split(sizes, dim=3), hidden, z, scores, strict=True
            )
        ]

    @torch.inference_mode()
    def _check_packing(self, root: RowCache) -> None:
        """Raise ModelError unless rows side by side read as each does alone.

        A model that takes places or neighbours from the order of its input (ALiBi, local windows)
        instead of positions and mask would give wrong numbers without a word.
        """
        config = self.model.config.get_text_config()
        trial = self._likely_rows(root)
        try:
            packed, _ = self.forward([root] * 2, [0, 0], trial)
            rows = [row for part in trial for row in part]
            alone = [
                self.model.base_model(
                    torch.tensor([[*self.opening, *row.tolist()]], device=self.device)
                ).last_hidden_state[0, len(self.opening) :]
                for row in rows
            ]
            plain = torch.cat(alone)
            slack = SLACK if self.dtype in (torch.float32, torch.float64) else REDUCED_SLACK
            fits = bool((packed - plain).abs().max() <= slack * plain.abs().max())
        except (AttributeError, RuntimeError, TypeError, ValueError, IndexError):
            fits = False
        if not fits or "local" in (getattr(config, "attention_layers", None) or ()):
            raise ModelError(
                f"the model type {config.model_type!r} ignores position ids or the attention mask, "
                "so it cannot read several rows in one pass; use another model"
            )

    def _likely_rows(self, root: RowCache) -> list[Tensor]:
        """Two branches of three tokens and one of two, of tokens that may well come first.

        Reserved tokens, of which no training text has one, have states that magnify rounding: for
        SmolLM2 in bfloat16 it was up to 0.6 of the greatest state, as much as a wrong position is.
        """
        logits = self.projection.logits(root.hidden)[0]
        logits[self.end_id] = -torch.inf
        found = logits.topk(min(5, len(logits))).indices.cpu().repeat(5)
        return [found[[0, 1, 2, 3, 1, 4]].view(2, 3), found[[2, 0]][None]]

    def _token_log_prob(
        self, rows: list[tuple[int, ...]], hidden: list[Tensor], log_z: list[Tensor]
    ) -> tuple[Tensor, ...]:
        """float64 [n + 1] for each row of n tokens, on the CPU."""
        targets = torch.tensor([t for row in rows for t in (*row, self.end_id)], device=self.device)
        logits = self.projection.target_logits(torch.cat(hidden), targets)
        log_p = (logits - torch.cat(log_z)).double().cpu()
        # Clones: a slice would keep the scores of its whole batch alive.
        return tuple(part.clone() for part in log_p.split([len(row) + 1 for row in rows]))

    @torch.inference_mode()
    def _open(self) -> tuple[Tensor, RowCache]:
        """Read the opening, and check that the model is of the kind we can drive."""
        self.check_length(0)
        ids = torch.tensor([self.opening], device=self.device)
        kind = self.model.config.model_type
        try:
            output = self.model.base_model(ids, use_cache=True)
            layers = output[CACHE].layers
            kv = torch.stack([torch.stack([la.keys[0], la.values[0]]) for la in layers])
            hidden = output.last_hidden_state[0, -1:]
            own = self.model(ids).logits[0, -1:].float()
        except (AttributeError, RuntimeError, TypeError, ValueError, LookupError):
            kv = torch.zeros(0)
        if kv.ndim != 5 or kv.shape[3] != ids.shape[1]:
            raise ModelError(
                f"the model type {kind!r} has no ordinary key-value cache; use a plain transformer "
                "decoder"
            )
        if (self.projection.logits(hidden) - own).abs().max() > 1e-2 * own.abs().max():
            raise ModelError(
                f"the logits of the model type {kind!r} are not a known projection of its hidden "
                "states, so its probabilities would be wrong; use another model"
            )
        log_z = self.projection.log_z(hidden)
        end = self._token_log_prob([()], [hidden], [log_z])[0]
        return kv, RowCache((), kv[:, :, :, :0], hidden, log_z, end)
