"""Run a causal decoder over rows, reusing the longest prefix computed before."""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from ergotext.errors import InputError, ModelError
from ergotext.lm.decoding.memo import PrefixMemo, RowCache
from ergotext.lm.decoding.opening import blocks, keep, known, state_of
from ergotext.lm.decoding.packing import pack
from ergotext.lm.decoding.past import CACHE
from ergotext.lm.decoding.projection import Projection
from ergotext.lm.decoding.tree import Forest, forests

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
    trusted : bool
        Whether the model is known to read rows side by side; else that is tried.

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
        trusted: bool = False,
    ) -> None:
        self.model = model
        self.projection = projection
        self.opening = opening
        self.end_id = end_id
        self.token_budget = token_budget
        self.max_positions = max_positions
        self.device, self.dtype = projection.weight.device, model.dtype
        self.check_length(0)
        self._before, root = self._rooted(*(self._blockwise() if trusted else self._open()))
        if not trusted:
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
        if logits is not None:  # they are likely to be read on
            self.memo.hold(sum(map(len, found)) + sum(map(len, missing)))
        shared = [self.memo.longest(row) for row in missing]
        starts = [n for _, n in shared]
        for forest in forests(missing, starts, len(self.opening), self.token_budget):
            for reading in self._extend(forest, missing, shared, logits):
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
    def forward(self, readings: list[RowCache], upto: list[int], fed: list[Tensor]) -> Tensor:
        """Run the decoder on branches of tokens after the first ``upto`` tokens of each row.

        ``fed[r]`` is int64 [K, m]: K branches of m tokens after the prefix of row r. They stand
        side by side (``packing.pack``), so rows of differing lengths cost next to no padding.

        Returns the final hidden states [T, D] of the T tokens, row by row and branch by branch.
        """
        if not any(part.numel() for part in fed):
            return readings[0].hidden[:0]
        packed = pack(fed, upto, len(self.opening))
        columns = [[(r, 0, upto[r]) for r in rows] for rows in packed.rows]
        past = self._past(readings, columns, packed.seen)
        states, _ = self.run(packed.ids, packed.seen, packed.position, past)
        return states[packed.real.to(self.device)]

    def run(
        self, ids: Tensor, seen: Tensor, position: Tensor, layers: Layers
    ) -> tuple[Tensor, Layers]:
        """Final states [N, T, D] of ids [N, T] after S cached ones, and the cache of all S + T.

        ``seen`` bool [N, T, S + T] is what each token attends to; ``position`` int64 [N, T] its
        place in its own row.
        """
        lowest = torch.finfo(self.dtype).min
        mask = torch.zeros(seen.shape, dtype=self.dtype).masked_fill_(~seen, lowest)
        output = self.model.base_model(
            input_ids=ids.to(self.device),
            attention_mask=mask[:, None].to(self.device),
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

    def _past(
        self, readings: list[RowCache], columns: list[list[tuple[int, int, int]]], seen: Tensor
    ) -> Layers:
        """The cache of the opening, and of runs of tokens (row, from, to) behind it, side by side.

        ``seen`` [N, T, opening + P + T] says how wide it is.
        """
        count, new, every = seen.shape
        layers, two, heads, opening, head_width = self._before.shape
        past = self._before.new_zeros((layers, two, count, heads, every - new, head_width))
        past[:, :, :, :, :opening] = self._before[:, :, None]
        for n, runs in enumerate(columns):
            at = opening
            for row, first, last in runs:
                end = at + last - first
                past[:, :, n, :, at:end] = readings[row].keys_values[:, :, :, first:last]
                at = end
        return [(layer[0], layer[1]) for layer in past]

    def _grow(self, forest: Forest, bases: list[RowCache]) -> tuple[Tensor, Tensor]:
        """Final states [T, D] of a pass, and its caches [layers, 2, heads, T, head width]."""
        if not forest.ids.numel():
            return self.memo.root.hidden[:0], self._before[:, :, :, :0]
        past = self._past(bases, forest.columns, forest.seen)
        states, known = self.run(forest.ids, forest.seen, forest.position, past)
        real, new = forest.real.to(self.device), slice(past[0][0].shape[2], None)
        cache = torch.stack([torch.stack([k[:, :, new], v[:, :, new]]) for k, v in known])
        return states[real], cache.transpose(2, 3)[:, :, :, real]

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
        forest: Forest,
        rows: list[tuple[int, ...]],
        shared: list[tuple[RowCache, int]],
        logits: dict[tuple[int, ...], Tensor] | None,
    ) -> list[RowCache]:
        """Read rows of a pass on from prefixes that were read before."""
        states, caches = self._grow(forest, [base for base, _ in shared])
        nodes = [at.to(self.device) for at in forest.nodes]
        parts = [(rows[r], *shared[r], at) for r, at in zip(forest.rows, nodes, strict=True)]
        if logits is not None and all(len(at) == 1 for at in nodes):
            behind = self.projection.logits(states)
            logits.update((row, behind[int(at)]) for row, _, _, at in parts)
            normaliser = behind.logsumexp(-1)
        else:
            normaliser = self.projection.log_z(states)
        hidden = [torch.cat([b.hidden[: n + 1], states[at]]) for _, b, n, at in parts]
        z = [torch.cat([b.log_z[: n + 1], normaliser[at]]) for _, b, n, at in parts]
        # What the tokens read before were worth is known.
        fresh = self._token_log_prob(
            [row[n:] for row, _, n, _ in parts],
            [h[n:] for h, (_, _, n, _) in zip(hidden, parts, strict=True)],
            [each[n:] for each, (_, _, n, _) in zip(z, parts, strict=True)],
        )
        return [
            RowCache(
                row,
                torch.cat([b.keys_values[:, :, :, :n], caches[:, :, :, at]], dim=3),
                states_of,
                z_of,
                # A copy, also of an empty prefix: a slice would keep its whole batch alive.
                torch.cat([b.token_log_prob[:n], score]),
            )
            for (row, b, n, at), states_of, z_of, score in zip(parts, hidden, z, fresh, strict=True)
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
            packed = self.forward([root] * 2, [0, 0], trial)
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
        """float64 [n + 1] for each run of n tokens and the end, on the CPU."""
        targets = torch.tensor([t for row in rows for t in (*row, self.end_id)], device=self.device)
        logits = self.projection.target_logits(torch.cat(hidden), targets)
        log_p = (logits - torch.cat(log_z)).double().cpu()
        parts: tuple[Tensor, ...] = log_p.split([len(row) + 1 for row in rows])
        return parts

    @torch.inference_mode()
    def _blockwise(self) -> tuple[Tensor, Tensor]:
        """The cache of the opening and the state [1, D] after it, read block by block."""
        *before, whole = blocks(self.opening)
        state = state_of(self.model) if before else ""
        at, read, layers = 0, [], Layers()
        for beginning in before:
            block = known(self.model, state, beginning)
            if block is None:
                # A copy: a slice would keep all that was read before alive.
                block = self._read_on(beginning, at, layers)[0][:, :, :, at:].clone()
                keep(self.model, state, beginning, block)
            read.append(block)
            layers = [(layer[0][None], layer[1][None]) for layer in torch.cat(read, dim=3)]
            at = len(beginning)
        return self._read_on(whole, at, layers)

    def _read_on(self, tokens: tuple[int, ...], at: int, layers: Layers) -> tuple[Tensor, Tensor]:
        """The cache of tokens of which the first ``at`` were read, and the state [1, D] after."""
        every = len(tokens)
        seen = torch.ones(every - at, every, dtype=torch.bool).tril(at)[None]
        ids, position = torch.tensor([tokens[at:]]), torch.arange(at, every)[None]
        states, layers = self.run(ids, seen, position, layers)
        return torch.stack([torch.stack([k[0], v[0]]) for k, v in layers]), states[0, -1:]

    @torch.inference_mode()
    def _open(self) -> tuple[Tensor, Tensor]:
        """The same, of a model that may be of a kind that we cannot drive."""
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
        return kv, hidden

    @torch.inference_mode()
    def _rooted(self, kv: Tensor, hidden: Tensor) -> tuple[Tensor, RowCache]:
        """The cache of the opening, and the reading of the empty row after it."""
        log_z = self.projection.log_z(hidden)
        end = self._token_log_prob([()], [hidden], [log_z])[0]
        return kv, RowCache((), kv[:, :, :, :0], hidden, log_z, end)
