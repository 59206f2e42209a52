"""Incremental decoding after prompts of different lengths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ergotext.lm.decoding.cached import CachedDecoding, token_ids
from ergotext.lm.decoding.reader import Layers, Reader


@dataclass(frozen=True, eq=False)
class Continued:
    """Rows padded on their left, so that all of them grow at one end (a ``past.Past``).

    Parameters
    ----------
    reader : Reader
    layers : (keys, values) of each layer, [B, heads, S, head width]
    real : bool [B, S], on the CPU
        False on padding.
    """

    reader: Reader
    layers: Layers
    real: Tensor

    @property
    def positions(self) -> int:
        return self.reader.max_positions

    @property
    def room(self) -> Tensor:
        return self.positions - self.real.sum(1)

    def select(self, rows: Tensor) -> Continued:
        """These rows, in this order; nothing is copied if they are all rows in order."""
        if torch.equal(rows, torch.arange(len(self.real))):
            return self
        at = rows.to(self.reader.device)
        layers = [(keys[at], values[at]) for keys, values in self.layers]
        return Continued(self.reader, layers, self.real[rows])

    def read_on(self, rows: Tensor, ids: Tensor) -> tuple[Tensor, Continued]:
        return self.select(rows).read(ids, torch.ones(ids.shape, dtype=torch.bool))

    def read(self, ids: Tensor, fresh: Tensor) -> tuple[Tensor, Continued]:
        """As ``read_on`` for all rows; ``fresh`` bool [B, m] is False on padding before a row."""
        count, width = ids.shape
        real = torch.cat([self.real, fresh], dim=1)
        new = torch.ones(width, width, dtype=torch.bool).tril() & fresh[:, None]
        seen = torch.cat([self.real[:, None].expand(count, width, -1), new], dim=2)
        position = (self.real.sum(1, keepdim=True) + fresh.cumsum(1) - 1).clamp(min=0)
        states, layers = self.reader.run(ids, seen, position, self.layers)
        return states, Continued(self.reader, layers, real)


@torch.inference_mode()
def read_prompts(reader: Reader, prompts: Sequence[Sequence[int]]) -> CachedDecoding:
    """One empty row for each prompt (token ids, after the reader's opening).

    Prompts that are equal are read once.

    Raises
    ------
    InputError
        Opening and prompt take more positions than the model has, or a prompt is no sequence of
        ids that it knows.
    """
    given = token_ids(prompts, len(reader.projection.weight))
    reader.check_length(max(map(len, given), default=0))
    unique = list(dict.fromkeys(given))
    width = max(map(len, unique), default=0)
    opening, hidden = reader.opened
    start = Continued(reader, opening, torch.ones(1, opening[0][0].shape[2], dtype=torch.bool))
    at_once = max(1, reader.token_budget // max(1, width))
    groups = [unique[first : first + at_once] for first in range(0, len(unique), at_once)]
    none = hidden[:0], start.select(torch.zeros(0, dtype=torch.int64))
    parts = [_read(start, hidden, group, width) for group in groups] or [none]
    states, pasts = zip(*parts, strict=True)
    layers = [
        (torch.cat([keys for keys, _ in layer]), torch.cat([values for _, values in layer]))
        for layer in zip(*(past.layers for past in pasts), strict=True)
    ]
    read = Continued(reader, layers, torch.cat([past.real for past in pasts]))
    number = {prompt: n for n, prompt in enumerate(unique)}
    rows = torch.tensor([number[prompt] for prompt in given], dtype=torch.int64)
    known = torch.cat(states)[rows.to(reader.device)]
    return CachedDecoding(reader.projection, reader.end_id, known, read.select(rows))


def _read(
    start: Continued, hidden: Tensor, prompts: list[tuple[int, ...]], width: int
) -> tuple[Tensor, Continued]:
    """The state [n, D] after each prompt, and what was read, padded to ``width`` tokens."""
    past = start.select(torch.zeros(len(prompts), dtype=torch.int64))
    if not width:
        return hidden.expand(len(prompts), -1), past
    lengths = torch.tensor([len(prompt) for prompt in prompts])
    ids = torch.tensor([(*[0] * (width - len(prompt)), *prompt) for prompt in prompts])
    states, past = past.read(ids, torch.arange(width) >= width - lengths[:, None])
    # What follows an empty prompt is what follows the opening.
    empty = (lengths == 0)[:, None].to(states.device)
    return torch.where(empty, hidden, states[:, -1]), past
