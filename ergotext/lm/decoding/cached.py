"""Incremental decoding of rows with a key-value cache."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from ergotext.errors import InputError
from ergotext.lm.decoding.past import Past
from ergotext.lm.decoding.projection import Projection

TOKEN_BUDGET = 4096
"""Positions in one pass of the network over the rests of keys."""


@dataclass(frozen=True, eq=False)
class CachedDecoding:
    """Sequences being decoded, each after its own prompt (``protocols.Decoding``).

    Parameters
    ----------
    projection : Projection
        The network's output layer.
    end : int
    hidden : [B, D]
        The network's state after the last token of each row.
    past : Past
    """

    projection: Projection
    end: int
    hidden: Tensor
    past: Past

    @property
    def size(self) -> int:
        return len(self.projection.weight)

    @property
    def room(self) -> Tensor:
        return self.past.room + 1  # the last token that is scored is never read

    def __len__(self) -> int:
        return len(self.hidden)

    @torch.inference_mode()
    def logits(self, rows: Tensor, tokens: Tensor) -> Tensor:
        at, wanted = rows.to(self.hidden.device), tokens.to(self.hidden.device)
        if 8 * len(rows) < len(self) * self.size:
            picked = self.projection.target_logits(self.hidden[at], wanted)
        else:
            picked = self._dense[at, wanted]
        return picked.double().cpu()

    @torch.inference_mode()
    def log_z(self) -> Tensor:
        return self.projection.log_z(self.hidden).double().cpu()

    @torch.inference_mode()
    def rest_log_prob(self, rows: Tensor, ids: Tensor, offsets: Tensor) -> Tensor:
        sizes = offsets.diff().tolist()
        self._check(rows, offsets.diff())
        runs = ids.split(sizes) if sizes else ()
        scores: list[Tensor] = [torch.zeros(0, dtype=torch.float64)] * len(sizes)
        for group in _alike(sizes):
            found = self._runs(rows[group], [runs[i] for i in group])
            for i, score in zip(group, found.split([sizes[i] for i in group]), strict=True):
                scores[i] = score
        return torch.cat([torch.zeros(0, dtype=torch.float64), *scores])

    @torch.inference_mode()
    def advance(self, rows: Tensor, tokens: Tensor) -> CachedDecoding:
        self._check(rows, torch.full(rows.shape, 2))
        states, past = self.past.read_on(rows, tokens[:, None])
        return CachedDecoding(self.projection, self.end, states[:, -1], past)

    def _runs(self, rows: Tensor, runs: list[Tensor]) -> Tensor:
        """float64 [T]: log p of each token of runs after these rows, in one pass."""
        targets = torch.cat(runs).to(self.hidden.device)
        # The first token of a run is predicted by the row's own state, its last one is not read.
        fed = pad_sequence([run[:-1] for run in runs], batch_first=True)
        states = self.hidden[rows.to(self.hidden.device)][:, None]
        if fed.shape[1]:
            states = torch.cat([states, self.past.read_on(rows, fed)[0]], dim=1)
        lengths = torch.tensor([len(run) for run in runs])
        real = torch.arange(states.shape[1]) < lengths[:, None]
        flat = states[real.to(states.device)]
        scores = self.projection.target_logits(flat, targets) - self.projection.log_z(flat)
        return scores.double().cpu()

    def _check(self, rows: Tensor, more: Tensor) -> None:
        over = more > self.room[rows]
        if over.any():
            raise InputError(
                f"{int(more[over][0])} more tokens exceed the {self.past.positions} positions of "
                "this model: remove longer keys from the index"
            )

    @cached_property
    def _dense(self) -> Tensor:
        return self.projection.logits(self.hidden)


def token_ids(rows: Iterable[Any], size: int) -> list[tuple[int, ...]]:
    """Convert to rows of token ids below ``size``, or raise InputError."""
    found = []
    for number, row in enumerate(rows, 1):
        ids = row.tolist() if hasattr(row, "tolist") else row
        if isinstance(ids, str) or not all(isinstance(i, (int, np.integer)) for i in ids):
            raise InputError(
                f"input {number} is not a sequence of token ids: {row!r:.60}; encode it with the "
                "model's tokenizer"
            )
        if len(ids) and not 0 <= min(ids) <= max(ids) < size:
            raise InputError(
                f"input {number} contains ids from {min(ids)} to {max(ids)}, but the model's "
                f"tokens are 0 to {size - 1}: use the model's own tokenizer"
            )
        found.append(tuple(map(int, ids)))
    return found


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
